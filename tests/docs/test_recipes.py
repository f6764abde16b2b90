"""The recipes work as they stand: their files are written, their commands run, in their order."""

import configparser
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from rotator.config.loader import load_settings
from rotator.tokens import ServiceToken
from tests.docs.page import ROOT, Block, blocks, sections
from tests.support.listener import listener
from tests.support.process import ROTATOR, Result, Runner
from tests.support.sandbox import BIRTH, Fault, Sandbox
from tests.support.waiting import PATIENCE

CALL = ("POST", "/stateless/natal-chart", 200)
URL = "https://your-api-server.com/api"
PAGE = sections("docs/recipes.md")
# Programs of the machine that must not be what they are: they say what was asked of them.
STAND_INS = {
    "sudo": 'echo "$@" >> "$HOME/sudo"',
    "python3": f"""[ "$1 $2" = "-m venv" ] || exit 9
mkdir -p "$3/bin"
printf '#!/bin/sh\\nexec {sys.executable} "$@"\\n' > "$3/bin/python"
printf '#!/bin/sh\\nexec {ROTATOR} "$@"\\n' > "$3/bin/rotator"
printf '#!/bin/sh\\necho "$@" >> "$HOME/pip"\\n' > "$3/bin/pip"
chmod +x "$3"/bin/*""",
    "logger": 'cat >> "$HOME/log"',
    "editor": 'cat "$HOME/the-password" > "$1"',
    "systemctl": 'echo "$@" >> "$HOME/systemctl"',
}


