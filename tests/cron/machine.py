"""This machine once more, as a throw-away: its files under an overlay, in a container.

What a script installs, adds to /etc or starts in there is gone with it. It needs root,
systemd-nspawn (Debian: systemd-container) and a kernel that lets overlays be mounted.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
OVERLAY = """
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" none "$1/root"
cd "$1/root"
shift
"""
CONTAINER = """
exec systemd-nspawn --quiet --directory=. --register=no --keep-unit --link-journal=no \
    --resolv-conf=off --timezone=off --console=pipe "$@"
"""
# The Python under test, at places that every user may see: it may be below /root, or somebody's
# home, which no other user and no service can enter.
PYTHON = f"""#!/bin/sh
LD_LIBRARY_PATH=/opt/python/lib PYTHONHOME=/opt/python PYTHONPATH=/opt/src:/opt/packages \
    exec /opt/python/bin/python{sysconfig.get_python_version()} "$@"
"""
ROTATOR = """#!/bin/sh
exec /opt/nocturna-rotator/bin/python -m rotator "$@"
"""


def missing(*programs: str) -> str | None:
    """Say why there can be no such machine with these programs, or None."""
    for program in ("unshare", "systemd-nspawn", *programs):
        if shutil.which(program) is None:
            return f"there is no {program} on this machine"
    if os.geteuid() != 0:
        return "it takes root"
    with tempfile.TemporaryDirectory() as folder:
        if _unshared(OVERLAY, folder).returncode:
            return "this kernel or container forbids overlay mounts"
    return None


def run_script(script: str, shared: Path) -> str:
    """Run lines of sh in the machine and return its output; `shared` is its /srv."""
    (shared / "script").write_text(script)
    return _contained(shared, "--as-pid2", "sh", "-eu", "/srv/script")


def boot(script: str, shared: Path) -> str:
    """Boot systemd, run lines of sh as a service, and return the output; `shared` is /srv."""
    (shared / "script").write_text(script)
    (shared / "test.service").write_text("""
[Unit]
DefaultDependencies=no
Requires=sysinit.target
After=sysinit.target
SuccessAction=exit-force
FailureAction=exit-force

[Service]
Type=oneshot
ExecStart=sh -eu /srv/script
StandardOutput=file:/srv/output
StandardError=inherit
TimeoutStartSec=2min
""")
    unit = "/etc/systemd/system/test.service"
    words = f"--bind-ro={shared}/test.service:{unit}", "--boot", "systemd.unit=test.service"
    console = _contained(shared, *words)
    output = shared / "output"
    return output.read_text() if output.exists() else console


def _contained(shared: Path, *rest: str) -> str:
    programs = shared / "bin"
    programs.mkdir(mode=0o755)
    for name, text in (("python", PYTHON), ("rotator", ROTATOR)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    seen = {
        ROOT: "/opt/src",
        Path(sys.base_prefix): "/opt/python",
        Path(sysconfig.get_path("purelib")): "/opt/packages",
        programs: "/opt/nocturna-rotator/bin",
    }
    binds = [f"--bind-ro={path}:{place}" for path, place in seen.items()]
    with tempfile.TemporaryDirectory() as folder:
        done = _unshared(OVERLAY + CONTAINER, folder, *binds, f"--bind={shared}:/srv", *rest)
    return done.stdout + done.stderr


def _unshared(script: str, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["unshare", "--mount", "sh", "-euc", script, "sh", *words],  # noqa: S607 - any of them
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
