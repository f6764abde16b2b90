"""Whole rotations whose last step is a restart, from a config file to the pods."""

import socket
from pathlib import Path

import pytest

from rotator.hooks.hooks import HookEvent
from rotator.rotation.model import Action
from tests.kubernetes.cluster import write_kubeconfig
from tests.kubernetes.helpers import Rotate
from tests.kubernetes.plant import NAME, Plant
from tests.kubernetes.site import JOURNAL, Site
from tests.support.sandbox import Sandbox

DEPLOYMENT = f"deployment/{NAME}"


@pytest.fixture
def plant(site: Site, api: Sandbox) -> Plant:
    """A workload that is not there yet, beside a token that is due."""
    site.put(api.issue(days=3))
    return Plant(site)


def token(
    *stores: str, name: str = "luna", restart: str = f"deployment/{NAME}", **more: str
) -> str:
    lines = [f"{key} = {value}\n" for key, value in more.items()]
    urls = ", ".join(f'"{store}"' for store in stores)
    head = f'[[token]]\nname = "{name}"\nstores = [{urls}]\nrestart = ["{restart}"]\n'
    return head + "".join(lines)


def test_a_rotation_replaces_the_pods_once(
    site: Site, plant: Plant, rotate: Rotate, caplog: pytest.LogCaptureFixture
) -> None:
    plant.build()
    [report] = rotate(token(site.store_url))
    assert caplog.messages.count(f"luna: the pods of {DEPLOYMENT} are replaced") == 1
    assert (report.action, report.error) == (Action.ROTATED, None)
    assert plant.generation() == 2
    assert plant.annotations()["nocturna-rotator/token.luna"].startswith(f"{report.token_id}/")
    assert "hook=" not in journal(site)
    assert [each.action for each in rotate(token(site.store_url))] == [Action.KEPT]
    assert plant.generation() == 2


def test_a_restart_that_fails_is_tried_again_and_keeps_the_old_token_alive(
    site: Site, plant: Plant, rotate: Rotate, api: Sandbox
) -> None:
    old = str(site.secret())
    [report] = rotate(token(site.store_url))
    assert report.action is Action.ROTATED
    assert report.error == (
        f"restart of {plant.name}: there is no Deployment luna-bot in the namespace"
        f" {site.namespace}, or no such namespace: create it, or correct `restart`; the next run"
        " tries it again"
    )
    assert "hook=" in journal(site)
    assert api.accepts(old)
    plant.build()
    [report] = rotate(token(site.store_url))
    assert (report.action, report.error) == (Action.KEPT, None)
    assert report.remarks == ("1 hook that an earlier run left undone worked now",)
    assert plant.generation() == 2
    assert not api.accepts(old)


def test_who_died_before_it_was_noted_does_not_replace_the_pods_again(
    site: Site, plant: Plant, rotate: Rotate
) -> None:
    rotate(token(site.store_url))
    unfinished = journal(site)
    plant.build()
    rotate(token(site.store_url))
    site.patch({"metadata": {"annotations": {JOURNAL: unfinished}}})
    [report] = rotate(token(site.store_url))
    assert report.remarks == ("1 hook that an earlier run left undone worked now",)
    assert plant.generation() == 2


def test_pods_are_replaced_again_when_a_store_that_was_away_gets_the_token(
    site: Site, plant: Plant, rotate: Rotate, tmp_path: Path
) -> None:
    plant.build()
    stores = (site.store_url, "dotenv:away/.env")
    [report] = rotate(token(*stores))
    assert (report.action, plant.generation()) == (Action.ROTATED, 2)
    (tmp_path / "away").mkdir()
    [report] = rotate(token(*stores))
    assert (report.action, report.error) == (Action.CONVERGED, None)
    assert plant.generation() == 3


def test_two_tokens_restart_a_workload_once_each(
    site: Site, plant: Plant, rotate: Rotate, api: Sandbox
) -> None:
    plant.build()
    site.put(api.issue(days=3), key="SOL")
    other = site.store_url.partition("#")[0] + "#SOL"
    both = token(site.store_url) + token(other, name="sol", restart=plant.name)
    assert [each.error for each in rotate(both)] == [None, None]
    rotate(both)
    assert plant.generation() == 3


def test_commands_come_before_restarts(site: Site, plant: Plant, rotate: Rotate) -> None:
    [report] = rotate(token(site.store_url, hooks='[["false"]]'))
    first, second = str(report.error).split("tries it again; ")
    assert first.startswith("hook 1 (false) ended with exit status 1")
    assert second.startswith(f"restart of {plant.name}: ")


def test_a_server_that_never_answers_has_the_time_of_a_hook(
    rotate: Rotate, api: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(f"NOCTURNA_SERVICE_TOKEN={api.issue(days=3)}\n")
    with socket.create_server(("127.0.0.1", 0)) as unreachable:
        kubeconfig = tmp_path / "silent"
        write_kubeconfig(
            kubeconfig, f"http://127.0.0.1:{unreachable.getsockname()[1]}", {"token": "t"}
        )
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        [report] = rotate(token("dotenv:.env", hook_timeout='"1s"'))
    assert report.action is Action.ROTATED
    assert report.error == (
        f"restart of {DEPLOYMENT}: no answer within 1 s; check the network, or raise"
        " hook_timeout; the next run tries it again"
    )


def test_the_state_of_a_token_changes_with_it_and_with_the_stores_that_hold_it() -> None:
    here = HookEvent("luna", "id", None, ("a:1", "b:2"), "id")
    assert here.state == here._replace(stores=("b:2", "a:1")).state
    others = [here._replace(stores=("a:1",)), here._replace(known_as="sha256:0f")]
    assert len({here.state, *(each.state for each in others)}) == 3


def journal(site: Site) -> str:
    return str((site.whole() or {})["metadata"]["annotations"][JOURNAL])
