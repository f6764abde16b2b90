"""`rotator status --daemon`: what a daemon knows, from wherever it can be reached."""

import copy
import math
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from rich.console import Console

from rotator.cli.status import parse_daemon
from rotator.cli.status.chain import StatusView
from rotator.cli.status.parse import parse_fleet
from rotator.cli.status.remote import DaemonReader
from rotator.cli.status.sections import view_as_lines
from rotator.cli.status.terminal import Painter
from rotator.daemon.rows import FleetStatus, build_rows
from rotator.errors import DaemonError
from rotator.rotation.states import TokenStates
from tests.page import fleets
from tests.page.serving import Served, served
from tests.status.screen import show
from tests.status.watching import watched
from tests.support.clock import NOON
from tests.support.process import Runner
from tests.support.sandbox import Sandbox

SHOWN = fleets.of_three()


@pytest.fixture
def page() -> Iterator[Served]:
    with served(SHOWN.states, tokens=SHOWN.tokens) as page:
        yield page


@pytest.fixture
def bare(rotator: Runner) -> Runner:
    """A rotator without any settings."""
    rotator.env.clear()
    return rotator


def test_the_json_is_the_daemons(bare: Runner, page: Served) -> None:
    result = bare("status", "--daemon", str(page.port), "--json")
    assert (result.status, result.err) == (1, "")
    assert result.json == page.get("api/v1/status").json()


@pytest.mark.parametrize("columns", [80, 200])
def test_a_terminal_shows_what_only_a_daemon_knows(
    bare: Runner, page: Served, columns: int
) -> None:
    shown = show(bare, "status", "--daemon", f"127.0.0.1:{page.port}", columns=columns)
    assert shown.status == 1
    assert shown.lines[:2] == [
        "✗ 1 failing  ✓ 2 ok",
        "as of 2026-11-23 12:00:00 UTC, by the daemon (running)",
    ]
    names = re.findall(r"^[✗!?✓] \w+ +([\w-]+-bot)", shown.text, re.MULTILINE)
    assert names == ["mars-bot", "luna-bot", "sol-bot"]
    text = " ".join(shown.text.split())
    assert "Vault does not let us write it" in text
    assert re.search(r"luna-bot +[█▌]+░+ +41 days +in 34 days", shown.text)
    assert "to be revoked in 23 hours" in text


def ask(page: Served, name: str | None = None) -> StatusView:
    """Ask as `--daemon` does, without a process of its own."""
    reader = DaemonReader(page.url.rstrip("/"), name)
    try:
        return reader.read()
    finally:
        reader.close()


def test_one_token_shows_its_history_and_what_comes_next(bare: Runner, page: Served) -> None:
    result = bare("status", "mars-bot", "--daemon", page.url)
    first, *facts = result.out.splitlines()
    assert (result.status, first.partition(" – ")[0]) == (1, "mars-bot: failing")
    failed = [fact for fact in facts if fact.startswith("mars-bot: history: failed: 2026-11-23 ")]
    assert len(failed) == 4
    assert "mars-bot: next: next run: it is renewed" in facts
    assert any(fact.startswith("mars-bot: next: in ") for fact in facts)
    luna = ask(page, "luna-bot")
    assert luna.fleet.is_well
    assert [token["name"] for token in luna.to_json()["tokens"]] == ["luna-bot"]


def painted(view: StatusView) -> str:
    lines = Painter(Console(width=80), "utf-8").paint(view)
    return " ".join(" ".join(line.plain for line in lines).split())


def test_settings_that_the_daemon_could_not_read_again_need_attention(page: Served) -> None:
    page.health.reload_error = "rotator.toml: \x1b[2Jwrong"
    told = (
        "The settings could not be read again, and the old ones stay in force: rotator.toml:"
        " \\x1b[2Jwrong"
    )
    for name in (None, "luna-bot"):
        view = ask(page, name)
        assert not view.fleet.is_well
        assert f"! {told}" in painted(view)
        assert view_as_lines(view).splitlines()[-1] == told


