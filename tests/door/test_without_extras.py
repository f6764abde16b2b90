"""The program without any extra: it works, and tells which one a store needs."""

import os
import pty
import subprocess
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path

import pytest

from tests.door.programs import ROOT
from tests.support.process import Runner
from tests.support.sandbox import Sandbox

SDKS = (
    *("hvac", "boto3", "botocore", "yaml", "apprise", "prometheus_client", "httpx", "nacl"),
    *("apscheduler", "tzlocal", "watchdog", "rich", "pygments", "markdown_it", "mdurl"),
)
PROGRAM = """
import sys
sys.path[:0] = [{root!r}, {packages!r}]
from rotator.__main__ import main
sys.exit(main())
"""


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that is installed here but the SDKs, which Python then cannot find."""
    folder = tmp_path_factory.mktemp("packages")
    for package in Path(sysconfig.get_path("purelib")).iterdir():
        if not package.name.startswith(SDKS):
            (folder / package.name).symlink_to(package)
    return folder


def run(rotator: Runner, packages: Path, *arguments: str) -> tuple[int, str]:
    program = PROGRAM.format(root=str(ROOT), packages=str(packages))
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, "-S", "-c", program, *arguments],
        cwd=rotator.folder,
        env={**inherited, **rotator.env},
        capture_output=True,
        text=True,
        check=False,
    )
    rotator.transcript.add("rotator without extras", done.stdout + done.stderr)
    return done.returncode, done.stdout + done.stderr


def test_files_need_none(rotator: Runner, api: Sandbox, packages: Path) -> None:
    rotator.write_env(api.issue(days=3))
    assert run(rotator, packages, "rotate")[0] == 0
    assert run(rotator, packages, "check")[0] == 0


@pytest.mark.parametrize(
    ("url", "extra"),
    [
        ("vault://secret/bots/luna", "vault"),
        ("aws-secretsmanager://bots/luna?region=eu-west-1", "aws"),
        ("aws-ssm:/bots/luna?region=eu-west-1", "aws"),
        ("kubernetes://bots/luna", "kubernetes"),
    ],
)
def test_a_store_whose_extra_is_missing_names_it(
    rotator: Runner, packages: Path, url: str, extra: str
) -> None:
    rotator.env["ROTATOR_STORE"] = url
    status, output = run(rotator, packages, "check")
    assert status == 3
    assert f"pip install 'nocturna-rotator[{extra}]'" in output


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [(("daemon",), "daemon"), (("exec", "--", "true"), "exec")],
)
def test_a_command_whose_extra_is_missing_names_it(
    rotator: Runner, packages: Path, arguments: tuple[str, ...], extra: str
) -> None:
    status, output = run(rotator, packages, *arguments)
    assert status == 2
    assert output.endswith(f": pip install 'nocturna-rotator[{extra}]'\n")
    assert len(output.splitlines()) == 1
    assert run(rotator, packages, arguments[0], "--help")[0] == 0


def test_without_rich_a_terminal_shows_lines_and_no_picture(
    rotator: Runner, api: Sandbox, packages: Path
) -> None:
    rotator.write_env(api.issue(days=30))
    shown = at_terminal(rotator, packages, "check")
    assert shown.startswith("default: ok – expires in ")
    assert at_terminal(rotator, packages, "status").startswith("default")
    refused = " ".join(at_terminal(rotator, packages, "status", "--watch").split())
    assert "--watch needs the package rich: pip install 'nocturna-rotator[terminal]'" in refused


def at_terminal(rotator: Runner, packages: Path, *arguments: str) -> str:
    program = PROGRAM.format(root=str(ROOT), packages=str(packages))
    master, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-S", "-c", program, *arguments],
        cwd=rotator.folder,
        env={**os.environ, **rotator.env},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    ):
        os.close(terminal)
        shown = b""
        with suppress(OSError):  # as Linux tells that the other side is closed
            while part := os.read(master, 4096):
                shown += part
    os.close(master)
    rotator.transcript.add("rotator at a terminal", text := shown.decode().replace("\r\n", "\n"))
    return text


def test_a_mirror_whose_extra_is_missing_names_it(
    rotator: Runner, api: Sandbox, packages: Path
) -> None:
    rotator.write_env(api.issue(days=60))
    rotator.env["ROTATOR_MIRROR"] = "github-actions://luna/bot#TOKEN"
    status, output = run(rotator, packages, "check")
    assert status == 3
    assert "github-actions: mirrors need the module nacl" in output
    assert "pip install 'nocturna-rotator[github]'" in output
