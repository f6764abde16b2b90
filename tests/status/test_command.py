"""`rotator status` for pipes and programs: its lines, its JSON, its exit status."""

import re
from typing import Any

import pytest
import requests

from tests.page.test_process import address
from tests.status import fleet
from tests.support.process import Runner
from tests.support.sandbox import Sandbox
from tests.support.waiting import PATIENCE, wait_until

# What a daemon knows that a look does not, and the times of the two looks.
DAEMONS_OWN = {"action", "looked_at", "next_look_at", "succeeded_at", "next"}
OF_THE_MOMENT = {"seconds_left", "days_left", "life"}


def test_each_token_is_a_line_with_what_is_wrong_and_the_worst_is_first(
    rotator: Runner, api: Sandbox
) -> None:
    fleet.make_needy(rotator, api)
    result = rotator("status")
    lines = re.sub(r" \(\d{4}-\d\d-\d\d \d\d:\d\d UTC\)", "", result.out).splitlines()
    copy = f"dotenv://{rotator.folder.resolve()}/copy.env"
    assert lines == [
        "over-bot: expired – expired 2 days ago",
        "due-bot: due – expires in 3 days; renewed below 7 days",
        f"behind-bot: due – 1 store does not hold the current token; no token in: {copy}",
        "hook-bot: unfinished – 1 hook is to be repeated",
        "fine-bot: ok – expires in 41 days; renewed below 7 days",
    ]
    assert (result.status, result.err) == (1, "")
    assert api.calls == []


def test_a_healthy_fleet_exits_0(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=60))
    result = rotator("status")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("default: ok – expires in ")


def test_a_store_that_does_not_answer_needs_attention(rotator: Runner) -> None:
    assert not fleet.look(rotator, None, ROTATOR_STORE="dotenv:nowhere/.env").is_well


@pytest.mark.parametrize("argument", ["nobody", "--config=none.toml"])
def test_a_wrong_call_exits_2_and_prints_nothing(rotator: Runner, argument: str) -> None:
    result = rotator("status", argument)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)


def test_a_probe_finds_a_token_that_the_server_refuses(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=60))
    api.revoke(api.tokens[-1].id)
    assert fleet.look(rotator, None).is_well
    assert api.calls == []
    result = rotator("status", "--probe")
    assert result.status == 1
    assert result.out.startswith("default: refused – ")


def test_a_probe_needs_the_address_of_the_api(rotator: Runner) -> None:
    result = rotator("status", "--probe", NOCTURNA_API_URL="")
    assert (result.status, result.out) == (2, "")


def of_daemon(rotator: Runner) -> dict[str, Any]:
    """Return what a daemon says in JSON once it has looked at the whole fleet."""

    def is_complete() -> object:
        got = requests.get(f"{url}api/v1/status", timeout=PATIENCE)
        answers.append(got.json())
        return answers[-1]["tokens"] and "waiting" not in answers[-1]["counts"]

    answers: list[dict[str, Any]] = []
    with rotator.started("daemon", "--listen", "0") as running:
        url = address(running)
        wait_until(is_complete)
    return answers[-1]


def test_the_json_is_the_daemons_for_the_same_fleet(rotator: Runner, api: Sandbox) -> None:
    fleet.keep(rotator, api)
    by_command, by_daemon = rotator("status", "--json").json, of_daemon(rotator)
    assert list(by_command) == list(by_daemon)
    for key in ("reload_error", "counts"):
        assert by_command[key] == by_daemon[key]
    assert (by_command["source"], by_command["phase"]) == ("stores", None)
    assert (by_daemon["source"], by_daemon["phase"]) == ("daemon", "running")
    names = ["half-bot", "fine-bot", "owing-bot", "eternal-bot"]
    for name, ours, theirs in zip(names, by_command["tokens"], by_daemon["tokens"], strict=True):
        assert list(ours) == list(theirs)
        assert ours["name"] == theirs["name"] == name
        for events in (each.pop("history") for each in (ours, theirs)):
            assert len(events) == (name == "half-bot")
        assert bool(ours.pop("last_failure")) == bool(theirs.pop("last_failure"))
        same = ours.keys() - DAEMONS_OWN - OF_THE_MOMENT
        assert {key: ours[key] for key in same} == {key: theirs[key] for key in same}
        assert ours["life"] == pytest.approx(theirs["life"], abs=1e-3)
        steps = [step for step in theirs["next"] if step["step"] != "look"]
        assert ours["next"] == steps
    (old,) = by_command["tokens"][2]["old_tokens"]
    assert (old["token_id"], old["state"]) == (fleet.OLD_ID, "waiting")
    revocation = {"step": "revocation", "at": old["due_at"], "token_id": fleet.OLD_ID}
    assert by_command["tokens"][2]["next"][0] == revocation
