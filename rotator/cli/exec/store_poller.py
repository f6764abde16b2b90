"""Reads the stores regularly, and at once when a file changes, in a thread of its own.

Imports watchdog, which costs 30 ms and 5 MB.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from watchdog import events
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from rotator.cli.exec.state_machine import Secrets
from rotator.clock import Clock
from rotator.errors import StoreError
from rotator.rotation.observe import Observation, Unreachable, lack_of, observe_store, snapshot_of
from rotator.stores.port import SecretStore, parse_url, path_of_file_store
from rotator.tokens import ServiceToken, is_live

# Not each write: a log beside the file would wake us all the time. A writer closes it in the end.
_KINDS: list[type[events.FileSystemEvent]] = [
    events.FileClosedEvent,
    events.FileCreatedEvent,
    events.FileDeletedEvent,
    events.FileMovedEvent,
]
_MOST_LINKS = 40  # as in Linux
_log = logging.getLogger(__name__)


class FileWatcher(events.FileSystemEventHandler):
    """Waits for a change of some files, which need not exist, by the kernel's notices (inotify).

    `opening` is held while watchdog opens files, which a child would inherit.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.opening = threading.Lock()
        self._paths = paths
        self._steps: frozenset[str] = frozenset()
        self._changed = threading.Event()
        self._observer: BaseObserver | None = None

    def follow(self) -> None:
        """Watch the folders in which the files are now; forget earlier changes."""
        self._changed.clear()
        steps = [step for path in self._paths for step in steps_to(path)]
        self._steps = frozenset(str(step) for step in steps)
        if not steps:
            return
        try:
            with self.opening:
                if self._observer is None:
                    # It tells as errors what it misses while folders are scheduled anew; the next
                    # regular look notices that.
                    logging.getLogger("watchdog").setLevel(logging.CRITICAL)
                    self._observer = Observer()
                    self._observer.start()
                # Each folder anew, because another one of the same name may be in its place.
                self._observer.unschedule_all()
                for folder in {str(step.parent) for step in steps}:
                    with suppress(FileNotFoundError, NotADirectoryError):
                        self._observer.schedule(self, folder, event_filter=_KINDS)
        except OSError as error:  # the system's limit of watches
            text = "files are not watched (%s): a change is noticed at the next regular look"
            _log.warning(text, error.strerror)
            self._paths = ()

    def wait(self, timeout: float) -> bool:
        """Return True when a file has changed since `follow`, False after that many seconds."""
        return self._changed.wait(timeout)

    def on_any_event(self, event: events.FileSystemEvent) -> None:
        """Take note of a change; watchdog calls this in its own thread."""
        if {os.fsdecode(event.src_path), os.fsdecode(event.dest_path)} & self._steps:
            self._changed.set()


def path_of(store: SecretStore, text: str, folder: Path) -> Path | None:
    """Return the path that was configured as `text`; None if the store is no file."""
    if path_of_file_store(store.url) is None:
        return None
    return (folder / parse_url(text, folder).location.removeprefix("//")).absolute()


def steps_to(path: Path) -> Iterator[Path]:
    """Return each symbolic link on the way to a file, and the file: all that may be replaced.

    Kubernetes replaces one link in the middle of a mounted Secret, `..data`.
    """
    for _ in range(_MOST_LINKS):
        ways = [*reversed(path.parents), path]
        link = next((way for way in ways if _is_link(way)), None)
        if link is None:
            break
        yield link
        path = link.parent / link.readlink() / path.relative_to(link)
    yield path


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except OSError:  # in a folder that we may not enter: reading the store tells so
        return False


class WatchedToken:
    """A token, and what each store showed last: that counts while the store is unreachable."""

    def __init__(self, name: str, stores: Sequence[SecretStore]) -> None:
        self._name = name
        self._stores = stores
        self._latest: dict[str, Observation | Unreachable] = {}
        self._token: ServiceToken | None = None
        self._reported: frozenset[str] = frozenset()

    def read(self, now: datetime) -> ServiceToken:
        """Return the current live token, or the last one while the stores show none.

        Each trouble is logged once. Raises `StoreError` if there has never been a token.
        """
        # By a key for its kind, as its text may differ each time.
        troubles: dict[str, str] = {}
        for store in self._stores:
            answer = observe_store(store)
            if isinstance(answer, Unreachable):
                troubles[f"unreachable {store.url}"] = str(answer.error)
                self._latest.setdefault(store.url, answer)
            else:
                self._latest[store.url] = answer
        snapshot = snapshot_of(self._latest.values(), now)
        if snapshot.current and is_live(snapshot.current, now):
            self._token = snapshot.current
        else:
            for observation in snapshot.reachable:
                reason, message = lack_of(observation, now)
                troubles[f"{reason} {observation.store.url}"] = message
        if self._token is None:
            raise StoreError(f"{self._name}: {'; '.join(troubles.values())}")
        self._report(troubles)
        return self._token

    def _report(self, troubles: dict[str, str]) -> None:
        for kind, trouble in troubles.items():
            if kind not in self._reported:
                text = "%s: %s; the program goes on with the token that it has"
                _log.warning(text, self._name, trouble)
        if self._reported and not troubles:
            _log.info("%s: its stores are in order again", self._name)
        self._reported = frozenset(troubles)


@dataclass(eq=False)
class StorePoller:
    """Reads tokens at once, after each `pause()` seconds, and when a file changes.

    After each time `result` holds the secrets or the error, and `wake_up` is called. `busy` is held
    while stores are read.
    """

    tokens: dict[str, WatchedToken]
    files: FileWatcher
    clock: Clock
    pause: Callable[[], float]
    wake_up: Callable[[], None]
    busy: threading.Lock = field(default_factory=threading.Lock, init=False)
    result: Secrets | Exception | None = field(default=None, init=False, repr=False)

    def start(self) -> None:
        """Start the thread, which runs until the process ends."""
        threading.Thread(target=self._run, name="store poller", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                with self.busy:
                    self.files.follow()  # first, so that a change during the read is noticed
                    now = self.clock()
                    self.result = {name: token.read(now) for name, token in self.tokens.items()}
            except Exception as error:  # noqa: BLE001 - the main thread raises it again
                self.result = error
            self.wake_up()
            self.files.wait(self.pause())
