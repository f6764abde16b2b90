"""Many tokens: which are picked, in which order they are shown, and what is said of all at once."""

import json
import os
import pty
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from rotator.cli.summary import sort_by_urgency, summarize_for_monitoring
from rotator.rotation.policy import Status
from rotator.rotation.report import Report
from tests.support.clock import NOON
from tests.support.process import ROTATOR, Runner
from tests.support.sandbox import Sandbox
from tests.support.screen import Screen
from tests.support.waiting import PATIENCE, wait_until

LIVES = {"luna-bot": 60.0, "sol-bot": 3.0, "luna-mail": -1.0, "mars": 20.0}
LABELS = {
    "luna-bot": '{ team = "stars", tier = "gold" }',
    "sol-bot": '{ team = "stars" }',
    "mars": '{ tier = "gold" }',
}


@pytest.fixture
def fleet(rotator: Runner, api: Sandbox) -> Runner:
    """Four tokens: fine, due, expired, and fine but with an end that is near."""
    config = ""
    for name, days in LIVES.items():
        path = rotator.folder / f"{name}.env"
        path.write_text(f"NOCTURNA_SERVICE_TOKEN={api.issue(days)}\n")
        path.chmod(0o600)
        config += f'[[token]]\nname = "{name}"\nstores = ["dotenv:{name}.env"]\n'
        config += f"labels = {LABELS[name]}\n" if name in LABELS else ""
    (rotator.folder / "rotator.toml").write_text(config)
    del rotator.env["ROTATOR_STORE"]
    return rotator


def names(out: str) -> list[str]:
    return re.findall(r"^([\w-]+): ", out, re.MULTILINE)


def test_the_most_urgent_comes_first_and_a_line_about_all_last(fleet: Runner) -> None:
    result = fleet("check")
    *lines, last = result.out.splitlines()
    assert names("\n".join(lines)) == ["luna-mail", "sol-bot", "mars", "luna-bot"]
    assert last.startswith("TOKENS CRITICAL: 1 expired, 1 due, 2 ok; luna-mail: expired 1 day ago ")


def test_tokens_that_were_made_together_stay_in_their_order() -> None:
    ends = {"sol": 50, "luna": 30, "mars": 10, "nova": -10}
    reports = [
        Report(name, Status.OK, "ok", "fine", expires_at=NOON + timedelta(seconds=seconds))
        for name, seconds in ends.items()
    ]
    assert [each.name for each in sort_by_urgency(reports)] == ["nova", "sol", "luna", "mars"]


def test_json_is_in_the_order_of_the_config(fleet: Runner) -> None:
    assert [each["name"] for each in fleet("check", "--json").json] == list(LIVES)


def test_a_single_token_has_no_line_about_all(fleet: Runner) -> None:
    assert len(fleet("check", "mars").out.splitlines()) == 1


PERFORMANCE = re.compile(r"(\S+)=(-?\d+)(s?);([\d:]*);([\d:]*)(?:;(\d*))?")


def test_the_summary_is_one_line_as_a_monitoring_plugin_prints_it(fleet: Runner) -> None:
    result = fleet("check", "--summary")
    assert result.status == 2
    text, _, numbers = result.out.removesuffix("\n").partition(" | ")
    assert "\n" not in text + numbers
    found = {each[1]: each for each in map(PERFORMANCE.fullmatch, numbers.split()) if each}
    assert len(found) == len(numbers.split())
    counts = {name: int(each[2]) for name, each in found.items() if name != "left"}
    assert {name for name, count in counts.items() if count} == {"expired", "due", "ok"}
    assert sum(counts.values()) == len(LIVES)
    assert -90000 < int(found["left"][2]) <= -86400
    assert (found["left"][3], found["left"][4], found["left"][5]) == ("s", "604800:", "0:")


def test_the_summary_has_the_same_numbers_whatever_happens(fleet: Runner) -> None:
    labels = [
        re.findall(r"(\S+)=", fleet("check", name, "--summary").out.partition(" | ")[2])
        for name in ("mars", "luna-mail")
    ]
    assert labels[0] == labels[1]


def test_the_summary_says_what_comes_next_where_all_is_fine(fleet: Runner) -> None:
    told = fleet("check", "--summary", "mars", "luna-bot")
    assert told.status == 0
    assert told.out.startswith("TOKENS OK: 2 ok; mars is the next to expire, in 20 days | ")


def test_the_summary_tells_what_fails_beside_a_good_token(fleet: Runner) -> None:
    config = fleet.folder / "rotator.toml"
    away = '"dotenv:mars.env", "dotenv:nowhere/.env"'
    config.write_text(config.read_text().replace('"dotenv:mars.env"', away))
    told = fleet("check", "--summary", "mars")
    assert told.status == 3
    assert told.out.startswith("TOKENS UNKNOWN: 1 failing; mars: dotenv://")


