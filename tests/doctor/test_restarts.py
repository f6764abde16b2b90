"""What the doctor says of restarts, and of what did not work after the last rotation."""

import socket
import sys

import pytest

from rotator.cli.doctor import exit_code
from rotator.hooks.hooks import Hooks
from tests.doctor.clinic import Clinic, bad, message
from tests.kubernetes.cluster import write_kubeconfig

RESTART = 'restart = ["deployment/luna-bot"]\n'
SECRET_URL = "slack://T0/B0/hunter2"


@pytest.fixture(autouse=True)
def _healthy(clinic: Clinic) -> None:
    clinic.put(clinic.api.issue(60))


def test_a_restart_that_cannot_be_done_is_a_problem_for_each_workload(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nonexistent")
    found = clinic.examine(toml='restart = ["deployment/luna-bot", "x/statefulset/sol"]')
    assert bad(found) == [("restarts", "problem")] * 2
    assert exit_code(found) == 1
    told = [each.message for each in found if each.topic == "restarts"]
    assert told[0].startswith("restart of deployment/luna-bot: ")
    assert told[1].startswith("restart of x/statefulset/sol: ")
    assert all("/nonexistent" in text for text in told)
    assert {each.token for each in found if each.topic == "restarts"} == {"luna"}


def test_a_cluster_that_never_answers_has_the_time_of_a_hook(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unreachable:
        address = f"http://127.0.0.1:{unreachable.getsockname()[1]}"
        config = write_kubeconfig(clinic.folder / "kubeconfig", address, {"token": "t"})
        monkeypatch.setenv("KUBECONFIG", str(config))
        found = clinic.examine(toml=f'{RESTART}hook_timeout = "1s"')
    assert bad(found) == [("restarts", "problem")]
    assert message(found) == (
        "restart of deployment/luna-bot: no answer within 1 s; check the network, or raise"
        " hook_timeout"
    )


def test_a_door_that_is_broken_is_told_once_among_the_settings(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "backends.kubernetes.workloads", None)
    found = clinic.examine(toml=RESTART)
    assert bad(found) == [("settings", "problem")]
    assert "which serves restarts, cannot be loaded" in message(found)
    assert exit_code(found) == 2


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("undone", "name"),
    [
        (0, 'hook 1 ("true")'),
        (1, 'hook 2 ("printf")'),
        (2, "the restart of deployment/luna-bot"),
        (3, "the notice to URL 1"),
    ],
)
def test_what_has_not_worked_is_named_without_arguments_and_urls(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, undone: int, name: str
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nonexistent")
    toml = f'hooks = [["true"], ["printf", "hunter2"]]\n{RESTART}notify = ["{SECRET_URL}"]'
    [token] = clinic.settings(toml=toml).tokens
    ids = Hooks(token, {}).ids
    note = f"# rotator: v=1 hook={ids[undone]} hook=01234567\n"
    clinic.put(clinic.api.issue(60), note=note)
    found = clinic.examine(toml=toml)
    told = [each.message for each in found if each.topic == "journal"]
    assert told == [
        f"{name} has not worked since the last rotation: rotator rotate takes it up again",
        (
            "1 hook, restart or notice that the settings no longer have has not worked since the"
            " last rotation: rotator rotate runs all that they have now"
        ),
    ]
    assert not any("hunter2" in each.message for each in found)
