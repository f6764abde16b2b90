"""The image, built and run as its own user and as any other; only the store can be written."""

import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.image import lock
from tests.image.building import OTHER_BASE, built
from tests.image.readme import docker_runs
from tests.image.running import Image, end, process_one, start
from tests.support.process import Runner, Running
from tests.support.sandbox import Sandbox
from tests.support.waiting import PATIENCE

OWN, ARBITRARY = "10001:10001", "123456:0"
EVERYBODY = pytest.mark.parametrize("user", [OWN, ARBITRARY])


def missing() -> str | None:
    """Say why no image can be built here, or None."""
    if os.geteuid() != 0:
        return "it takes root"
    needed = ["buildah", "unshare", "setpriv"]
    needed += [] if os.environ.get(OTHER_BASE) else ["debootstrap"]
    absent = [program for program in needed if shutil.which(program) is None]
    return f"there is no {', no '.join(absent)} on this machine" if absent else None


pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with built() as (root, config):
        yield Image(root, config)


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """What a volume at /token becomes; it is not below a folder that only root may enter."""
    folder = tmp_path / "token"
    folder.mkdir()
    return folder


def given(rotator: Runner, token: Path, user: str) -> dict[str, str]:
    """Return the environment of a container that shares this folder; it belongs to the user."""
    uid, gid = map(int, user.split(":"))
    password = token / "password"
    password.write_text(Path(rotator.env["NOCTURNA_ADMIN_PASSWORD_FILE"]).read_text())
    for path in (token, *token.iterdir()):
        os.chown(path, uid, gid)
    changed = {
        "NOCTURNA_ADMIN_PASSWORD_FILE": "/token/password",
        "ROTATOR_STORE": "dotenv:///token/.env",
    }
    return {**rotator.env, **changed}


@EVERYBODY
def test_it_rotates_a_token_in_a_mounted_folder(
    image: Image, rotator: Runner, api: Sandbox, token: Path, user: str
) -> None:
    (token / ".env").write_text(f"NOCTURNA_SERVICE_TOKEN={api.issue(days=3)}\n")
    (token / ".env").chmod(0o600)
    env = given(rotator, token, user)
    done = image.run("rotate", user=user, mounts=(f"{token}:/token",), env=env)
    rotator.transcript.add("image: rotate", done.stdout + done.stderr)
    assert (done.returncode, done.stderr) == (0, "")
    assert api.tokens[-1].id in (token / ".env").read_text()
    assert oct((token / ".env").stat().st_mode)[-3:] == "600"


@EVERYBODY
def test_it_shows_the_demo_and_its_version(image: Image, user: str) -> None:
    assert image.run("--version", user=user).stdout.startswith("rotator, version ")
    done = image.run("demo", user=user, mounts=("tmpfs:/tmp",))
    assert (done.returncode, done.stderr) == (0, "")
    assert "The old token stays valid" in done.stdout


def test_nothing_but_the_store_can_be_written(image: Image) -> None:
    for place in ("/", "/tmp", "/token", "/opt/rotator/lib", "/etc/nocturna-rotator"):  # noqa: S108 - of the image
        done = image.run("-c", f"id -u; : > {place}/here", entrypoint=("sh",))
        assert done.stdout == "10001\n"
        assert "Read-only file system" in done.stderr


@EVERYBODY
def test_exec_is_process_one_and_passes_sigterm_on(
    image: Image, rotator: Runner, api: Sandbox, token: Path, user: str
) -> None:
    (token / ".env").write_text(f"NOCTURNA_SERVICE_TOKEN={api.issue()}\n")
    (token / ".env").chmod(0o600)
    bot = 'trap "echo ended >&2; exit 5" TERM; echo "parent $PPID as $(id -u)" >&2; '
    bot += "while :; do sleep 0.1; done"
    env = given(rotator, token, user)
    command = image.command(
        "exec", "--", "sh", "-c", bot, user=user, mounts=(f"{token}:/token",), env=env
    )
    process = start(command)
    running = Running(process)
    try:
        assert running.wait_for("parent").strip() == f"parent 1 as {user.partition(':')[0]}"
        os.kill(process_one(running.process.pid), signal.SIGTERM)
        running.wait_for("ended")
        assert running.process.wait(PATIENCE) == 5
    finally:
        end(process)
        rotator.transcript.add("image: exec", running.result().err)


def test_its_packages_are_those_of_the_lock(image: Image) -> None:
    version = "-c", "import sys; print('%d.%d' % sys.version_info[:2])"
    python = image.run(*version, entrypoint=("/opt/rotator/bin/python3",)).stdout.strip()
    found = {str(canonicalize_name(name)): each for name, each in image.packages().items()}
    own = found.pop("nocturna-rotator")
    assert found == lock.installed(lock.LOCK, python)
    assert own in image.run("--version").stdout


def test_all_backends_and_extras_start_in_it(image: Image) -> None:
    code = "import apprise, boto3, httpx, hvac, prometheus_client, yaml; print('fine')"
    assert image.run("-c", code, entrypoint=("/opt/rotator/bin/python3",)).stdout == "fine\n"
    done = image.run("check", env={"ROTATOR_STORE": "vault://secret/x#y"})
    assert "pip install" not in done.stderr


def test_it_holds_no_tool_of_the_build_and_nothing_that_runs_as_root(image: Image) -> None:
    files = [Path(folder, name) for folder, _, names in os.walk(image.root) for name in names]
    assert len(files) > 5000
    programs = {path.name for path in files if path.parent.name in {"bin", "sbin"}}
    tools = {"cc", "gcc", "g++", "clang", "ld", "make", "pip", "pip3", "hatchling", "uv", "git"}
    assert programs & tools == set()
    inside = {str(path.relative_to(image.root)) for path in files}
    assert [path for path in inside if re.search(r"\.cache/|/pip/|^src/|^pip/|^wheel/", path)] == []
    marked = [path for path in files if not path.is_symlink() and path.stat().st_mode & 0o6000]
    assert marked == []


def test_every_module_is_compiled(image: Image) -> None:
    for folder in (image.root / "opt/rotator/lib", *image.root.glob("usr/lib/python3.*/json")):
        sources = list(folder.rglob("*.py"))
        assert sources
        compiled = {path.name.partition(".")[0] for path in folder.rglob("*.pyc")}
        assert [path for path in sources if path.stem.partition(".")[0] not in compiled] == []


def test_the_commands_of_the_readme_work(
    image: Image, rotator: Runner, api: Sandbox, token: Path
) -> None:
    """With the embedded API and a folder for a volume, and without Docker itself."""
    demo, daemon = docker_runs()
    done = image.run(*demo.command, mounts=("tmpfs:/tmp",))
    assert done.returncode == 0
    env = given(rotator, token, OWN)
    assert daemon.env.keys() == env.keys()
    assert daemon.env["ROTATOR_STORE"] == env["ROTATOR_STORE"]
    assert ["luna-token", "/token"] in daemon.volumes
    command = image.command(*daemon.command, mounts=(f"{token}:/token",), env=env)
    process = start(command)
    running = Running(process)
    try:
        running.wait_for("next look at")
        assert api.tokens[-1].id in (token / ".env").read_text()
        os.kill(process_one(running.process.pid), signal.SIGTERM)
        assert running.process.wait(PATIENCE) == 0
    finally:
        end(process)
        rotator.transcript.add("image: daemon", running.result().err)


def test_it_carries_the_labels_of_oci(image: Image) -> None:
    labels = {name.rpartition(".")[2] for name in image.config["Labels"]}
    assert {"title", "description", "licenses", "version", "revision"} <= labels