def test_no_text_in_the_summary_looks_like_the_begin_of_its_numbers() -> None:
    report = Report("luna", Status.EXPIRED, "expired", "a | b")
    assert summarize_for_monitoring([report], {}).count("|") == 1


def test_json_and_summary_exclude_each_other(fleet: Runner) -> None:
    assert fleet("check", "--summary", "--json").status == 3


def test_problems_are_shown_alone(fleet: Runner) -> None:
    result = fleet("check", "--problems")
    assert result.status == 2
    *lines, last = result.out.splitlines()
    assert names("\n".join(lines)) == ["luna-mail", "sol-bot"]
    assert "2 ok" in last
    shown = fleet("check", "--problems", "--json").json
    assert [each["name"] for each in shown] == ["sol-bot", "luna-mail"]
    assert fleet("check", "--problems", "mars").out == ""


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        (["luna-*"], {"luna-bot", "luna-mail"}),
        (["*-bot", "mars"], {"luna-bot", "sol-bot", "mars"}),
        (["[ms]*"], {"mars", "sol-bot"}),
        (["--label", "team=stars"], {"luna-bot", "sol-bot"}),
        (["--label", "team=stars", "--label", "tier=gold"], {"luna-bot"}),
        (["luna-*", "--label", "tier=gold"], {"luna-bot"}),
    ],
)
def test_patterns_and_labels_pick_tokens(
    fleet: Runner, arguments: list[str], chosen: set[str]
) -> None:
    assert {each["name"] for each in fleet("check", "--json", *arguments).json} == chosen
    assert {each["name"] for each in fleet("rehearse", "--json", *arguments).json} == chosen
    examined = fleet("doctor", "--json", *arguments).json
    assert {each["token"] for each in examined if each["token"]} == chosen
    done = fleet("rotate", "--force", "--json", *arguments).json
    assert {each["name"] for each in done} == chosen


@pytest.mark.parametrize("command", ["status", "report"])
def test_labels_pick_what_is_shown_of_a_fleet(fleet: Runner, command: str) -> None:
    shown = fleet(command, "--json", "--label", "team=stars").json["tokens"]
    assert {each["name"] for each in shown} == {"luna-bot", "sol-bot"}


@pytest.mark.parametrize("which", [["luna-bot"], ["--daemon", "9464"]])
def test_a_label_is_for_no_chain_and_no_daemon(fleet: Runner, which: list[str]) -> None:
    result = fleet("status", "--label", "team=stars", *which)
    assert (result.status, result.out) == (2, "")
    assert "--label cannot be combined with NAME or --daemon" in result.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["venus-*"], 'there is no token "venus-*", expected'),
        (["--label", "team=moons"], "expected one of: team=stars, tier=gold"),
        (
            ["luna-*", "sol-bot", "--label", "tier=gold", "--label", "team=moons"],
            'such a name has the label "team=moons", expected one of: team=stars, tier=gold',
        ),
        (
            ["sol-bot", "--label", "tier=gold"],
            'no token of such a name has the label "tier=gold", expected one of: team=stars\n',
        ),
        (
            ["sol-bot", "mars", "--label", "tier=gold", "--label", "team=stars"],
            'has the labels "tier=gold", "team=stars" at once, expected fewer of them',
        ),
        (["luna-mail", "--label", "tier=gold"], "expected labels in the config"),
        (["--label", "team"], "expected NAME=VALUE"),
    ],
)
def test_what_picks_nothing_is_told(fleet: Runner, arguments: list[str], said: str) -> None:
    result = fleet("rotate", *arguments)
    assert (result.status, result.out) == (2, "")
    assert said in result.err


def test_labels_are_shown_and_measured(fleet: Runner) -> None:
    shown = fleet("config", "show").out
    assert 'labels = { team = "stars", tier = "gold" }' in shown
    fleet("rotate", "mars", "--metrics-textfile", "x.prom")
    text = (fleet.folder / "x.prom").read_text()
    assert 'nocturna_rotator_token_info{label_tier="gold",token="mars"} 1.0' in text
    with fleet.started("daemon", "--listen", "0") as running:
        address = running.wait_for("the status page is at").split()[-1]
        running.wait_for("mars")
        url = f"{address}metrics"
        wait_until(lambda: 'label_team="stars"' in requests.get(url, timeout=PATIENCE).text)


@pytest.mark.parametrize("command", ["mint", "status", "access-token"])
def test_a_pattern_is_no_name_of_one_token(fleet: Runner, command: str) -> None:
    result = fleet(command, "luna-*")
    assert result.status == 2
    assert "expected the name of one token" in result.err


