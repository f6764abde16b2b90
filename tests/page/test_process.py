"""`rotator daemon --listen` as a process."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
import requests

from rotator.daemon.health import LOOK_MARGIN
from tests.support.process import Runner, Running
from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import PATIENCE, wait_until


def address(running: Running) -> str:
    """Return the URL at which the daemon says that its page is."""
    line = running.wait_for("the status page is at")
    found = re.search(r"http://127\.0\.0\.1:\d+/", line)
    assert found, line
    return found[0]


def answer(url: str) -> tuple[int, str]:
    got = requests.get(url, timeout=PATIENCE)
    return got.status_code, got.text


def test_a_daemon_shows_how_it_is_until_its_last_rotation_has_ended(
    rotator: Runner, api: Sandbox
) -> None:
    rotator.write_env(api.issue(days=3))
    in_hand, go_on = Event(), Event()

    def mint_meanwhile() -> None:
        in_hand.set()
        go_on.wait(PATIENCE)

    api.misbehave(Fault.meanwhile(mint_meanwhile, "before"), "POST /auth/admin/service-tokens")
    with rotator.started("daemon", "--listen", "0") as running:
        url = address(running)
        assert in_hand.wait(PATIENCE)
        assert answer(f"{url}healthz") == (200, "ok\n")
        assert answer(f"{url}readyz") == (200, "ready\n")
        running.process.send_signal(signal.SIGTERM)
        running.wait_for("stopping")
        assert answer(f"{url}readyz") == (503, "stopping\n")
        assert answer(f"{url}healthz") == (200, "ok\n")
        go_on.set()
        assert running.process.wait(PATIENCE) == 0
        running.wait_for("default: rotated (expiring)")
    assert api.calls.count(("POST", "/auth/admin/service-tokens", 200)) == 1


def test_a_daemon_shows_its_tokens_and_what_is_wrong_with_its_settings(
    rotator: Runner, api: Sandbox
) -> None:
    secret = api.issue(days=60)
    rotator.write_env(secret)
    with rotator.started("daemon", "--listen", "127.0.0.1:0") as running:
        url = address(running)
        running.wait_for("next look at")
        status, page = answer(url)
        assert status == 200
        assert 'data-state="ok" data-name="default"' in page
        assert not [part for part in secret.split(".") if part in page]
        assert answer(f"{url}metrics")[0] == 200
        (rotator.folder / "admin-password").unlink()
        running.process.send_signal(signal.SIGHUP)
        running.wait_for("the old settings stay in force")
        told = "NOCTURNA_ADMIN_PASSWORD_FILE: cannot read"
        wait_until(lambda: told in answer(url)[1], told)  # the page is made anew every other second
        assert told in answer(f"{url}readyz")[1]
        assert running.stop() == 0


@contextmanager
def slow_disk(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Mount an empty file system, whose process can be stopped."""
    mounted, source = folder / "disk", folder / "source"
    mounted.mkdir()
    source.mkdir()
    with subprocess.Popen(["/usr/bin/bindfs", "-f", source, mounted]) as process:
        wait_until(mounted.is_mount)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            subprocess.run(["/bin/umount", "-l", mounted], check=True)


@pytest.mark.long
@pytest.mark.skipif(
    not (Path("/usr/bin/bindfs").exists() and os.access("/dev/fuse", os.R_OK | os.W_OK)),
    reason="needs bindfs (apt-get install bindfs) and FUSE",
)
def test_a_daemon_that_a_disk_holds_up_renews_the_others_and_is_not_healthy_any_more(
    rotator: Runner, api: Sandbox
) -> None:
    with slow_disk(rotator.folder) as disk:
        tables = []
        soon = 7 + timedelta(seconds=30) / timedelta(days=1)
        for name, env_file, days in (("luna", "disk/luna.env", 3), ("sol", "sol.env", soon)):
            (rotator.folder / env_file).write_text(f"NOCTURNA_SERVICE_TOKEN={api.issue(days)}\n")
            tables += ["[[token]]", f'name = "{name}"', f'stores = ["dotenv:{env_file}"]']
        timeout = '[defaults]\nrotation_timeout = "1s"\n'
        (rotator.folder / "rotator.toml").write_text(timeout + "\n".join(tables))
        del rotator.env["ROTATOR_STORE"]
        stop = Fault.meanwhile(lambda: disk.send_signal(signal.SIGSTOP), "before")
        api.misbehave(stop, "POST /auth/admin/service-tokens")
        with rotator.started("daemon", "--listen", "0") as running:
            url = address(running)
            running.wait_for("sol: rotated (expiring)")
            assert answer(f"{url}healthz") == (200, "ok\n")
            deadline = time.monotonic() + (LOOK_MARGIN + timedelta(minutes=5)).total_seconds()
            while answer(f"{url}healthz")[0] == 200:
                assert time.monotonic() < deadline
                time.sleep(1)
            hangs = (503, "a look at luna has been in hand for 5 minutes: it hangs\n")
            assert (answer(f"{url}healthz"), answer(f"{url}readyz")) == (hangs, hangs)
            disk.send_signal(signal.SIGCONT)
            wait_until(lambda: answer(f"{url}healthz") == (200, "ok\n"))


def test_a_port_in_use_ends_it_before_anything_is_done(rotator: Runner, api: Sandbox) -> None:
    secret = api.issue(days=3)
    rotator.write_env(secret)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = rotator("daemon", "--listen", str(port))
    assert result.status == 2
    assert result.err == (
        f"rotator: --listen 127.0.0.1:{port}: another program listens there: choose another port,"
        " or end that one\n"
    )
    assert secret in rotator.env_file.read_text()
    assert api.calls == []


def test_a_wrong_address_is_told_in_a_line(rotator: Runner) -> None:
    result = rotator("daemon", "--listen", ":9464")
    assert result.status == 2
    assert result.err == (
        "rotator: Invalid value for '--listen': found ':9464', expected [HOST:]PORT, such as 9464,"
        " 0.0.0.0:9464 or [::1]:9464; see rotator daemon --help\n"
    )
