from pathlib import Path

from rotator.cli.leaked.assessment import Assessment, LeakedToken
from rotator.cli.leaked.emergency import FoundState
from rotator.cli.leaked.record import IncidentRecord, LeakedState, RunState
from rotator.stores.journal import Leak, ReplacedToken
from tests.support.clock import NOON

PAGE = Path(__file__).parents[2] / "docs/commands.md"


def test_every_json_key_and_value_is_documented() -> None:
    section = PAGE.read_text().partition("## rotator leaked")[2].partition("\n## ")[0]
    leaked = LeakedToken("x", NOON, NOON)
    leak = Leak(NOON, (), (ReplacedToken("y", NOON),))
    record = IncidentRecord("x", "x", NOON, (Assessment("x", (leaked,), leak),))
    shown = record.to_json()
    (token,) = shown["tokens"]
    words = [*shown, *token, *FoundState, *LeakedState, *RunState]
    assert [word for word in words if f"`{word}`" not in section] == []
    assert [key for key in token["leaked"][0] if f'"{key}"' not in section] == []
    assert [key for key in shown["found_before"][0] if f'"{key}"' not in section] == []
