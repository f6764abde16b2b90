"""The file that node_exporter's textfile collector reads.

See https://github.com/prometheus/node_exporter#textfile-collector: it wants a whole file at any
time, so a new one takes the old one's place.
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
from rotator.metrics.exposition import Exposition, joined, parsed, present

_LARGEST = 16 * 1024 * 1024  # bytes: some 15,000 tokens
_MODE = 0o644  # node_exporter is another user
_PAUSE = 0.05  # seconds
_log = logging.getLogger(__name__)


def update(path: Path, samples: Samples, tokens: Collection[str], patience: float = 5.0) -> None:
    """Write what is known now into the file, and keep what only earlier runs knew of `tokens`.

    Another run that writes it just now is waited for, `patience` seconds at most. Raises `OSError`
    when it cannot be written; the file is then as it was.
    """
    with _alone(path.parent, patience):
        known = joined(samples, _before(path), tokens)
        # Without our version: the same series in the files of two configs is an error.
        _replace(path, generate_latest(Exposition(present(known), build=False)))


def _before(path: Path) -> Samples:
    try:
        return parsed(_read(path))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it holds something else"
        _log.warning(
            "%s: the metrics of earlier runs are lost (%s); counters begin anew", path, why
        )
        return {}


def _read(path: Path) -> str:
    # Without waiting for anybody, as a pipe would.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
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
def _alone(folder: Path, patience: float) -> Iterator[None]:
    """Keep other runs from writing what they have read before this one wrote."""
    deadline = time.monotonic() + patience
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while not _locked(number) and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        yield
    finally:
        os.close(number)


def _locked(number: int) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: so do the metrics
        return True
    return True
