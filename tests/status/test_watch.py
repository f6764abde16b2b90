"""`rotator status --watch`: painted in place, without flicker, and gone without a trace."""

import re
import signal
from threading import Event

import pytest
from rich.cells import cell_len

from tests.status import fleet
from tests.status.screen import show
from tests.status.watching import Watched, watched
from tests.support.process import Runner
from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import PATIENCE

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
CLEARING = re.compile(r"\x1b\[[0-9;]*[JKLMPX@]|\x1bc")  # of the screen, a line, or a part of it
HINT = "Ctrl-C ends it"


def after(shown: Watched) -> str:
    """Return what came after the picture was taken away."""
    return shown.raw.rpartition(LEAVE)[2]


def has_left_no_trace(shown: Watched) -> bool:
    is_cursor_seen = shown.raw.rindex(SHOW) > shown.raw.rindex(HIDE)
    return shown.raw.startswith(ENTER) and is_cursor_seen and after(shown).strip() == ""


def test_it_shows_what_changes_in_place_until_ctrl_c(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=3))
    with watched(rotator) as shown:
        shown.wait_for("1 due")
        shown.wait_for(HINT)
        rotator.write_env(api.issue(days=60))
        shown.wait_for("1 ok")
        shown.wait_for(HINT, beyond=shown.raw.rindex("1 ok"))
        assert shown.modes() == shown.modes_before
        shown.type("\x03")
        assert shown.read_rest() == 0
    assert not CLEARING.search(shown.raw)
    assert shown.raw.count(ENTER) == 1
    assert has_left_no_trace(shown)
    _, _, *frames = shown.frames  # each fills the screen, so that nothing of the last one is left
    assert {frame.count("\n") for frame in frames} == {23}
    assert {len(line) for frame in frames for line in frame.splitlines()[:23]} == {80}


def test_its_exit_status_is_that_of_the_last_look(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=3))
    with watched(rotator) as shown:
        shown.wait_for("1 due")
        shown.process.send_signal(signal.SIGTERM)
        assert shown.read_rest() == 1
    assert has_left_no_trace(shown)


def test_it_follows_the_size_of_the_terminal(rotator: Runner, api: Sandbox) -> None:
    fleet.make_needy(rotator, api)
    with watched(rotator) as shown:
        shown.wait_for(HINT)
        assert "store" not in shown.frames[-1].splitlines()[3]
        before = len(shown.raw)
        shown.resize(200, 50)
        shown.wait_for(HINT, beyond=before)
    lines = shown.frames[-1].splitlines()
    assert {cell_len(line.rstrip("\r")) for line in lines[:10]} == {200}
    assert "store" in lines[3]


def test_a_fleet_that_is_larger_than_the_screen_shows_the_most_urgent(
    rotator: Runner, api: Sandbox
) -> None:
    for number in range(40):
        fleet.put(rotator.folder, f"{number}.env", api.issue(days=20 + number))
    fleet.put(rotator.folder, "39.env", api.issue(days=1))
    names = {f"bot-{number}": [f"dotenv:{number}.env"] for number in range(40)}
    fleet.write_config(rotator, names)
    with watched(rotator) as shown:
        shown.wait_for(HINT)
    lines = [line.rstrip() for line in shown.frames[-1].splitlines()]
    assert re.match(r"! due +bot-39 ", lines[4])
    assert lines[-2] == "… 22 more that need nothing (22 ok)"
    assert HINT in lines[-1]


@pytest.mark.long
def test_the_chain_of_a_token_fits_into_the_screen(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=60))
    for rows in (30, 12):
        with watched(rotator, "default", rows=rows) as shown:
            shown.wait_for(HINT)
        assert "settings" not in [line.strip() for line in shown.frames[-1].splitlines()]
        assert ("it becomes due" in shown.frames[-1]) == (rows == 30)
        assert ("more lines" in shown.frames[-1]) == (rows == 12)


def test_ctrl_z_gives_the_terminal_back_and_fg_takes_it_again(
    rotator: Runner, api: Sandbox
) -> None:
    rotator.write_env(api.issue(days=60))
    with watched(rotator) as shown:
        shown.wait_for(HINT)
        shown.type("\x1a")
        shown.wait_for(LEAVE)
        shown.wait_until_stopped()
        before = len(shown.raw)
        shown.process.send_signal(signal.SIGCONT)
        shown.wait_for(ENTER, beyond=before)
        shown.wait_for(HINT, beyond=before)
        shown.type("\x03")
        assert shown.read_rest() == 0
    assert has_left_no_trace(shown)


def test_ctrl_c_gives_the_terminal_back_while_a_look_still_hangs(
    rotator: Runner, api: Sandbox
) -> None:
    rotator.write_env(api.issue(days=60))
    go_on = Event()
    api.misbehave(Fault.meanwhile(lambda: go_on.wait(PATIENCE), "before"), "POST /auth/login")
    with watched(rotator, "default") as shown:
        shown.wait_for("looking at the tokens")
        shown.type("\x03")
        shown.wait_for(LEAVE)
        go_on.set()
        shown.read_rest()
    assert has_left_no_trace(shown)


def test_a_warning_does_not_run_through_the_picture(rotator: Runner, api: Sandbox) -> None:
    rotator.use(api, "vault://secret/luna#T")
    with watched(rotator, VAULT_ADDR="http://0.0.0.0:9", VAULT_TOKEN="x") as shown:
        shown.wait_for(HINT)
        assert "\nrotator: warning: VAULT_ADDR is http://0.0.0.0:9" in shown.frames[-1]
        shown.type("\x03")
        assert shown.read_rest() == 1
    # Afterwards it is where it would have been.
    left = after(shown)
    assert re.match(r"(\x1b\S+)?rotator: warning: VAULT_ADDR is ", left)
    assert left.endswith(" use https\r\n")


def test_it_needs_a_terminal(rotator: Runner) -> None:
    assert show(rotator, "status", "--watch", "--json").status == 2
    assert show(rotator, "status", "--watch", TERM="dumb").status == 2
    result = rotator("status", "--watch")
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        "rotator: --watch needs a terminal, and cannot be combined with --json; see rotator status"
        " --help\n"
    )
