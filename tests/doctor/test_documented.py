from pathlib import Path

from rotator.cli.doctor.findings import Finding, Result, Topic

PAGE = Path(__file__).parents[2] / "docs/commands.md"


def test_every_json_key_and_value_is_documented() -> None:
    section = PAGE.read_text().partition("## rotator doctor")[2].partition("\n## ")[0]
    words = [*Finding(Topic.API, Result.OK, "fine").to_json(), *Topic, *Result]
    assert [word for word in words if f"`{word}`" not in section] == []