def test_what_was_rotated_and_what_failed_is_named_again_at_the_end(fleet: Runner) -> None:
    (fleet.folder / "luna-mail.env").write_text('NOCTURNA_SERVICE_TOKEN="open\n')
    result = fleet("rotate")
    assert result.status == 1
    last = result.out.splitlines()[-1]
    assert last == "1 failed: luna-mail; 1 rotated: sol-bot; 2 kept"


def test_a_forced_rotation_of_all_asks_on_a_terminal(fleet: Runner) -> None:
    before = fleet("check", "--json").json
    screen = Screen([ROTATOR, "rotate", "--force"], fleet.folder, environ(fleet), fleet.transcript)
    screen.wait_for("--force replaces all 4 tokens, due or not")
    screen.answer("Go on?", "n")
    assert screen.end() == 1
    assert [each["token_id"] for each in fleet("check", "--json").json] == [
        each["token_id"] for each in before
    ]
    screen = Screen([ROTATOR, "rotate", "--force"], fleet.folder, environ(fleet), fleet.transcript)
    screen.answer("Go on?", "y")
    assert screen.end() == 0
    assert "4 rotated: luna-bot, sol-bot, luna-mail, mars" in screen.shown


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    "arguments", [["--all"], ["mars"], ["--label", "team=stars"], ["--dry-run"]]
)
def test_what_is_said_already_is_not_asked(fleet: Runner, arguments: list[str]) -> None:
    command: list[str | Path] = [ROTATOR, "rotate", "--force", *arguments]
    screen = Screen(command, fleet.folder, environ(fleet), fleet.transcript)
    assert screen.end() == 0
    assert "Go on?" not in screen.shown


def test_nobody_is_asked_without_a_terminal(fleet: Runner) -> None:
    assert {each["action"] for each in fleet("rotate", "--force", "--json").json} == {"rotated"}


def test_all_and_some_exclude_each_other(fleet: Runner) -> None:
    assert fleet("rotate", "--all", "mars").status == 2


@pytest.mark.sample(3)
@pytest.mark.parametrize("width", [80, 60])
@pytest.mark.parametrize("command", ["check", "rotate --force --all", "tokens list"])
def test_no_line_of_a_terminal_ends_within_a_word(fleet: Runner, width: int, command: str) -> None:
    lines = list(shown_on_a_terminal(fleet, width, *command.split()))
    long = [line for line in lines if len(line) > width]
    assert [line for line in long if " " in line.strip()] == []  # it is one word
    assert any("luna-bot" in line for line in lines)


def shown_on_a_terminal(runner: Runner, width: int, *arguments: str) -> Iterator[str]:
    mine, theirs = pty.openpty()
    env = {**environ(runner), "TERM": "xterm", "COLUMNS": str(width)}
    with subprocess.Popen(
        [ROTATOR, *arguments], cwd=runner.folder, env=env, stdout=theirs
    ) as process:
        os.close(theirs)
        text = b""
        with suppress(OSError):  # Linux says EIO when the other side is gone
            while chunk := os.read(mine, 65536):
                text += chunk
        process.wait()
    os.close(mine)
    shown = re.sub(r"\x1b\[[\d;]*m", "", text.decode())
    runner.transcript.add("a terminal", shown)
    yield from shown.splitlines()


def environ(runner: Runner) -> dict[str, str]:
    return {**os.environ, **runner.env}


@pytest.fixture
def broken(rotator: Runner) -> Runner:
    """Six tokens whose folders are not there, and one whose file is a folder."""
    stores = {f"bot-{number}": f"{number}/.env" for number in range(6)} | {"odd": "odd.env"}
    (rotator.folder / "odd.env").mkdir()
    config = "".join(
        f'[[token]]\nname = "{name}"\nstores = ["dotenv:{store}"]\n'
        for name, store in stores.items()
    )
    (rotator.folder / "rotator.toml").write_text(config)
    del rotator.env["ROTATOR_STORE"]
    return rotator


def test_failures_with_one_cause_share_a_line_for_people(broken: Runner) -> None:
    result = broken("rotate")
    assert result.status == 1
    many, odd = result.err.splitlines()
    assert many.startswith("rotator: error: bot-0: dotenv://")
    assert "there is no folder" in many
    assert many.endswith("; the same with 5 others: bot-1, bot-2, bot-3, bot-4, bot-5")
    assert odd.startswith("rotator: error: odd: dotenv://")


def test_a_log_for_programs_has_a_line_for_each_failure(broken: Runner) -> None:
    lines = broken("rotate", "--log-format", "json").err.splitlines()
    failed = [json.loads(line) for line in lines if '"level": "error"' in line]
    assert [line["token"] for line in failed] == [*(f"bot-{n}" for n in range(6)), "odd"]
    assert not [line for line in failed if "the same with" in line["message"]]
