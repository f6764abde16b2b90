"""An audit hook that hears of every change below a folder, and of every request and process."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

UNSEEN = "open, and write unseen,"
_CHANGING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_ON_ONE_FILE = {
    "fcntl.flock": "lock",
    "fcntl.lockf": "lock",
    "os.chmod": "chmod",
    "os.chown": "chown",
    "os.mkdir": "mkdir",
    "os.remove": "unlink",
    "os.removexattr": "removexattr",
    "os.rmdir": "rmdir",
    "os.setxattr": "setxattr",
    "os.truncate": "truncate",
    "os.utime": "utime",
}
_ON_TWO_FILES = {"os.rename": "rename", "os.link": "link", "os.symlink": "symlink"}
_PROCESSES = ("subprocess.Popen", "os.fork", "os.exec", "os.posix_spawn", "os.system")
_RANDOM = re.compile(r"[0-9a-f]{16}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HEAD = re.compile(rb"([A-Z]+) (?:/api)?(/\S*) HTTP/1\.[01]\r\n")


class Watch:
    """Tells `reach` of each change, before it is made, by a name that is the same in every run."""

    def __init__(self, folder: Path, reach: Callable[[str], None]) -> None:
        self._folder = folder
        self._reach = reach

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            self._opening(*arguments)
        elif event in _ON_ONE_FILE:
            if name := self.name(arguments[0]):
                self._reach(f"{_ON_ONE_FILE[event]} {name}")
        elif event in _ON_TWO_FILES:
            names = [self.name(argument) for argument in arguments[:2]]
            if any(names):
                self._reach(f"{_ON_TWO_FILES[event]} {names[0]} to {names[1]}")
        elif event in _PROCESSES:
            self._reach("start a process")
        elif event == "http.client.send":
            self._sending(arguments[1])

    def name(self, file: int | str | bytes | os.PathLike[str]) -> str | None:
        """Return a file's name inside the folder, None for one that is elsewhere."""
        path = Path(f"/proc/self/fd/{file}").readlink() if isinstance(file, int) else Path(_s(file))
        if not path.is_relative_to(self._folder):
            return None
        return _RANDOM.sub("*", str(path.relative_to(self._folder)))

    def _opening(self, path: Any, mode: str | None, flags: int) -> None:  # noqa: ANN401 - anything
        if flags & _CHANGING and isinstance(path, str | bytes) and (name := self.name(path)):
            # Only what os.open returns is written to by functions that can be wrapped.
            self._reach(f"{'open' if mode is None else UNSEEN} {name}")

    def _sending(self, data: object) -> None:
        head = _HEAD.match(data) if isinstance(data, bytes) else None
        if head:
            path = _RANDOM.sub("{id}", head[2].decode())
            self._reach(f"request {head[1].decode()} {path}")
        else:
            self._reach("send the rest of the request")


def _s(path: str | bytes | os.PathLike[str]) -> str:
    return str(Path(os.fsdecode(path)).absolute())
