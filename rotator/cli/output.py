"""Results for people and programs: a table on a terminal, plain lines elsewhere, or JSON."""

import json
import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from rotator.audit import token_field
from rotator.clock import minute
from rotator.errors import OutputError, one_line
from rotator.rotation.model import Action, OldTokenState, Report, StoreReport, StoreState
from rotator.rotation.policy import Status
from rotator.rotation.report import describe_old_tokens, remaining_life, summarize
from rotator.stores.port import DEFAULT_FIELD

if TYPE_CHECKING:
    from rich.progress import Progress

_LEAK = (
    """a revoked token still works as a bearer until it expires; only another signing key ends that:
    ask the API's operator (all tokens are then refused: rotate renews them)""",
    """it had the rights of the admin who minted it: revoke those tokens in the API's list that
    nobody knows""",
    "remove it from where it leaked, and restart the bots that read it only at their start",
)
PATIENCE = 1.0  # seconds after which a run shows how far it is
_log = logging.getLogger(__name__)
_COLOURS = {
    Status.OK: "green",
    Status.ETERNAL: "green",
    Status.DUE: "yellow",
    Status.UNKNOWN: "magenta",
}


def show(reports: Sequence[Report], out: TextIO, *, as_json: bool) -> None:
    """Print the reports as one JSON array, as a table on a terminal, or as a summarize each.

    Failures are told by `log_errors`, so they have no summarize here.
    """
    if as_json:
        out.write(json.dumps([report.to_json() for report in reports], indent=2) + "\n")
    elif out.isatty():
        _show_table(reports, out)
    else:
        _show_lines([report for report in reports if report.action is not Action.FAILED], out)
    out.flush()


def log_errors(reports: Sequence[Report]) -> None:
    """Log a summarize for each token with which something went wrong, at its level."""
    for report in reports:
        if report.error:
            level = logging.getLevelNamesMapping()[(report.level or "error").upper()]
            _log.log(level, "%s: %s", report.name, report.error, extra=token_field(report.name))


def log_leak_steps(reports: Sequence[Report]) -> None:
    """Log what remains to be done by hand after a leak, where a token was revoked for it."""
    states = {(old.state, old.message) for report in reports for old in report.old_tokens}
    if (OldTokenState.REVOKED, None) in states:
        for number, step in enumerate(_LEAK, 1):
            _log.warning("after a leak (%s of %s): %s", number, len(_LEAK), step)


def _show_lines(reports: Sequence[Report], out: TextIO) -> None:
    out.writelines(f"{one_line(summarize(report))}\n" for report in reports)


def _show_table(reports: Sequence[Report], out: TextIO) -> None:
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.markup import escape  # noqa: PLC0415 - only a terminal needs it
    from rich.table import Table  # noqa: PLC0415

    acted = any(report.action for report in reports)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("token", "status", *(["action"] if acted else []), "left", "expires", "store"):
        table.add_column(title, overflow="fold")
    for report in reports:
        colour = _COLOURS.get(report.status, "red")
        status = f"[{colour}]{report.status}[/]"
        action = [str(report.action or "")] if acted else []
        stores = "\n".join(escape(_short(store)) for store in report.stores)
        table.add_row(
            report.name, status, *action, remaining_life(report), _expires(report), stores
        )
    Console(file=out, highlight=False).print(table)
    if len(reports) > 1:
        counts = Counter(str(report.action or report.status) for report in reports)
        out.write(", ".join(f"{count} {word}" for word, count in counts.items()) + "\n")
    told = [
        r for r in reports if r.status is not Status.OK or r.notes or any(describe_old_tokens(r))
    ]
    _show_lines([report for report in told if report.action is not Action.FAILED], out)


def _short(store: StoreReport) -> str:
    url = store.store.removesuffix(f"#{DEFAULT_FIELD}")
    return url if store.status is StoreState.CURRENT else f"{url} ({store.status})"


def _expires(report: Report) -> str:
    return minute(report.expires_at) if report.expires_at else "–"


class ProgressBar:
    """A bar on a terminal for a run that takes longer than a second; nothing otherwise."""

    def __init__(self, total: int, err: TextIO) -> None:
        self._total = total
        self._err = err
        self._begun = time.monotonic()
        self._done = 0
        self._bar: Progress | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def advance(self) -> None:
        """Count one token as done; called from many threads."""
        with self._lock:
            self._done += 1
            if self._bar is None and self._total > 1 and self._err.isatty() and self._late():
                self._bar = self._drawn()
            if self._bar is not None:
                self._bar.update(self._bar.task_ids[0], completed=self._done)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _late(self) -> bool:
        return time.monotonic() - self._begun > PATIENCE

    def _drawn(self) -> "Progress":
        from rich.console import Console  # noqa: PLC0415 - only a long run on a terminal needs it
        from rich.progress import Progress  # noqa: PLC0415

        bar = Progress(console=Console(file=self._err), transient=True)
        bar.add_task("tokens", total=self._total)
        bar.start()
        return bar


def write(text: str) -> None:
    """Print a text; raises `OutputError` when it could not be written, say on a full disk."""
    if sys.stdout is None:  # somebody closed it, so nobody wants the results
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        pass  # the reader has seen enough
    except OSError as error:
        raise OutputError(f"the results could not be written ({error.strerror})") from None


def show_results(reports: Sequence[Report], *, as_json: bool, none: str = "") -> None:
    """Print the reports on stdout, or `none` where there are none, and log what went wrong.

    Raises `OutputError` when they cannot be written.
    """
    try:
        if sys.stdout is None:  # somebody closed it, so nobody wants the results
            return
        if reports or as_json:
            show(reports, sys.stdout, as_json=as_json)
        else:
            sys.stdout.write(f"{none}\n")
            sys.stdout.flush()
    except BrokenPipeError:
        pass  # the reader has seen enough: the exit status still tells how things stand
    except OSError as error:
        raise OutputError(
            f"the results could not be written ({error.strerror}); what was done is done: see"
            " rotator check"
        ) from None
    finally:
        log_errors(reports)
