"""`rotator status --watch`: the picture, painted anew in its place after each look.

It is painted on the terminal's other screen, line over line, and nothing is cleared: so it does not
flicker, and at the end the terminal is as it was.
"""

import logging
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from rotator.cli.status.chain import StatusView
from rotator.cli.status.terminal import Painter
from rotator.errors import DaemonError, one_line
from rotator.signals import STOP, SelfPipe

PAUSE = 5.0  # seconds between two looks
_SHARE = 10  # looks that take long are further apart
_MOST_LINES, _MOST_SHOWN = 20, 3  # of the log
_HINT = f"looks again after {PAUSE:g} seconds or more; Ctrl-C ends it"


class _Poller(threading.Thread):
    """Looks again and again in a thread of its own, so that a slow store delays no signal.

    `view` is what came of the last look that worked, `trouble` why a later one did not, and `error`
    what ended the looks. `told` is called after each.
    """

    def __init__(self, read: Callable[[], StatusView], told: Callable[[], None]) -> None:
        super().__init__(name="looks", daemon=True)
        self.view: StatusView | None = None
        self.trouble: str | None = None
        self.error: BaseException | None = None
        self._read = read
        self._told = told
        self._stopped = threading.Event()

    def run(self) -> None:
        pause = 0.0
        while not self._stopped.wait(pause):
            begun = time.monotonic()
            try:
                self.view, self.trouble = self._read(), None
            except DaemonError as error:  # it may come back
                self.trouble = str(error)
            except BaseException as error:  # noqa: BLE001 - a store's plugin may raise SystemExit
                self.error = error
                self._stopped.set()
            pause = max(PAUSE, _SHARE * (time.monotonic() - begun))
            self._told()

    def stop(self) -> None:
        """End the looks; one in hand is waited for, and each ends within the limits of stores."""
        self._stopped.set()
        self.join()


def watch(read: Callable[[], StatusView]) -> StatusView | None:
    """Show what `read` returns, again and again until Ctrl-C or SIGTERM; return the last view.

    None where there is none yet. Raises what `read` raises, of a daemon that may come back only at
    the end.
    """
    pipe = SelfPipe()
    console = Console(highlight=False)
    live = Live(
        console=console,
        screen=True,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    poller = _Poller(read, pipe.wake_up)
    numbers = b""
    with _held_log() as log, pipe.receive(*STOP, signal.SIGWINCH, signal.SIGTSTP), live:
        poller.start()
        while poller.error is None and not set(numbers) & set(STOP):
            if signal.SIGTSTP in numbers:
                live.stop()
                os.kill(os.getpid(), signal.SIGSTOP)
                live.start()
            lines = (*log, poller.trouble) if poller.trouble else tuple(log)
            live.update(_paint(console, poller.view, lines), refresh=True)
            numbers = pipe.wait(None)
    poller.stop()
    if poller.error:
        raise poller.error
    if poller.trouble:
        raise DaemonError(poller.trouble)
    return poller.view


def _paint(console: Console, view: StatusView | None, log: Sequence[str]) -> Group:
    width, height = console.size
    foot = [Text(one_line(line)[:width], "yellow") for line in log[-_MOST_SHOWN:]]
    if view is None:
        return Group(Text("looking at the tokens", "dim"), *foot)
    foot.append(Text(_HINT, "dim"))
    painter = Painter(console, sys.stdout.encoding, fold=True)
    return Group(*painter.paint(view, height - len(foot)), *foot)


@contextmanager
def _held_log() -> Iterator[Sequence[str]]:
    """Keep the log off a terminal that shows the picture, and write it when that is over."""
    lines: deque[str] = deque(maxlen=_MOST_LINES)
    root = logging.getLogger()
    before = root.handlers[:]
    if sys.stderr.isatty():
        root.handlers[:] = [_HeldLog(each, lines) for each in before]
    try:
        yield lines
    finally:
        root.handlers[:] = before
        sys.stderr.write("".join(f"{line}\n" for line in lines))


class _HeldLog(logging.Handler):
    """Keeps the last lines of another handler, each once."""

    def __init__(self, other: logging.Handler, lines: deque[str]) -> None:
        super().__init__()
        self.setFormatter(other.formatter)
        self.filters = other.filters
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        if line not in self._lines:
            self._lines.append(line)
