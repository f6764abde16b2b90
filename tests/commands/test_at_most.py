"""Runs that renew only so many tokens: the most urgent first, and never too few."""

import json
from collections.abc import Mapping

import pytest

from rotator.rotation.model import Action
from rotator.rotation.policy import Status
from tests.support.process import Runner
from tests.support.sandbox import Sandbox

DUE = {"a": 5.0, "b": 2.0, "c": 4.0, "d": 3.0}


def put(rotator: Runner, api: Sandbox, lives: Mapping[str, float], at_most: object) -> None:
    config = f"[defaults]\nat_most = {json.dumps(at_most)}\n"
    for name, days in lives.items():
        path = rotator.folder / f"{name}.env"
        path.write_text(f"NOCTURNA_SERVICE_TOKEN={api.issue(days)}\n")
        path.chmod(0o600)
        config += f'[[token]]\nname = "{name}"\nstores = ["dotenv:{name}.env"]\n'
        config += f'labels = {{ team = "{name.partition("-")[0]}" }}\n'
    (rotator.folder / "rotator.toml").write_text(config)
    rotator.env.pop("ROTATOR_STORE", None)


def rotated(rotator: Runner, *arguments: str) -> list[str]:
    result = rotator("rotate", *arguments, "--json")
    assert result.status == 0
    return [each["name"] for each in result.json if each["action"] == Action.ROTATED]


def test_a_run_renews_the_most_urgent_and_the_next_one_others(
    rotator: Runner, api: Sandbox
) -> None:
    put(rotator, api, DUE | {"fine": 60.0}, 2)
    assert rotated(rotator) == ["b", "d"]
    assert rotated(rotator) == ["a", "c"]
    assert rotated(rotator) == []


def test_one_that_waits_is_told_and_stays_due(rotator: Runner, api: Sandbox) -> None:
    put(rotator, api, DUE, 3)
    (waiting,) = (e for e in rotator("rotate", "--json").json if e["action"] != Action.ROTATED)
    assert (waiting["name"], waiting["action"]) == ("a", Action.SKIPPED)
    assert (waiting["status"], waiting["error"]) == (Status.DUE, None)
    assert "left for a later run, as at_most permits no more in this one" in waiting["message"]


def test_one_with_less_than_a_day_left_never_waits(rotator: Runner, api: Sandbox) -> None:
    put(rotator, api, {"a": 0.9, "b": 0.5, "over": -1.0, "c": 4.0}, 2)
    assert rotated(rotator) == ["a", "b", "over"]
    assert rotated(rotator) == ["c"]


def test_each_value_of_a_label_has_a_number_of_its_own(rotator: Runner, api: Sandbox) -> None:
    lives = {"stars-1": 3.0, "stars-2": 2.0, "moons-1": 5.0, "moons-2": 6.0}
    put(rotator, api, lives, "1 per team")
    assert rotated(rotator) == ["stars-2", "moons-1"]


@pytest.mark.parametrize("arguments", [("--force", "--all"), ("a",)], ids=" ".join)
def test_what_is_forced_or_named_alone_does_not_wait(
    rotator: Runner, api: Sandbox, arguments: tuple[str, ...]
) -> None:
    put(rotator, api, DUE, 1)
    assert "a" in rotated(rotator, *arguments)
