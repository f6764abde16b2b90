"""Where a path leads: only symlinks of people who are trusted with the file are followed.

The kernel's `fs.protected_symlinks` cannot help, since it sees the path that we have resolved. So
a link is refused unless its owner is root, this process's user, or the owner of what it points to.
"""

import os
import stat
import sys
from pathlib import Path

_MOST_LINKS = 40  # as in Linux


class ForeignLinkError(Exception):
    """Somebody who is not trusted with the file put a symlink into the way to it."""


def resolve(path: Path) -> Path:
    """Return where an absolute path leads, as far as it can be followed; a loop stays as it is.

    Raises `ForeignLinkError`.
    """
    if _is_direct(str(path)):
        return path
    found, links = Path(path.anchor), 0
    todo = [*reversed(path.parts[1:])]
    while todo:
        part = todo.pop()
        if part == "..":
            found = found.parent
            continue
        step = found / part
        try:
            status = step.lstat()
            target = Path(step.readlink()) if stat.S_ISLNK(status.st_mode) else None
        except OSError:  # whoever opens the file is told
            return step.joinpath(*reversed(todo))
        if target is None:
            found = step
            continue
        links += 1
        if links > _MOST_LINKS:
            return path
        _refuse_foreign(step, status.st_uid)
        found = Path(target.anchor) if target.is_absolute() else found
        todo += reversed(target.parts[1:] if target.is_absolute() else target.parts)
    return found


def canonical(path: Path) -> str:
    """Return where a path leads, whoever made the symlinks in it."""
    text = str(path)
    return text if _path_of_kernel(text) == text else os.path.realpath(text)


def _is_direct(path: str) -> bool:
    """Tell whether no symlink is in the way, as far as it can be followed, and no `..`.

    Of the paths of a fleet nearly all are, and `Path` takes much longer for each step. For root the
    kernel's word is not enough: a link can lead through `/proc/PID/root` to a file that has the
    same path in another mount namespace. Others may not go there (proc_pid_root(5)).
    """
    if os.geteuid() != 0 and _path_of_kernel(path) == path:
        return True
    if "/../" in path or path.endswith("/.."):
        return False
    end = 0
    while end >= 0:
        end = path.find("/", end + 1)
        step = path if end < 0 else path[:end]
        try:
            if stat.S_ISLNK(os.lstat(step).st_mode):
                return False
        except OSError:  # whoever opens the file is told
            return True
    return True


def _path_of_kernel(path: str) -> str | None:
    """Return where the kernel says that a path leads; None where nothing is there, or no /proc.

    O_PATH opens nothing, so that a device does not notice (open(2)).
    """
    if sys.platform != "linux":
        return None
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            return os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115 - as above
        finally:
            os.close(fd)
    except OSError:
        return None


def _refuse_foreign(link: Path, owner: int) -> None:
    if owner in (0, os.geteuid()):
        return
    target = Path(os.path.realpath(link))
    for place in (target, target.parent):  # the folder, where there is no file yet
        try:
            status = place.stat()
        except OSError:
            continue
        if status.st_uid == owner:
            return
        break
    shown = str(link) if str(link).isprintable() else repr(str(link))
    raise ForeignLinkError(
        f"{shown} is a symlink of user {owner}, who does not own what it points to: name that file"
        " itself, or have the link's owner changed to root (chown -h)"
    )