def test_before_the_first_look_there_is_a_line() -> None:
    states = TokenStates()
    with served(states) as page:
        assert (ask(page).fleet.is_well, view_as_lines(ask(page))) == (True, "")
        assert "by the daemon (running)" in painted(ask(page))
        states.watch(["luna-bot"])
        assert view_as_lines(ask(page)) == "luna-bot: waiting – not looked at yet\n"
        waiting = ask(page, "luna-bot")
    assert waiting.fleet.is_well
    assert "next run the daemon looks at it again" in painted(waiting)


def test_a_token_that_the_daemon_does_not_have_is_a_wrong_call(bare: Runner, page: Served) -> None:
    result = bare("status", "mars", "--daemon", page.url)
    assert (result.status, result.out) == (2, "")
    assert result.err == 'rotator: the daemon has no token "mars", expected mars-bot\n'


def test_a_daemon_that_is_not_there_is_told(bare: Runner) -> None:
    result = bare("status", "--daemon", "9")
    assert (result.status, result.out) == (1, "")
    assert result.err == (
        "rotator: the daemon at http://127.0.0.1:9: nothing listens there: start rotator daemon"
        " with --listen\n"
    )


def test_what_is_no_daemon_is_told(api: Sandbox) -> None:
    with pytest.raises(DaemonError, match=r"what answers there is no rotator daemon of this"):
        DaemonReader(api.url.removesuffix("/api"), None).read()


def test_an_address_is_that_of_listen_or_a_url() -> None:
    assert {text: parse_daemon(text) for text in ("9464", "[::1]:9464", "https://x/rotator/")} == {
        "9464": "http://127.0.0.1:9464",
        "[::1]:9464": "http://[::1]:9464",
        "https://x/rotator/": "https://x/rotator",
    }


@pytest.mark.parametrize("wrong", ["localhost", ":9464", "9464 ", "ftp://x", "", "http://:9464"])
def test_another_text_is_no_address(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"expected \[HOST:\]PORT, such as 9464"):
        parse_daemon(wrong)


def test_a_password_in_an_address_is_refused_and_not_repeated(bare: Runner) -> None:
    result = bare("status", "--daemon", "http://ops:hunter2@127.0.0.1:9464/")
    assert (result.status, result.out) == (2, "")
    assert "a URL without a user" in result.err
    assert "hunter2" not in result.err


def test_a_probe_is_not_for_a_daemon(bare: Runner, page: Served) -> None:
    assert bare("status", "--daemon", page.url, "--probe").status == 2


@pytest.mark.long  # it waits for two pauses
def test_a_watch_survives_a_daemon_that_is_restarted(bare: Runner) -> None:
    with ExitStack() as first:
        page = first.enter_context(served(SHOWN.states, tokens=SHOWN.tokens))
        with watched(bare, "--daemon", str(page.port)) as shown:
            shown.wait_for("1 failing")
            first.close()
            shown.wait_for("nothing listens there")
            assert "1 failing" in shown.frames[-1]
            with served(fleets.of_many(3).states, port=page.port):
                shown.wait_for("3 ok")
                shown.type("\x03")
                assert shown.read_rest() == 0


ODD: list[Any] = [
    *(None, True, -1, 0, 1e300, math.nan, math.inf, "x", "", "ok", [], {}, ["x"], [{}], {"x": "y"}),
    *("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-11-23T12:00:00", "\x1b[2J"),
]


def test_whatever_a_daemon_says_is_shown_or_refused() -> None:
    rows = build_rows(SHOWN.states.by_name(), SHOWN.tokens, NOON)
    good = FleetStatus(rows, NOON, "running").to_json()
    assert [row.name for row in parse_fleet(good).rows] == [row.name for row in rows]
    tried = 0
    *_, token = good["tokens"]
    for key in [*good, *token]:
        for odd in ODD:
            said = copy.deepcopy(good)
            (said["tokens"][-1] if key in token else said)[key] = odd
            try:
                fleet = parse_fleet(said)
            except ValueError:
                continue
            tried += 1
            view = StatusView(fleet)
            lines = view_as_lines(view).splitlines()
            lines += [line.plain for line in Painter(Console(width=80), "utf-8").paint(view)]
            assert all(line.isprintable() for line in lines)
    assert tried > 100
    for odd in ODD:
        with pytest.raises(ValueError, match="no "):
            parse_fleet(odd)
