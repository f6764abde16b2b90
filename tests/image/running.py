"""Runs the built image as `docker run --read-only --network host` would, by means of unshare."""

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.waiting import PATIENCE

# The root is read-only and without a /tmp; the process is number 1, has no right but its user's,
# and can get none. Mounts that a test gives as "source:target" can be written.
START = """
root=$1 user=$2 folder=$3 mounts=$4; shift 4
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -o remount,bind,ro "$root"
for each in $mounts; do
    case $each in
        tmpfs:*) mount -t tmpfs -o mode=1777 none "$root${each#*:}" ;;
        *) mount --bind "${each%%:*}" "$root${each#*:}" ;;
    esac
done
exec setpriv --no-new-privs chroot --userspec="$user" --groups="" "$root" \
    env --chdir="$folder" "$@"
"""


@dataclass(frozen=True)
class Image:
    root: Path
    config: dict[str, Any]

    def command(
        self,
        *arguments: str,
        user: str = "",
        mounts: tuple[str, ...] = (),
        entrypoint: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Return the command that runs it, as its own user with its own entry point unless told."""
        program = entrypoint or tuple(self.config["Entrypoint"])
        variables = [
            *self.config["Env"],
            *(f"{name}={value}" for name, value in (env or {}).items()),
        ]
        words = [self.root, user or self.config["User"], self.config["WorkingDir"]]
        start = ["unshare", "--mount", "--pid", "--fork", "sh", "-euc", START, "sh"]
        inside = ["-i", *variables, *program, *arguments]
        return [*start, *map(str, words), " ".join(mounts), *inside]

    def run(self, *arguments: str, **how: Any) -> "subprocess.CompletedProcess[str]":  # noqa: ANN401 - as `command`
        return subprocess.run(
            self.command(*arguments, **how),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def packages(self) -> dict[str, str]:
        """Return the Python packages in it, with their versions."""
        code = (
            "import json, importlib.metadata as m;"
            "print(json.dumps({d.name: d.version for d in m.distributions()}))"
        )
        done = self.run("-c", code, entrypoint=("/opt/rotator/bin/python3",))
        found: dict[str, str] = json.loads(done.stdout)
        return found


def start(command: list[str]) -> "subprocess.Popen[str]":
    """Start what `command` returned, with pipes for both outputs."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def process_one(pid: int) -> int:
    """Return the id, out here, of what is process 1 in there; `pid` is that of `start`."""
    (first,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(first)


def end(process: "subprocess.Popen[str]") -> None:
    """Kill process 1, and all in there with it, if it has not ended yet."""
    if process.poll() is None:
        os.kill(process_one(process.pid), signal.SIGKILL)
        process.wait()
