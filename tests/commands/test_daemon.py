"""`rotator daemon` as a process with real signals; time itself is in tests/daemon."""

import json
import signal
import time
from threading import Event

import pytest

from tests.http_client.support import DRIPS, raw_server
from tests.support.process import Runner
from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import PATIENCE
from tests.support.world import EXCHANGE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_rotates_at_the_start_and_ends_with_0(
    rotator: Runner, api: Sandbox, number: signal.Signals
) -> None:
    rotator.write_env(api.issue(days=3))
    with rotator.started("daemon") as running:
        running.wait_for("default: rotated (expiring)")
        assert running.stop(number) == 0
    assert len(api.live_tokens()) == 2


def test_eight_looks_that_never_get_a_whole_answer_hold_neither_the_others_nor_the_end(
    rotator: Runner, api: Sandbox
) -> None:
    # Each store alone would be waited for, for a minute.
    tables = [
        f'[[token]]\nname="{name}"\nrotation_timeout="1s"\nstores='
        f"{json.dumps([f'vault://secret/{name}/{number}#T' for number in range(60)])}\n"
        for name in map("held-{}".format, range(16))
    ]
    tables.insert(8, '[[token]]\nname="luna"\nstores=["dotenv:.env"]\n')
    (rotator.folder / "rotator.toml").write_text("".join(tables))
    del rotator.env["ROTATOR_STORE"]
    rotator.write_env(api.issue(days=3))
    with raw_server(DRIPS["a header"]) as vault:
        rotator.env |= {"VAULT_ADDR": vault.url, "VAULT_TOKEN": "a-token"}
        with rotator.started("daemon") as running:
            running.wait_for("luna: rotated (expiring)")
            running.wait_for("#T: no answer in time")  # of eight; the others are in hand
            assert running.stop(signal.SIGTERM) == 0


def test_a_signal_finishes_the_rotation_in_hand(rotator: Runner, api: Sandbox) -> None:
    old = api.issue(days=3)
    rotator.write_env(old)
    in_hand, go_on = Event(), Event()

    def mint_meanwhile() -> None:
        in_hand.set()
        go_on.wait(PATIENCE)

    api.misbehave(Fault.meanwhile(mint_meanwhile, "before"), "POST /auth/admin/service-tokens")
    with rotator.started("daemon") as running:
        assert in_hand.wait(PATIENCE)
        running.process.send_signal(signal.SIGTERM)
        running.wait_for("stopping")
        go_on.set()
        assert running.process.wait(PATIENCE) == 0
    assert old not in rotator.env_file.read_text()
    assert any("rotated" in line and "no further look" in line for line in running.lines)


def test_a_hangup_reads_the_settings_again(rotator: Runner, api: Sandbox) -> None:
    config = rotator.folder / "rotator.toml"
    config.write_text('[[token]]\nname="old"\nstores=["dotenv:old.env"]\n')
    del rotator.env["ROTATOR_STORE"]
    with rotator.started("daemon") as running:
        running.wait_for("old: rotated (missing)")
        config.write_text('[[token]]\nname="old"\nstore=["dotenv:old.env"]\n')
        running.process.send_signal(signal.SIGHUP)
        running.wait_for("store: found an unknown key, expected stores")
        config.write_text('[[token]]\nname="new"\nstores=["dotenv:new.env"]\n')
        running.process.send_signal(signal.SIGHUP)
        running.wait_for("new: rotated (missing)")
        assert running.stop() == 0
    assert len(api.live_tokens()) == 2


def test_a_hangup_during_a_look_does_not_end_the_watch(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=60))
    api.misbehave(Fault.delay(1.0), f"POST {EXCHANGE}")
    with rotator.started("daemon") as running:
        running.wait_for("watching default")
        while not api.calls:
            running.process.send_signal(signal.SIGHUP)
            time.sleep(0.2)
        running.wait_for("no further look")
        running.wait_for("next look at")
        assert running.stop() == 0


def test_wrong_settings_at_the_start_are_exit_status_2(rotator: Runner) -> None:
    result = rotator("daemon", NOCTURNA_ADMIN_EMAIL="")
    assert result.status == 2
    assert result.err.count("\n") == 1


def test_a_failed_run_is_told_with_the_time_of_the_next(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=3))
    api.misbehave(Fault.refusal(403), "POST /auth/admin/service-tokens", times=None)
    with rotator.started("daemon", "--log-format", "json") as running:
        line = json.loads(running.wait_for("next look at"))
        assert running.stop() == 0
    assert line["level"] == "error"
    assert line["message"].startswith("default: ")
    assert "next look at 2" in line["message"]
