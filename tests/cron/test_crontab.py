"""The crontab's line does what its comments say: run by sh as cron runs it, and by cron itself."""

import fcntl
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from rotator.tokens import ServiceToken
from tests.cron import machine
from tests.cron.server import ETC, pasted, prepared
from tests.support.process import ROTATOR, Result, Runner
from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import PATIENCE

MINT = "POST /auth/admin/service-tokens"
CRONTAB = (machine.ROOT / "cron/rotator.crontab").read_text()
ENTRIES = re.findall(r"^\d.*$", CRONTAB, re.MULTILINE)
VARIABLES = dict(re.findall(r'^([A-Z_]+)="?(.*?)"?$', CRONTAB, re.MULTILINE))
COMMAND, WEEKLY = (entry.split(None, 6)[6] for entry in ENTRIES)


class Cron:
    """Runs the command as cron does: sh, a bare environment, nothing on stdin.

    Only that syslog is spared: many machines of tests have none, and people's need not know.
    """

    def __init__(self, rotator: Runner, api: Sandbox) -> None:
        self.rotator = rotator
        self.etc = rotator.folder / "etc"
        self.etc.mkdir()
        (self.etc / "admin-email").write_text(f"{api.admin_email}\n")
        (self.etc / "admin-password").write_text(f"{api.admin_password}\n")
        (self.etc / "admin-password").chmod(0o640)
        lines = (machine.ROOT / "cron/environment").read_text()
        lines = lines.replace("https://your-api-server.com/api", api.url)
        lines = lines.replace("/srv/luna/.env", str(rotator.env_file))
        (self.etc / "environment").write_text(lines)

    def __call__(self, command: str = COMMAND) -> Result:
        env = {k: v.replace(ETC, str(self.etc)) for k, v in VARIABLES.items()}
        env |= {"PATH": f"{ROTATOR.parent}:/usr/bin:/bin", "JITTER": "0", "HOME": "/"}
        line = command.replace(ETC, str(self.etc)).replace(
            "logger ", "logger --no-act --socket-errors=off "
        )
        done = subprocess.run(
            [env["SHELL"], "-c", line],
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.rotator.transcript.add("crontab", done.stdout + done.stderr)
        return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def cron(rotator: Runner, api: Sandbox) -> Cron:
    return Cron(rotator, api)


def test_it_renews_a_token_that_is_due_without_a_word(
    cron: Cron, rotator: Runner, api: Sandbox
) -> None:
    rotator.write_env(api.issue(days=3))
    assert cron() == Result(0, "", "")
    assert len(api.tokens) == 2
    assert api.tokens[-1].id in rotator.env_file.read_text()


def test_a_failure_is_one_line_for_syslog_and_mail(
    cron: Cron, rotator: Runner, api: Sandbox
) -> None:
    rotator.write_env(api.issue(days=3))
    (cron.etc / "admin-password").write_text("wrong\n")
    result = cron()
    assert result.out == ""
    (line,) = result.err.splitlines()
    assert re.match(r"<27>.* nocturna-rotator: .*default: log in: ", line), line


@pytest.mark.parametrize(
    ("found", "broken"),
    [("rotator rotate", "/none rotate"), ("/environment;", "/none;")],
    ids=["the program", "its settings"],
)
def test_what_cannot_even_be_started_is_told_as_well(cron: Cron, found: str, broken: str) -> None:
    assert COMMAND.count(found) == 1
    result = cron(COMMAND.replace(found, broken))
    (line,) = result.err.splitlines()
    assert re.match(r"<27>.* nocturna-rotator: .*/none\b", line), line


def test_it_gives_way_to_a_run_that_still_lasts_without_a_word(
    cron: Cron, rotator: Runner, api: Sandbox
) -> None:
    rotator.write_env(api.issue(days=3))
    with (cron.etc / "environment").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert cron() == Result(0, "", "")
        assert len(api.tokens) == 1
    assert cron() == Result(0, "", "")
    assert len(api.tokens) == 2


def test_a_run_that_hangs_is_ended_and_the_next_one_has_the_lock(
    cron: Cron, rotator: Runner, api: Sandbox
) -> None:
    rotator.write_env(api.issue(days=3))
    assert COMMAND.count("-k 3m 30m rotator rotate") == 1
    hung = cron(COMMAND.replace("30m rotator rotate --retry-for 10m", "0.1s sleep 3600"))
    (line,) = hung.err.splitlines()
    assert re.match(r"<27>.* nocturna-rotator: timeout: sending signal TERM .*sleep", line), line
    assert cron() == Result(0, "", "")
    assert len(api.tokens) == 2


def test_the_weekly_look_tells_a_wrong_password_before_a_token_is_due(
    cron: Cron, rotator: Runner, api: Sandbox
) -> None:
    rotator.write_env(api.issue(days=80))
    assert cron(WEEKLY) == Result(0, "", "")
    (cron.etc / "admin-password").write_text("wrong\n")
    assert cron() == Result(0, "", "")
    problem, count = cron(WEEKLY).err.splitlines()
    assert re.match(r"<27>.* nocturna-rotator: .*problem: login: ", problem), problem
    assert re.match(r"<27>.* nocturna-rotator: 1 problem, ", count), count
    assert len(api.tokens) == 1


def test_the_weekly_look_rehearses_a_rotation_where_that_is_wanted(
    cron: Cron, rotator: Runner, api: Sandbox
) -> None:
    rotator.write_env(old := api.issue(days=80))
    with (cron.etc / "environment").open("a") as file:
        file.write('ROTATOR_REHEARSE="true"\n')
    assert cron(WEEKLY) == Result(0, "", "")
    assert len(api.tokens) == 2
    assert [row.secret for row in api.live_tokens()] == [old]
    api.misbehave(Fault.refusal(403, "Admin privileges required"), MINT)
    problem, _ = cron(WEEKLY).err.splitlines()
    assert re.match(
        r"<27>.* nocturna-rotator: .*problem: default: the rehearsal failed at mint: ", problem
    ), problem


def test_a_run_waits_up_to_the_jitter() -> None:
    wait = re.search(r"sleep (\"\$\(.*?\)\")", COMMAND)
    assert wait
    drawn = {
        int(subprocess.check_output(["sh", "-c", f"JITTER=3; echo {wait[1]}"]))  # noqa: S607 - any
        for _ in range(60)
    }
    assert drawn == {0, 1, 2, 3}


@pytest.mark.parametrize("entry", ENTRIES, ids=["four times a day", "weekly"])
def test_each_line_is_one_that_cron_can_read(entry: str) -> None:
    *schedule, user, command = entry.split(None, 6)
    assert all(re.fullmatch(r"[\d*/]+", field) for field in schedule)
    assert user == "rotator"
    assert "%" not in command
    assert len(command) < 999  # Debian's cron refuses more


def test_cron_reads_the_file_whole_and_under_its_name() -> None:
    assert CRONTAB.endswith("\n")
    name = Path(shlex.split(pasted("cron").splitlines()[1], comments=True)[-1]).name
    assert re.fullmatch(r"[\w-]+", name)  # cron passes over others


@pytest.mark.skipif(machine.missing("cron") is not None, reason=str(machine.missing("cron")))
def test_a_real_cron_daemon_runs_it_as_its_user(
    rotator: Runner, api: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As the README says; only that @reboot, which is when cron starts, spares a wait of hours."""
    secret = api.issue(days=3)
    shared = tmp_path_factory.mktemp("srv")
    shared.chmod(0o755)
    installed = "/etc/cron.d/nocturna-rotator"
    script = f"""
{prepared(api, secret, shared)}
(cd /root; nocturna-rotator doctor)
{pasted("cron")}
sed -i 's/^JITTER=.*/JITTER=0/' {installed}
job=$(grep 'rotator rotate' {installed} | cut -d' ' -f6-)
echo "@reboot $job" >> {installed}
wait='until grep -q previous= /srv/luna/.env; do sleep 0.1; done'
echo "@reboot $job" | sed "s|sleep [^;]*|$wait|; s/flock -n -E 0/flock/; s/r rotate/& nobody/" \\
    >> {installed}
/opt/nocturna-rotator/bin/python /opt/src/tests/cron/listener.py > syslog &
until test -S /dev/log; do sleep 0.1; done
rm -f /run/crond.*
cron
for _ in $(seq 300); do ! grep -q '^<27>' syslog || break; sleep 0.1; done
ls -l luna/.env
"""
    told = machine.run_script(script, shared)
    rotator.transcript.add("cron", told)
    assert "\nno problems, " in told, told
    assert "-rw-r----- 1 rotator luna" in told, told
    _, _, token = (shared / "luna/.env").read_text().strip().rpartition("=")
    assert ServiceToken.parse(token).token_id == api.tokens[-1].id
    assert len(api.tokens) == 2
    syslog = (shared / "syslog").read_text()
    rotator.transcript.add("syslog", syslog)
    (line,) = re.findall(r"^<27>.* nocturna-rotator: (.*)$", syslog, re.MULTILINE)
    assert "nobody" in line
