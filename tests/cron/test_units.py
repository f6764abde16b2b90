"""The systemd units: checked by systemd's own tools, and run by a real systemd."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from rotator.tokens import ServiceToken
from tests.cron import machine
from tests.cron.server import pasted, prepared
from tests.support.process import ROTATOR, Runner
from tests.support.sandbox import Sandbox

UNITS = machine.ROOT / "cron"
SERVICES = ["rotator.service", "rotator-daemon.service"]
WITHOUT_BOOT = machine.missing("systemctl")

needs_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze on this machine"
)
needs_boot = pytest.mark.skipif(WITHOUT_BOOT is not None, reason=str(WITHOUT_BOOT))


def analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["systemd-analyze", *arguments],  # noqa: S607 - whichever there is
        capture_output=True,
        text=True,
        check=False,
    )


def hardening(name: str) -> set[str]:
    """Return what both services must have in common: from User= on, but for the ports."""
    text = (UNITS / name).read_text().partition("\nUser=")[2].partition("\n[Install]")[0]
    return {line for line in text.splitlines() if not line.startswith("#")}


@needs_analyze
def test_systemd_finds_nothing_wrong_with_them(tmp_path: Path) -> None:
    for unit in UNITS.glob("rotator*.*"):
        if unit.suffix in {".service", ".timer"}:
            text = unit.read_text().replace("/opt/nocturna-rotator/bin", str(ROTATOR.parent))
            (tmp_path / unit.name).write_text(text)
    units = sorted(map(str, tmp_path.iterdir()))
    assert len(units) == 3
    done = analyze("verify", "--man=no", *units)
    mine = [line for line in done.stderr.splitlines() if "rotator" in line]
    assert (done.returncode, mine) == (0, [])


@needs_analyze
@pytest.mark.parametrize("name", SERVICES)
def test_their_exposure_is_low_and_each_relaxation_is_explained(name: str) -> None:
    done = analyze("security", "--offline=true", "--threshold=20", "--no-pager", str(UNITS / name))
    assert done.returncode == 0, done.stdout[-300:]
    explained = re.findall(
        r"^# Relaxed: (?:.*\n)+?(?=[^#]|\Z)", (UNITS / name).read_text(), re.MULTILINE
    )
    for setting in (
        "owner and group",
        "PrivateNetwork=",
        "IPAddressDeny=",
        "AF_UNIX",
        "PrivateUsers=",
    ):
        assert any(setting in reason for reason in explained), setting


def test_both_services_are_equally_hardened() -> None:
    assert hardening(SERVICES[0]) == hardening(SERVICES[1])
    assert len(hardening(SERVICES[0])) > 30


PROBE = """#!/bin/sh
# Runs where the rotator runs, before it.
echo "user $(id -un)"
touch /usr/here 2>/dev/null || echo 'cannot write to /usr'
ls /home/luna 2>/dev/null || echo 'cannot see homes'
test -e /tmp/theirs || echo 'cannot see the /tmp of others'
test -d /proc/1 || echo 'cannot see other processes'
grep -c . "$NOCTURNA_ADMIN_PASSWORD_FILE" "$NOCTURNA_ADMIN_EMAIL_FILE"
chown rotator:luna /srv/luna/.env && echo 'may keep an owner'
/opt/nocturna-rotator/bin/python -c 'import apprise, boto3, hvac, yaml; print("SDKs start")'
"""
SEEN_BY_PROBE = [
    "user rotator",
    "cannot write to /usr",
    "cannot see homes",
    "cannot see the /tmp of others",
    "cannot see other processes",
    "/run/credentials/rotator.service/admin-password:1",
    "/run/credentials/rotator.service/admin-email:1",
    "may keep an owner",
    "SDKs start",
]


@needs_boot
def test_a_real_systemd_renews_a_token_in_the_sandbox_and_keeps_the_daemon(
    rotator: Runner, api: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = api.issue(days=3)
    shared = tmp_path_factory.mktemp("srv")
    shared.chmod(0o755)
    (shared / "probe").write_text(PROBE)
    script = f"""
{prepared(api, secret, shared)}
chown root:root /etc/nocturna-rotator/admin-*
chmod 600 /etc/nocturna-rotator/admin-*
mkdir -p /home/luna
touch /tmp/theirs
mkdir /run/systemd/system/rotator.service.d
printf '[Service]\\nExecStartPre=sh /srv/probe\\n' \\
    > /run/systemd/system/rotator.service.d/probe.conf
systemctl mask --runtime systemd-networkd-wait-online NetworkManager-wait-online
{pasted("systemd")}
ls -l luna/.env
systemctl is-active rotator.timer
{pasted("The doctor once a week", "docs/running.md")}
systemctl start rotator-doctor
journalctl -o cat -u rotator-doctor
systemctl is-active rotator-doctor.timer
systemctl show -P TimersCalendar rotator-doctor.timer
{pasted("The daemon under systemd", "docs/running.md")}
until journalctl -u rotator-daemon | grep 'next look'; do sleep 0.1; done
systemctl reload rotator-daemon
until journalctl -u rotator-daemon | grep 'read the settings again'; do sleep 0.1; done
systemctl stop rotator-daemon
systemctl show -P Result rotator-daemon
systemctl show -P ExecMainStatus rotator-daemon
"""
    told = machine.boot(script, shared)
    rotator.transcript.add("systemd", told)
    assert [line for line in SEEN_BY_PROBE if line not in told] == [], told
    assert "default: rotated (expiring)" in told
    assert "-rw-r----- 1 rotator luna" in told
    assert told.count("\nactive\n") == 2, told
    assert "\nno problems, " in told
    assert "OnCalendar=Sun *-*-* 04:47:00" in told
    assert told.endswith("success\n0\n"), told
    _, _, token = (shared / "luna/.env").read_text().strip().rpartition("=")
    assert ServiceToken.parse(token).token_id == api.tokens[-1].id
    assert len(api.tokens) == 2
