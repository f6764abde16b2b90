"""`rotator status` on a terminal: facts that are to be read there, whatever it looks like."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from rotator.cli.status.chain import StatusView
from rotator.cli.status.sections import view_as_lines
from rotator.cli.status.terminal import Painter
from rotator.daemon.rows import FleetStatus, build_rows
from rotator.rotation.model import Action, OldToken, OldTokenState, StoreReport, StoreState
from rotator.rotation.policy import Status
from rotator.rotation.report import Report
from rotator.rotation.severity import Severity
from rotator.rotation.states import Look, TokenStates
from tests.status import fleet
from tests.status.screen import COLOUR, has_fitting_lines, show
from tests.support.clock import NOON
from tests.support.process import Runner
from tests.support.sandbox import Sandbox

BARS = "█▌░"


def line_of(lines: list[str], name: str) -> str:
    return next(line for line in lines if name in line)


@pytest.mark.parametrize("columns", [80, 200])
def test_the_fleet_is_there_at_a_glance(rotator: Runner, api: Sandbox, columns: int) -> None:
    fleet.make_needy(rotator, api)
    shown = show(rotator, "status", columns=columns)
    assert shown.status == 1
    assert COLOUR.search(shown.raw)
    assert has_fitting_lines(shown, columns)
    assert shown.lines[0] == "✗ 1 expired  ! 2 due  ! 1 unfinished  ✓ 1 ok"
    assert re.fullmatch(r"as of [\d-]{10} [\d:]{8} UTC, from the stores", shown.lines[1])
    names = re.findall(r"^[✗!?✓] \w+ +([\w-]+-bot)", shown.text, re.MULTILINE)
    assert names == ["over-bot", "due-bot", "behind-bot", "hook-bot", "fine-bot"]
    assert re.search(r"41 days +in 34 days", line_of(shown.lines, "fine-bot"))
    assert re.search(r"3 days +now", line_of(shown.lines, "due-bot"))
    assert "expired 2 days ago" in line_of(shown.lines, "over-bot")
    assert "  1 hook is to be repeated" in shown.lines
    told = " ".join(shown.text.split())
    assert f"no token in: dotenv://{rotator.folder.resolve()}/copy.env" in told
    is_wide = columns > 80
    assert ("UTC  dotenv://" in line_of(shown.lines, "fine-bot")) == is_wide


def test_no_color_leaves_words_signs_and_bars(rotator: Runner, api: Sandbox) -> None:
    fleet.make_needy(rotator, api)
    plain = show(rotator, "status", NO_COLOR="1")
    assert not COLOUR.search(plain.raw)
    assert plain.lines[0] == "✗ 1 expired  ! 2 due  ! 1 unfinished  ✓ 1 ok"
    bars = dict(re.findall(rf"([\w-]+-bot) +([{BARS}]+)", plain.text))
    assert set(map(len, bars.values())) == {15}
    assert {name: bar.count("█") + bar.count("▌") / 2 for name, bar in bars.items()} == {
        "over-bot": 0,
        "due-bot": 0.5,
        "fine-bot": 7,
        "behind-bot": 8.5,
        "hook-bot": 10,
    }


def test_a_dumb_terminal_gets_no_escape_sequences(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=60))
    assert "\x1b" not in show(rotator, "status", TERM="dumb").raw


def test_a_pipe_gets_neither_colours_nor_bars(rotator: Runner, api: Sandbox) -> None:
    fleet.make_needy(rotator, api)
    assert not set(rotator("status", FORCE_COLOR="1").out) & {"\x1b", *BARS}


def test_a_terminal_that_knows_only_ascii_gets_bars_of_ascii(rotator: Runner, api: Sandbox) -> None:
    fleet.make_needy(rotator, api)
    shown = show(rotator, "status", PYTHONIOENCODING="ascii")
    assert shown.text.isascii()
    assert re.search(r"fine-bot +#######-{8} ", shown.text)


def test_a_long_name_is_not_cut(rotator: Runner, api: Sandbox) -> None:
    name = "n" * 64
    fleet.put(rotator.folder, "a.env", api.issue(days=60))
    fleet.write_config(rotator, {name: ["dotenv:a.env"], "luna-bot": ["dotenv:b.env"]})
    shown = show(rotator, "status")
    assert has_fitting_lines(shown, 80)
    lines = shown.lines
    place = next(number for number, line in enumerate(lines) if name in line)
    assert re.search(r"60 days|59 days", lines[place + 1])


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that is open to others, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_what_stores_and_settings_hold_cannot_steer_the_terminal(
    rotator: Runner, api: Sandbox, folder: Path
) -> None:
    evil = folder / "\x1b]0;evil\x07\x1b[2J\u202eevil"
    evil.mkdir()
    fleet.put(evil, "a.env", api.issue(days=60))
    rotator.env_file.symlink_to(evil / "a.env")
    rotator.env["ROTATOR_STORE"] = "dotenv:.env dotenv:b.env"
    raw = show(rotator, "status", columns=200).raw
    assert not {"\u202e", "\x07"} & set(raw)
    assert not re.search(r"\x1b[^\[]|\x1b\[[0-9;]*[^0-9;m]", raw)  # colours, and no more


EVIL = "\x1b[2J\x9b2J\x07\u202e\r\nevil"


def test_nothing_that_comes_from_elsewhere_steers_the_terminal() -> None:
    found = Report(
        *(EVIL, Status.OK, EVIL, EVIL, Action.FAILED, EVIL, EVIL, NOON),
        stores=(StoreReport(EVIL, StoreState.BEHIND, EVIL),),
        old_tokens=(OldToken(EVIL, OldTokenState.WAITING, NOON + timedelta(days=1), EVIL),),
        level=Severity.ERROR,
    )
    states = TokenStates()
    states.watch([EVIL])
    states.record(Look(found._replace(error=EVIL, failure=EVIL), NOON, NOON))
    for report in (found, found._replace(error=EVIL)):
        states.record(Look(report, NOON, NOON))
        rows = build_rows(states.by_name(), (), NOON)
        fleet = FleetStatus(rows, NOON, EVIL, EVIL)
        for view in (StatusView(fleet), StatusView(fleet, is_named=True)):
            painted = Painter(Console(width=200), "utf-8").paint(view)
            assert all(line.plain.isprintable() for line in painted)
            assert "evil" in "".join(line.plain for line in painted)
            lines = view_as_lines(view).split("\n")
            assert all(line.isprintable() for line in lines)


def test_a_fact_has_one_colour_however_many_lines_it_takes() -> None:
    message = "it takes more than one line of this narrow terminal to say it"
    store = StoreReport("dotenv:///.env", StoreState.BEHIND, message)
    states = TokenStates()
    states.watch(["luna"])
    states.record(Look(Report("luna", Status.OK, "ok", "fine", stores=(store,)), NOON, NOON))
    fleet = FleetStatus(build_rows(states.by_name(), (), NOON), NOON, "here", None)
    lines = Painter(Console(width=40), "utf-8").paint(StatusView(fleet, is_named=True))
    (begin,) = [number for number, line in enumerate(lines) if "it takes" in line.plain]
    told = lines[begin : begin + 2]
    assert "than one line" in told[1].plain
    assert {str(line.spans[-1].style if line.spans else line.style) for line in told} == {
        str(lines[begin].style)
    }


def test_of_a_large_fleet_those_are_shown_that_matter(rotator: Runner, api: Sandbox) -> None:
    for number in range(1000):
        fleet.put(rotator.folder, f"{number}.env", api.issue(days=20 + number / 20))
    fleet.put(rotator.folder, "7.env", api.issue(days=1))
    names = {f"bot-{number}": [f"dotenv:{number}.env"] for number in range(1000)}
    fleet.write_config(rotator, names)
    shown = show(rotator, "status")
    assert shown.status == 1
    assert shown.lines[0] == "! 1 due  ✓ 999 ok"
    named = re.findall(r"^[✗!?✓] \w+ +(bot-\d+)", shown.text, re.MULTILINE)
    assert named[:3] == ["bot-7", "bot-0", "bot-1"]
    assert len(named) == 30
    assert shown.lines[-1] == "… 970 more that need nothing (970 ok)"
