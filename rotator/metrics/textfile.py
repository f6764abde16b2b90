"""The file for node_exporter's textfile collector.

The collector may read at any time, so a new file takes the old one's place as a whole:
https://github.com/prometheus/node_exporter#textfile-collector.
"""

import fcntl
import logging
import os
import stat
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from prometheus_client import generate_latest

from rotator.metrics.definitions import Samples
from rotator.metrics.exposition import Exposition, drop_nan, merge, parse_samples

_LARGEST = 16 * 1024 * 1024  # bytes: about 15,000 tokens
_MODE = 0o644  # node_exporter is another user
_LOCK_POLL = 0.05  # seconds
_log = logging.getLogger(__name__)


def update_textfile(
    path: Path, samples: Samples, tokens: Collection[str], patience: float = 5.0
) -> None:
    """Write the samples, and keep those of earlier runs for `tokens` that this run did not serve.

    Waits at most `patience` seconds for another run that writes the file. Raises `OSError` when it
    cannot be written, and then leaves it as it was.
    """
    with _lock(path.parent, patience):
        merged = merge(samples, _read_earlier(path), tokens)
        # Without the version: node_exporter rejects a series that stands in two configs' files.
        _replace(path, generate_latest(Exposition(drop_nan(merged), build=False)))


def _read_earlier(path: Path) -> Samples:
    try:
        return parse_samples(_read(path))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds something else"
        _log.warning(
            "%s: the metrics of earlier runs are lost (%s); counters start anew", path, reason
        )
        return {}


def _read(path: Path) -> str:
    # O_NONBLOCK: opening a pipe would wait for a writer.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            raise ValueError("no file of metrics")
        return file.read(_LARGEST).decode()


def _replace(path: Path, content: bytes) -> None:
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            os.fchmod(number, _MODE)
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


@contextmanager
def _lock(folder: Path, patience: float) -> Iterator[None]:
    """Keep other runs from reading before this one has written; give up after `patience`."""
    deadline = time.monotonic() + patience
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while not _try_lock(number) and time.monotonic() < deadline:
            time.sleep(_LOCK_POLL)
        yield
    finally:
        os.close(number)


def _try_lock(number: int) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
