"""The kernel's word that something in a folder changed: inotify on Linux, through watchdog.

Costs 30 ms and 5 MB: imported only where a store is a file.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

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

from rotator.clock import Clock, Draw
from rotator.errors import StoreError
from rotator.exec.state_machine import Secrets
from rotator.rotation.decide import lack_of
from rotator.rotation.observe import Observation, Snapshot, Unreachable, observe_store, snapshot_of
from rotator.stores.port import SecretStore, parse_url, path_of_file_store
from rotator.tokens import ServiceToken, is_live

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


_MOST_LINKS = 40  # as in Linux
_log = logging.getLogger(__name__)


def path_of(store: SecretStore, text: str, folder: Path) -> Path | None:
    """Return the file of a store that is one, by the path that was configured as `text`."""
    if path_of_file_store(store.url) is None:
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
            self._folders = Folders(self._take)
        self._folders.watch(folders)

    def _take(self, paths: set[str]) -> None:
        if self._names & paths:
            self._changed.set()


class Watched:
    """Remembers what each store said last, so that one that goes silent takes nothing back."""

    def __init__(self, name: str, stores: Sequence[SecretStore]) -> None:
        self._name = name
        self._stores = stores
        self._last: dict[str, Observation | Unreachable] = {}
        self._token: ServiceToken | None = None
        self._told: frozenset[str] = frozenset()

    def look(self, now: datetime) -> ServiceToken:
        """Return the current live token, or the last one where the stores show none any more.

        What is wrong is told once. Raises `StoreError` when there has never been a token.
        """
        answers = [observe_store(store) for store in self._stores]
        for answer in answers:
            if isinstance(answer, Observation) or answer.store.url not in self._last:
                self._last[answer.store.url] = answer
        seen = snapshot_of(self._last.values(), now)
        live = seen.current if seen.current and is_live(seen.current, now) else None
        troubles = dict([*_silences(answers), *(() if live else _lacks(seen, now))])
        self._token = live or self._token
        if self._token is None:
            raise StoreError(f"{self._name}: {'; '.join(troubles.values())}")
        self._tell(troubles)
        return self._token

    def _tell(self, troubles: dict[str, str]) -> None:
        for kind, trouble in troubles.items():
            if kind not in self._told:
                text = "%s: %s; the program goes on with the token that it has"
                _log.warning(text, self._name, trouble)
        if self._told and not troubles:
            _log.info("%s: its stores are in order again", self._name)
        self._told = frozenset(troubles)


def _silences(answers: Iterable[Observation | Unreachable]) -> Iterator[tuple[str, str]]:
    """Return what is wrong, by a word for its kind: the text may differ each time."""
    for answer in answers:
        if isinstance(answer, Unreachable):
            yield f"silent {answer.store.url}", str(answer.error)


def _lacks(seen: Snapshot, now: datetime) -> Iterator[tuple[str, str]]:
    for reading in seen.reachable:
        lack = lack_of(reading, now)
        yield f"{lack.reason} {reading.store.url}", lack.message


SPREAD = 0.2  # of the pause between two looks, so that many bots do not come at once


class Rhythm(NamedTuple):
    """`pause` is in seconds; `draw` makes it longer or shorter by a fifth."""

    pause: float
    draw: Draw

    def next(self) -> float:
        """Return the seconds until the next look."""
        return self.pause * self.draw(1 - SPREAD, 1 + SPREAD)


class Looking:
    """Looks when it is time, and at once when a file has changed.

    After each look `result` holds what was found, or the error, and `ring` is called. `busy` is
    held during a look.
    """

    def __init__(
        self,
        tokens: dict[str, Watched],
        events: FileEvents,
        clock: Clock,
        rhythm: Rhythm,
        ring: Callable[[], None],
    ) -> None:
        self._tokens = tokens
        self._events = events
        self._clock = clock
        self._rhythm = rhythm
        self._ring = ring
        self.busy = threading.Lock()
        self.result: Secrets | Exception | None = None

    def start(self) -> None:
        """Look at once, and again and again until the process ends."""
        threading.Thread(target=self._run, name="looking", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                with self.busy:
                    self.result = self._look()
            except Exception as error:  # noqa: BLE001 - the main thread raises it again
                self.result = error
            self._ring()
            self._events.wait(self._rhythm.next())

    def _look(self) -> Secrets:
        self._events.follow()  # before the look, so that what changes after it is noticed
        now = self._clock()
        return {name: token.look(now) for name, token in self._tokens.items()}
