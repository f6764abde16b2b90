"""The kernel's word that something in a folder changed: inotify on Linux, through watchdog.

Costs 30 ms and 5 MB: imported only where a store is a file.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from watchdog.events import (
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import ObservedWatch

# Not each write: a log beside the file would wake us all the time. A writer closes it in the end.
_KINDS: list[type[FileSystemEvent]] = [
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
]
_OPEN = "/dev/fd"  # there is a name in it for each descriptor
_Place = tuple[str, int, int]


class Folders:
    """Watches folders, and calls `changed` in a thread of its own with the paths of each change."""

    def __init__(self, changed: Callable[[set[str]], None]) -> None:
        self._handler = _Handler(changed)
        self._watches: dict[_Place, ObservedWatch] = {}
        with _kept_from_children():
            self._observer = Observer()
            self._observer.start()

    def watch(self, folders: Iterable[Path]) -> None:
        """Watch these and no others; what is not there is left out.

        Raises `OSError` at the system's limit of watches.
        """
        wanted = {place for folder in folders if (place := _place(folder))}
        # A folder that was removed and made anew often has the number of the one before.
        over = {e.watch for e in self._observer.emitters if not e.should_keep_running()}
        for place, watch in list(self._watches.items()):
            if place not in wanted or watch in over:
                self._observer.unschedule(self._watches.pop(place))
        with _kept_from_children():
            for place in wanted - self._watches.keys():
                with suppress(FileNotFoundError, NotADirectoryError):
                    self._watches[place] = self._observer.schedule(
                        self._handler, place[0], event_filter=_KINDS
                    )


class _Handler(FileSystemEventHandler):
    def __init__(self, changed: Callable[[set[str]], None]) -> None:
        self._changed = changed

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._changed({os.fsdecode(event.src_path), os.fsdecode(event.dest_path)})


@contextmanager
def _kept_from_children() -> Iterator[None]:
    """Close in each child what is opened meanwhile: watchdog leaves its descriptors open there."""
    before = _inheritable()
    try:
        yield
    finally:
        for descriptor in _inheritable() - before:
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - it has no name


def _inheritable() -> set[int]:
    found: set[int] = set()
    for name in os.listdir(_OPEN):  # noqa: PTH208 - numbers, not paths
        with suppress(OSError):  # the one through which they were listed is closed
            if os.get_inheritable(int(name)):
                found.add(int(name))
    return found


def _place(folder: Path) -> _Place | None:
    """Return a folder's path and identity: one that was put in another's place is another one."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return str(folder), status.st_dev, status.st_ino
