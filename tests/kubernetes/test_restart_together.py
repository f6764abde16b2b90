"""Tokens of one workload: their run replaces its pods once, and loses no restart."""

from collections.abc import Iterator
from typing import Any

import pytest

from rotator.rotation.model import Action
from tests.kubernetes.plant import NAME, Plant
from tests.kubernetes.site import ROTATOR, Site
from tests.support.listener import listener
from tests.support.process import Runner
from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import PATIENCE, wait_until

NAMES = [f"bot-{number}" for number in range(4)]
Notices = tuple[str, list[dict[str, Any]]]


@pytest.fixture
def plant(site: Site) -> Plant:
    plant = Plant(site)
    plant.build()
    return plant


@pytest.fixture
def notices() -> Iterator[Notices]:
    with listener() as heard:
        yield heard


@pytest.fixture
def bots(site: Site, rotator: Runner, api: Sandbox, notices: Notices) -> Runner:
    """Tokens that are due, in `.env` files beside a cluster, with a workload and a URL for all."""
    config = f'[defaults]\nrestart = ["{site.namespace}/deployment/{NAME}"]\nretire = "now"\n'
    config += f'notify = ["{notices[0]}"]\n'
    for name in NAMES:
        path = rotator.folder / f"{name}.env"
        path.write_text(f"NOCTURNA_SERVICE_TOKEN={api.issue(days=3)}\n")
        path.chmod(0o600)
        config += f'[[token]]\nname = "{name}"\nstores = ["dotenv:{name}.env"]\n'
    (rotator.folder / "rotator.toml").write_text(config)
    rotator.env.pop("ROTATOR_STORE", None)
    rotator.env |= site.variables(site.upstream, ROTATOR)
    return rotator


def secrets(rotator: Runner) -> list[str]:
    return [
        (rotator.folder / f"{name}.env").read_text().rpartition("=")[2].strip() for name in NAMES
    ]


def owing(rotator: Runner) -> list[str]:
    """Return the tokens whose journals have a hook that is not done."""
    return [name for name in NAMES if "hook=" in (rotator.folder / f"{name}.env").read_text()]


@pytest.mark.long
def test_a_run_over_tokens_of_one_workload_replaces_its_pods_once(
    plant: Plant, bots: Runner, api: Sandbox, notices: Notices
) -> None:
    old = secrets(bots)
    result = bots("rotate", "--json")
    assert (result.status, result.err) == (0, "")
    assert plant.generation() == 2
    states = plant.annotations()
    for report in result.json:
        assert states[f"nocturna-rotator/token.{report['name']}"].startswith(report["token_id"])
        assert [each["state"] for each in report["old_tokens"]] == ["revoked"]
    assert owing(bots) == []
    assert not any(api.accepts(secret) for secret in old)
    [notice] = notices[1]
    assert notice["title"] == "bot-0, bot-1, bot-2, bot-3: 4 tokens renewed"
    assert [each["name"] for each in notice["tokens"]] == NAMES
    assert [line.partition(":")[0] for line in notice["message"].splitlines()] == NAMES
    assert bots("rotate").status == 0
    assert (plant.generation(), len(notices[1])) == (2, 1)


@pytest.mark.long
def test_a_token_that_fails_holds_back_no_restart_of_others(
    plant: Plant, bots: Runner, api: Sandbox, notices: Notices
) -> None:
    api.misbehave(Fault.refusal(403), "POST /auth/admin/service-tokens")
    result = bots("rotate", "--json")
    done = [each["name"] for each in result.json if each["action"] == Action.ROTATED]
    assert (result.status, len(done)) == (1, len(NAMES) - 1)
    assert (plant.generation(), len(plant.annotations())) == (2, 1 + len(done))
    told = {each["event"]: [token["name"] for token in each["tokens"]] for each in notices[1]}
    assert told == {"rotated": done, "failed": sorted({*NAMES} - {*done})}


@pytest.mark.long
def test_a_restart_that_fails_is_owed_by_all_and_keeps_their_old_tokens(
    plant: Plant, bots: Runner, api: Sandbox, notices: Notices
) -> None:
    plant.remove()
    old = secrets(bots)
    result = bots("rotate", "--json")
    assert result.status == 1
    assert all("the next run tries it again" in each["error"] for each in result.json)
    assert owing(bots) == NAMES
    assert all(api.accepts(secret) for secret in old)
    plant.build()
    result = bots("rotate", "--json")
    assert (result.status, plant.generation(), owing(bots)) == (0, 2, [])
    worked = ["1 hook that an earlier run left undone worked now"]
    assert [each["notes"] for each in result.json] == [worked] * len(NAMES)
    assert not any(api.accepts(secret) for secret in old)
    assert [each["event"] for each in notices[1]] == ["rotated", "failed"]


def test_a_run_that_is_killed_before_the_restart_leaves_it_to_the_next(
    plant: Plant, bots: Runner, api: Sandbox, notices: Notices
) -> None:
    old, go = secrets(bots), bots.folder / "go"
    with (bots.folder / "rotator.toml").open("a") as config:  # the last token keeps the others
        config.write(f'hooks = [["sh", "-c", "until [ -e {go} ]; do sleep 0.05; done"]]\n')
    with bots.started("rotate") as process:
        wait_until(lambda: not set(old) & set(secrets(bots)), "that all are renewed")
        wait_until(lambda: owing(bots) == NAMES, "that all owe their hooks")
        process.kill()
    assert (plant.generation(), notices[1]) == (1, [])
    go.touch()
    result = bots("rotate", "--json")
    assert (result.status, plant.generation(), owing(bots)) == (0, 2, [])
    assert len(plant.annotations()) == 1 + len(NAMES)
    [notice] = notices[1]
    assert len(notice["tokens"]) == len(NAMES)
    assert not any(api.accepts(secret) for secret in old)


def test_a_restart_of_one_token_alone_does_not_wait_for_the_others(
    plant: Plant, site: Site, bots: Runner, notices: Notices
) -> None:
    go = bots.folder / "go"
    waits = f'[["sh", "-c", "until [ -e {go} ]; do sleep 0.05; done"]]'
    (bots.folder / "rotator.toml").write_text(
        f'[defaults]\nnotify = ["{notices[0]}"]\n'
        f'[[token]]\nname = "bot-0"\nstores = ["dotenv:bot-0.env"]\n'
        f'restart = ["{site.namespace}/deployment/{NAME}"]\n'
        f'[[token]]\nname = "bot-1"\nstores = ["dotenv:bot-1.env"]\nhooks = {waits}\n'
    )
    with bots.started("rotate") as process:
        wait_until(lambda: plant.generation() == 2, "the restart")
        assert notices[1] == []
        go.touch()
        assert process.process.wait(PATIENCE) == 0
    [notice] = notices[1]
    assert len(notice["tokens"]) == 2
