from datetime import UTC, datetime
from pathlib import Path

from rotator.rotation.inventory import Part
from rotator.rotation.listing import RowStatus, TokenRow

PAGE = Path(__file__).parents[2] / "docs/commands.md"


def test_every_json_key_and_value_is_documented() -> None:
    section = PAGE.read_text().partition("## rotator tokens list")[2].partition("\n## ")[0]
    now = datetime.now(UTC)
    row = TokenRow("x", RowStatus.HELD, "x", True, now, None, None, None, ())  # noqa: FBT003 - a row
    words = [*row.to_json(), *RowStatus, *Part]
    assert [word for word in words if f"`{word}`" not in section] == []
