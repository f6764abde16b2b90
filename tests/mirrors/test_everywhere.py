"""One token in `.env`, in pass, in the Parameter Store and in GitHub, each away in turn."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

import tests.aws.site as aws_site
from tests.aws.parameters import ParameterSite
from tests.command import conftest as programs
from tests.command.conftest import installed
from tests.mirrors.servers import TOKEN, Github, serving
from tests.support.crew import ALL_STORES, Crew
from tests.support.process import ROTATOR, Runner
from tests.support.relay import Relay
from tests.support.sandbox import Sandbox
from tests.support.world import MINT

PLACES = (
    *(pytest.param(place, marks=pytest.mark.long) for place in ("env", "ssm")),
    *("pass", "github"),
)
PLACE = "/repos/luna/bot/actions/"
URL = "github-actions://luna/bot#TOKEN"


gnupg = programs.gnupg


@pytest.fixture(scope="session")
def crew() -> Iterator[Crew]:
    with Crew(*ALL_STORES) as crew:
        yield crew


@pytest.fixture(scope="session")
def parameter() -> Iterator[ParameterSite]:
    with aws_site.running() as cloud:
        yield ParameterSite(cloud)


class Everywhere:
    def __init__(
        self, rotator: Runner, api: Sandbox, parameter: ParameterSite, home: Path, stack: ExitStack
    ) -> None:
        self.rotator = rotator
        self.parameter = parameter
        self.relay = stack.enter_context(Relay(parameter.upstream))
        self.github = Github(PLACE)
        github = stack.enter_context(serving(self.github))
        self.folder = rotator.folder / "bot"
        self.folder.mkdir()
        self.store = rotator.folder / "store"
        self.gpg = {**os.environ, "GNUPGHOME": str(home), "PASSWORD_STORE_DIR": str(self.store)}
        self.old = api.issue(days=3)
        (self.folder / ".env").write_text(f"NOCTURNA_SERVICE_TOKEN={self.old}\n")
        self.run_pass("init", "bot@luna")
        self.run_pass("insert", "-m", "bots/luna", given=f"{self.old}\nuser: luna\n")
        parameter.put(self.old)
        program = installed("pass_store.py", rotator.folder)
        stores = ["dotenv:bot/.env", f"command:{program}#bots/luna", parameter.store_url]
        config = {"name": '"luna-bot"', "stores": json.dumps(stores), "mirrors": f'["{URL}"]'}
        lines = (f"{key} = {value}\n" for key, value in config.items())
        (rotator.folder / "rotator.toml").write_text("[[token]]\n" + "".join(lines))
        del rotator.env["ROTATOR_STORE"]
        rotator.env |= {
            "GITHUB_API_URL": github,
            "GH_TOKEN": TOKEN,
            **{key: self.gpg[key] for key in ("GNUPGHOME", "PASSWORD_STORE_DIR", "PATH")},
            **parameter.variables(self.relay.url),
        }

    def run_pass(self, *arguments: str, given: str = "") -> str:
        done = subprocess.run(
            ["pass", *arguments],  # noqa: S607 - whichever there is
            env=self.gpg,
            input=given,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def held(self) -> dict[str, str | None]:
        secret = f"{PLACE}secrets/TOKEN"
        return {
            "env": (self.folder / ".env").read_text().splitlines()[-1].partition("=")[2],
            "pass": self.run_pass("show", "bots/luna").splitlines()[0],
            "ssm": self.parameter.secret(),
            "github": self.github.held(secret) if secret in self.github.secrets else None,
        }

    def away(self, place: str) -> AbstractContextManager[None]:
        folders = {"env": self.folder, "pass": self.store}
        return _moved(folders[place]) if place in folders else self._silent(place)

    @contextmanager
    def _silent(self, place: str) -> Iterator[None]:
        with ExitStack() as stack:
            if place == "ssm":
                stack.enter_context(self.relay.away())
            else:
                self.github.broken = 503
                stack.callback(setattr, self.github, "broken", None)
            yield


@contextmanager
def _moved(folder: Path) -> Iterator[None]:
    away = folder.rename(folder.with_name("away"))
    yield
    away.rename(folder)


@pytest.fixture
def everywhere(
    rotator: Runner, api: Sandbox, parameter: ParameterSite, gnupg: Path
) -> Iterator[Everywhere]:
    with ExitStack() as stack:
        yield Everywhere(rotator, api, parameter, gnupg, stack)


@pytest.mark.sample(1)
@pytest.mark.parametrize("place", PLACES)
def test_what_was_away_is_caught_up_without_a_second_mint(
    everywhere: Everywhere, rotator: Runner, api: Sandbox, place: str
) -> None:
    with everywhere.away(place):
        result = rotator("rotate", "--json")
    (report,) = result.json
    assert (result.status, report["action"]) == (1, "rotated"), result.err
    held = everywhere.held()
    stale = held.pop(place)
    (secret,) = set(held.values())
    assert secret != stale
    again = rotator("rotate", "--json")
    (report,) = again.json
    assert (again.status, report["error"]) == (0, None), again.err
    assert set(everywhere.held().values()) == {secret}
    assert secret
    assert api.accepts(secret)
    assert api.calls.count(MINT) == 1
    assert everywhere.run_pass("show", "bots/luna").splitlines()[-1] == "user: luna"
    checked = rotator("check")
    assert checked.status == 0, checked.err


TRACED = "execve,write,pwrite64,writev,sendto,sendmsg,openat"


def test_the_token_goes_to_a_program_by_pipes_alone(
    rotator: Runner, api: Sandbox, tmp_path: Path
) -> None:
    """No argument, no environment and no file but the store's own holds it."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    token = tmp_path / "token"
    token.write_text(f"{api.issue(days=3)}\n")
    program = installed("two_lines.sh", tmp_path)
    trace = tmp_path / "trace"
    rotator.env["ROTATOR_STORE"] = f"command:{program}?args={token}#T"
    strace = ["strace", "-f", "-y", "-s", "4096", "-v", "-e", f"trace={TRACED}", "-o", str(trace)]
    done = subprocess.run(
        [*strace, str(ROTATOR), "rotate"],
        cwd=rotator.folder,
        env={**os.environ, **rotator.env},
        capture_output=True,
        text=True,
        check=False,
    )
    if "ptrace" in done.stderr.lower():
        pytest.skip("this machine lets nobody trace")
    assert done.returncode == 0, done.stderr
    secret = token.read_text().splitlines()[0]
    seen = [line for line in trace.read_text().splitlines() if secret in line]
    places = {place_of(line) for line in seen}
    assert "write pipe" in places
    # Besides, it is in the store's own file, and goes to the API.
    assert places <= {"write pipe", "write token.new", "sendto socket", "write socket"}


def place_of(line: str) -> str:
    """Name the call and what it writes to: `write(3<pipe:[42]>, …`."""
    call = line.partition("(")[0].split()[-1]
    target = line.partition(",")[0].partition("<")[2].rpartition(">")[0]
    kind = target.split(":", 1)[0] if target.startswith(("pipe", "socket", "TCP")) else target
    name = {"TCP": "socket"}.get(kind, Path(kind).name)
    return f"{call} {name}"
