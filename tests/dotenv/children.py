"""Real processes: other users, other mount namespaces, and rotators that are killed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.dotenv.helpers import SRC
from tests.support.waiting import PATIENCE

NOBODY = 65534
HOLD = """
import signal
with store_at(path).hold():
    print("held", flush=True)
    signal.pause()
"""
_PRELUDE = """
import logging, os, sys
from pathlib import Path
from rotator.errors import RotatorError
from tests.dotenv.helpers import NO_JOURNAL, put, store_at
logging.disable()
path = Path(sys.argv[1])
if user := int(sys.argv[2]):  # only now: another user may not even see this Python
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
def outcome(action):
    try:
        action()
    except RotatorError as error:
        print(type(error).__name__, error)
    else:
        print("fine")
"""


def _environment() -> dict[str, str]:
    # A child that is killed, or becomes somebody else, cannot write coverage's data in peace.
    kept = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE_")}
    return kept | {"PYTHONPATH": SRC}


def start(code: str, path: Path, *more: str, user: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _PRELUDE + code, str(path), str(user), *more],
        cwd=SRC,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def running(code: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Let another process do that meanwhile, from its first line of output on."""
    with start(code, path) as child:
        try:
            assert child.stdout
            assert child.stdout.readline()
            yield child
        finally:
            child.kill()


def output(code: str, path: Path, *, user: int = 0) -> str:
    child = start(code, path, user=user)
    out, err = child.communicate(timeout=PATIENCE)
    assert (err, child.returncode) == ("", 0)
    return out.strip()


def output_in_mounts(mounts: str, code: str, path: Path) -> str:
    """Run `code` where `mounts`, lines of sh that see the path as $1, are only its own."""
    command = ["unshare", "-m", "sh", "-ec", f'{mounts}\nshift; exec "$@"', "sh", str(path)]
    program = [sys.executable, "-c", _PRELUDE + code, str(path), "0"]
    ran = subprocess.run(
        command + program,
        cwd=SRC,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (ran.stderr, ran.returncode) == ("", 0)
    return ran.stdout.strip()


def why_no_mounts() -> str:
    """Return why there can be no mounts of our own here; empty where there can."""
    if sys.platform != "linux":
        return "mount namespaces are Linux's"
    ran = subprocess.run(
        ["/usr/bin/env", "unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"],
        capture_output=True,
        check=False,
    )
    return "" if ran.returncode == 0 else "mounting needs root, and a container may forbid it"
