"""Stores that are files of this machine: a change in their folders is noticed at once.

By the kernel's word, through watchdog: inotify on Linux. Where it does not come – a network file
system that another machine writes to – the regular look finds the change later.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rotator.stores.port import SecretStore
from rotator.stores.registry import file_of, parse_url

if TYPE_CHECKING:
    from rotator.exec.store_poller import Folders

_MOST_LINKS = 40  # as in Linux
_log = logging.getLogger(__name__)


def path_of(store: SecretStore, text: str, folder: Path) -> Path | None:
    """Return the file of a store that is one, by the path that was configured as `text`."""
    if file_of(store.url) is None:
        return None
    return (folder / parse_url(text, folder).location.removeprefix("//")).absolute()


def steps(path: Path) -> Iterator[Path]:
    """Return each symbolic link on the way to a file, and the file: what may be put elsewhere.

    Kubernetes replaces a mounted Secret by one link in the middle, `..data`.
    """
    for _ in range(_MOST_LINKS):
        ways = [*reversed(path.parents), path]
        link = next((way for way in ways if way.is_symlink()), None)
        if link is None:
            break
        yield link
        path = link.parent / link.readlink() / path.relative_to(link)
    yield path


class FileEvents:
    """Waits for a change of some files, which need not be there."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._names: frozenset[str] = frozenset()
        self._changed = threading.Event()
        self._folders: Folders | None = None

    def follow(self) -> None:
        """Watch where the files stand now; changes from before are forgotten."""
        self._changed.clear()
        found = [step for path in self._paths for step in steps(path)]
        self._names = frozenset(str(step) for step in found)
        try:
            self._watch({step.parent for step in found})
        except OSError as error:  # the system's limit of watches
            text = "files are not watched (%s): a change is noticed at the next regular look"
            _log.warning(text, error.strerror)
            self._paths = ()

    def wait(self, timeout: float) -> None:
        """Return when a file has changed since `follow`, or after so many seconds."""
        self._changed.wait(timeout)

    def _watch(self, folders: set[Path]) -> None:
        if not folders:
            return
        if self._folders is None:
            from rotator.exec.store_poller import Folders  # noqa: PLC0415 - it says why

            self._folders = Folders(self._take)
        self._folders.watch(folders)

    def _take(self, paths: set[str]) -> None:
        if self._names & paths:
            self._changed.set()
