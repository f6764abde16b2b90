"""On a terminal, lines fit its width and break no word; in a pipe, a finding is one line."""

import pytest

from rotator.cli.tables import wrap
from tests.support.process import ROTATOR, Runner
from tests.support.sandbox import Sandbox
from tests.support.screen import Screen

WIDTH = 80
LONG = (
    pytest.param("check", marks=pytest.mark.long),
    pytest.param("rehearse", marks=pytest.mark.long),
)
FLEET = """
[[token]]
name = "luna"
stores = ["dotenv:.env"]

[[token]]
name = "sol"
stores = ["dotenv:b.env"]
"""


@pytest.fixture
def broken(rotator: Runner, api: Sandbox) -> Runner:
    """Return a fleet of two, of which one needs many words."""
    rotator.write_env(api.issue(days=60))
    (rotator.folder / "b.env").write_text('NOCTURNA_SERVICE_TOKEN="$(cat /run/secrets/sol)"\n')
    (rotator.folder / "rotator.toml").write_text(FLEET)
    rotator.use(api)
    del rotator.env["ROTATOR_STORE"]
    return rotator


@pytest.mark.parametrize("command", ["doctor", *LONG])
def test_long_lines_are_wrapped_on_a_terminal_alone(broken: Runner, command: str) -> None:
    env = {**broken.env, "COLUMNS": str(WIDTH)}
    screen = Screen([ROTATOR, command], broken.folder, env, broken.transcript)
    status = screen.end()
    shown = screen.shown.splitlines()
    assert [line for line in shown if len(line) > WIDTH and " " in line.strip()] == []
    assert any(line.startswith("  ") for line in shown)
    piped = broken(command)
    lines = (piped.out + piped.err).splitlines()
    assert max(map(len, lines)) > WIDTH
    assert not any(line.startswith(" ") for line in lines)
    assert piped.status == status
    if command == "doctor":  # what is told is the same, word for word
        assert sorted(" ".join(shown).split()) == sorted(" ".join(lines).split())


def test_what_is_told_of_a_revoked_token_fits_a_terminal(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=60))
    api.issue(days=30)
    env = {**rotator.env, "COLUMNS": str(WIDTH)}
    command = (ROTATOR, "tokens", "revoke", api.tokens[-1].id)
    screen = Screen(command, rotator.folder, env, rotator.transcript)
    assert screen.end() == 0
    assert "it is no longer exchanged; as a bearer it works" in " ".join(screen.shown.split())
    assert max(map(len, screen.shown.splitlines())) <= WIDTH


def test_what_is_indented_hangs_deeper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert wrap("    one two three four five") == "    one two three\n      four five"
    assert wrap("one") == "one"
    assert wrap("") == ""