class Vps:
    """A home on a machine with these programs, and the API for which the recipes are meant."""

    def __init__(self, folder: Path, api: Sandbox, rotator: Runner) -> None:
        self.home = folder / "home"
        self._programs = folder / "programs"
        self._api = api
        self._rotator = rotator
        for each in (self.home / "bot", self._programs):
            each.mkdir(parents=True)
        for name, script in STAND_INS.items():
            path = self._programs / name
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)
        (self.home / "the-password").write_text(f"{api.admin_password}\n")

    def follow(self, block: Block) -> Result | None:
        """Do what a reader does with a block: write the file, or run the commands."""
        if block.language == "cron":
            return None
        if block.path is None:
            return self.run(block.text)
        path = Path(block.path.replace("~", str(self.home)))
        text = block.text.replace(URL, self._api.url)
        if block.is_addition:
            head, rest = path.read_text().split("[[token]]")
            text = f"{head}{text}\n[[token]]{rest}"
        path.write_text(text)
        return None

    def run(self, line: str, *, path: str = os.environ["PATH"]) -> Result:
        """Run a line as `sh` does, with no more of an environment than cron has."""
        done = subprocess.run(
            ["sh", "-euc", line],  # noqa: S607 - any
            cwd=self.home,
            env={"HOME": str(self.home), "PATH": f"{self._programs}:{path}", "EDITOR": "editor"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self._rotator.transcript.add(line, done.stdout + done.stderr)
        return Result(done.returncode, done.stdout, done.stderr)

    @property
    def token(self) -> ServiceToken:
        text = (self.home / "bot/.env").read_text()
        return ServiceToken.parse(text.partition("NOCTURNA_SERVICE_TOKEN=")[2].split()[0])

    def written(self, name: str) -> str:
        path = self.home / name
        return path.read_text() if path.exists() else ""


@pytest.fixture
def vps(tmp_path: Path, api: Sandbox, rotator: Runner) -> Vps:
    return Vps(tmp_path / "machine", api, rotator)


def test_one_bot_on_a_vps_from_nothing_to_a_token_that_renews_itself(
    vps: Vps, api: Sandbox
) -> None:
    (vps.home / "bot/.env").write_text('BOT_NAME="Luna"\n')
    bot = vps.home / "bot/bot"
    bot.write_text('#!/bin/sh\nexec test -n "$NOCTURNA_SERVICE_TOKEN"\n')
    bot.chmod(0o755)
    *steps, run_by_exec, notice = blocks(PAGE["One bot on a VPS"])
    (line,) = [block for block in steps if block.language == "cron"]
    for block in steps:
        result = vps.follow(block)
        assert result is None or result.status == 0, (block.text, result)
    assert vps.written("sudo") == "apt install cron python3-venv\n"
    assert (vps.home / "bot/admin-password").stat().st_mode & 0o777 == 0o600
    first = vps.token
    assert 'BOT_NAME="Luna"\n' in vps.written("bot/.env")
    assert CALL in api.calls
    assert vps.run(run_by_exec.text).status == 0
    assert vps.written("pip") == "install .\ninstall .[exec]\n"
    check_cron_line(vps, api, first, line.text)
    check_notice(vps, notice)


def check_cron_line(vps: Vps, api: Sandbox, first: ServiceToken, line: str) -> None:
    *schedule, command = line.rstrip("\n").split(" ", 5)
    assert schedule == ["17", "*/6", "*", "*", "*"]
    assert "%" not in command  # which cron takes for the end of the line
    again = vps.run(command, path="/usr/bin:/bin")
    assert (again.status, again.out, vps.written("log")) == (0, "", "")
    assert vps.token == first
    due = api.issue(days=3)
    (vps.home / "bot/.env").write_text(f"NOCTURNA_SERVICE_TOKEN={due}\n")
    vps.run(command, path="/usr/bin:/bin")
    assert vps.token.secret != due
    assert vps.written("log") == ""
    (vps.home / "bot/.env").write_text(f"NOCTURNA_SERVICE_TOKEN={due}\n")
    (vps.home / "bot/admin-password").write_text("wrong\n")
    vps.run(command, path="/usr/bin:/bin")
    (failure,) = vps.written("log").splitlines()
    assert failure.startswith("rotator: error: luna-bot: log in: ")


def check_notice(vps: Vps, notice: Block) -> None:
    (command,) = re.findall(r"let\s`(~/.*?notify\s+--test)`", PAGE["One bot on a VPS"], re.DOTALL)
    with listener() as (url, arrived):
        vps.follow(notice._replace(text=notice.text.replace("tgram://BOT-TOKEN/CHAT-ID", url)))
        assert vps.run(command.replace("\n", " ")).status == 0
    assert [each["event"] for each in arrived] == ["test"]


def test_a_bot_under_systemd_is_restarted_by_a_hook(
    vps: Vps, api: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rotator: Runner
) -> None:
    text = PAGE["A bot under systemd"]
    files = {block.path: block.text for block in blocks(text) if block.path}
    config = files["/etc/nocturna-rotator/rotator.toml"]
    rotator.write_env(api.issue(days=3))
    local = config.replace("/srv/luna", str(rotator.folder)).replace(URL, api.url)
    (tmp_path / "rotator.toml").write_text(local)
    del rotator.env["ROTATOR_STORE"]
    monkeypatch.setenv("PATH", f"{vps.home.parent}/programs:{os.environ['PATH']}")
    done = rotator("rotate", "--config", str(tmp_path / "rotator.toml"), HOME=str(vps.home))
    assert (done.status, done.err) == (0, "")
    assert vps.written("systemctl") == "restart luna-bot.service\n"
    check_units(files, store="/srv/luna/.env")
    rule = files["/etc/polkit-1/rules.d/50-nocturna-rotator.rules"]
    allowed = dict(re.findall(r'(?:lookup\("|subject\.)(\w+)"?\)? === "([^"]+)"', rule))
    assert allowed == {"unit": "luna-bot.service", "verb": "restart", "user": "rotator"}
    proof = next(block.text for block in blocks(text) if block.text.startswith("sudo -u rotator"))
    assert proof.strip().endswith("systemctl restart luna-bot.service")
    (environment,) = [block.text for block in blocks(text) if "ROTATOR_CONFIG" in block.text]
    assert 'ROTATOR_CONFIG="/etc/nocturna-rotator/rotator.toml"' in environment


def check_units(files: dict[str, str], store: str) -> None:
    units = {}
    for path, text in files.items():
        if path.startswith("/etc/systemd"):
            units[path.rpartition("/")[2]] = unit = configparser.ConfigParser(strict=False)
            unit.optionxform = str  # type: ignore[assignment,method-assign] # as its manual says
            unit.read_string(text)
    assert units["luna-bot.service"]["Service"]["EnvironmentFile"] == store
    assert units["luna-bot-token.path"]["Path"]["PathChanged"] == store
    restart = units["luna-bot-token.service"]["Service"]["ExecStart"]  # the last of two
    assert restart.endswith(" try-restart luna-bot.service")
    assert set(units) == {"luna-bot.service", "luna-bot-token.path", "luna-bot-token.service"}


@pytest.fixture
def modules(tmp_path: Path, rotator: Runner, api: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the modules of the recipes for several processes, and a token for them."""
    rotator.write_env(api.issue(days=30))
    for title in ("FastAPI", "gunicorn, Django, Flask", "Celery"):
        for block in blocks(PAGE[title]):
            if block.path:
                (tmp_path / block.path).write_text(block.text.replace(URL, api.url))
    monkeypatch.setenv("NOCTURNA_TOKEN_SOURCE", f"dotenv:{rotator.env_file}")
    monkeypatch.setenv("CELERY_BROKER_URL", "memory://")
    return tmp_path


def run_python(folder: Path, code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


FASTAPI = f"""
import asyncio
import httpx
from app import app, lifespan


async def main():
    transport = httpx.ASGITransport(app)
    async with lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        for _ in range(2):
            print((await client.post("/chart", json={BIRTH})).status_code)


asyncio.run(main())
"""
FORKS = f"""
import os, sys
import nocturna

nocturna.calculate({BIRTH})  # the parent has a session, as with --preload
pids = []
for number in range(3):
    if not (pid := os.fork()):
        own = nocturna.session_of(os.getpid())
        is_own = own is not nocturna.session_of(os.getppid())
        answers = [nocturna.calculate({BIRTH})["success"] for _ in range(3)]
        os._exit(0 if is_own and answers == [True] * 3 else 1)
    pids.append(pid)
print([os.waitpid(pid, 0)[1] for pid in pids])
"""
CELERY = f"""
from tasks import app, chart

app.conf.task_always_eager = True
print(chart.delay({BIRTH}).get()["success"])
"""


def test_fastapi_answers_through_one_client_for_each_worker(modules: Path, api: Sandbox) -> None:
    api.misbehave(Fault.unavailable(), "POST /stateless/natal-chart")
    assert run_python(modules, FASTAPI).split() == ["502", "200"]
    assert api.calls[-1] == CALL


def test_each_forked_worker_has_a_session_of_its_own(modules: Path, api: Sandbox) -> None:
    assert run_python(modules, FORKS).strip() == "[0, 0, 0]"
    assert api.calls.count(CALL) == 1 + 3 * 3


def test_a_task_is_done(modules: Path, api: Sandbox) -> None:
    assert run_python(modules, CELERY).strip() == "True"
    assert api.calls[-1] == CALL


def test_the_settings_for_a_web_server_are_settings(tmp_path: Path) -> None:
    (block,) = [each for each in blocks(PAGE["Several processes"]) if each.path]
    (tmp_path / str(block.path)).write_text(block.text)
    (token,) = load_settings(None, {}, tmp_path).tokens
    assert f"NOCTURNA_TOKEN_SOURCE={token.stores[0]}`" in PAGE["Several processes"]


def test_the_commands_name_the_modules_of_the_page() -> None:
    lines = [
        shlex.split(line)
        for title in ("FastAPI", "Celery")
        for block in blocks(PAGE[title])
        if block.path is None
        for line in block.text.splitlines()
    ]
    assert ["uvicorn", "app:app", "--workers", "4"] in lines
    assert ["celery", "--app", "tasks", "worker", "--concurrency", "4"] in lines


def test_the_russian_page_has_the_same_files_and_commands() -> None:
    russian = (ROOT / "docs/recipes.ru.md").read_text()
    english = (ROOT / "docs/recipes.md").read_text()
    assert blocks(russian) == blocks(english)
    assert re.findall(r"^#+ ", russian, re.MULTILINE) == re.findall(r"^#+ ", english, re.MULTILINE)
