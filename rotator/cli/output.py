"""Results on stdout: a table on a terminal, a line per token elsewhere, or JSON."""

import json
import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from importlib.util import find_spec
from typing import Any, Protocol

from rotator.audit import token_field
from rotator.cli.logs import GROUP, GROUPED
from rotator.cli.summary import sort_by_urgency
from rotator.cli.tables import render_table, wrap
from rotator.clock import minute
from rotator.errors import OutputError, one_line
from rotator.rotation.model import CHANGED, Action, OldTokenState, StoreReport, StoreState
from rotator.rotation.policy import Status
from rotator.rotation.report import (
    Report,
    describe_old_tokens,
    describe_others,
    group_by_cause,
    remaining_life,
    summarize,
)
from rotator.stores.port import shorten_url

_LEAK = (
    (
        "a revoked token still works as a bearer until it expires; only a new signing key ends"
        " that: ask the API's operator (all tokens are then refused: rotate renews them)"
    ),
    (
        "it had the rights of the admin who minted it: revoke the tokens in the API's list that"
        " nobody knows"
    ),
    "remove it from where it leaked, and restart the bots that read it only when they start",
)
AFTERWARDS = "; what was done is done: see rotator check"
_PATIENCE = 1.0  # seconds after which a run shows how far it is
_log = logging.getLogger(__name__)
# Reasons that the columns say in other words.
_IN_THE_ROW = ("ok", "eternal", "expiring", "last_day", "expired")
_COLOURS = {
    Status.OK: "green",
    Status.ETERNAL: "green",
    Status.DUE: "yellow",
    Status.UNKNOWN: "magenta",
}


class Form(StrEnum):
    """What results look like on stdout; text is a table on a terminal."""

    TEXT = "text"
    JSON = "json"
    JSON_LINES = "json-lines"


class _JsonObject(Protocol):
    def to_json(self) -> Mapping[str, Any]: ...


def as_json(items: Iterable[_JsonObject]) -> str:
    """Return a JSON array; of a long list, only one object at a time is taken apart."""
    rows = ["  " + json.dumps(i.to_json(), indent=2).replace("\n", "\n  ") for i in items]
    return "[\n{}\n]\n".format(",\n".join(rows)) if rows else "[]\n"


def is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def can_draw() -> bool:
    """Tell whether results may be tables in colour; without rich they are lines, as in a pipe."""
    return is_terminal() and find_spec("rich") is not None


def can_ask() -> bool:
    """Tell whether somebody sits at a terminal, who sees a question and can answer it."""
    streams = (sys.stdin, sys.stderr)
    return all(stream is not None and stream.isatty() for stream in streams)


def write(text: str, hint: str = "") -> None:
    """Print a text, unless the reader of stdout is gone: it has seen enough.

    Raises `OutputError`, which ends with the hint, when the text cannot be written.
    """
    if sys.stdout is None:  # somebody closed it
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        pass  # the exit code still says how things stand
    except OSError as error:
        raise OutputError(f"the results could not be written ({error.strerror}){hint}") from None


def write_lines(lines: Iterable[str], hint: str = "") -> None:
    """Print lines; on a terminal each fits its width, with a hanging indent.

    Raises `OutputError` as `write` does.
    """
    write(_fit(lines), hint)


def _fit(lines: Iterable[str]) -> str:
    fit = wrap if is_terminal() else str
    return "".join(f"{fit(line)}\n" for line in lines)


def show_results(reports: Sequence[Report], form: Form = Form.TEXT, last: str = "") -> None:
    """Print the reports, the most urgent first, then the line `last`; and log what failed.

    Raises `OutputError` when they cannot be written.
    """
    try:
        if form is Form.JSON:
            text = as_json(reports)
        elif form is Form.JSON_LINES:
            text = "".join(f"{json.dumps(report.to_json())}\n" for report in reports)
        else:
            shown, end = sort_by_urgency(reports), [last] if last else []
            text = _as_table(shown, end) if can_draw() else _fit(as_lines(shown, end))
        write(text, AFTERWARDS)
    finally:
        log_failures(reports)


def log_failures(reports: Iterable[Report]) -> None:
    """Log what failed, for each token; in a log for people, many with one cause share a line."""
    for group in group_by_cause(reports):
        first, others = group[0], describe_others(group)
        level = logging.getLevelNamesMapping()[(first.level or "error").upper()]
        for report in group:
            extra = {**token_field(report.name), GROUPED: others is not None}
            _log.log(level, "%s: %s", report.name, report.error, extra=extra)
        if others:
            _log.log(level, "%s: %s; %s", first.name, first.error, others, extra={GROUP: True})


def log_leak_steps(reports: Sequence[Report]) -> None:
    """Log what remains to be done by hand after a leak, if a token was revoked for it."""
    states = {(old.state, old.message) for report in reports for old in report.old_tokens}
    if (OldTokenState.REVOKED, None) in states:
        for number, step in enumerate(_LEAK, 1):
            _log.warning("after a leak (%s of %s): %s", number, len(_LEAK), step)


def as_lines(reports: Sequence[Report], last: Sequence[str] = ()) -> list[str]:
    """Return a line for each token; a failure is logged instead."""
    shown = (report for report in reports if report.action is not Action.FAILED)
    return [*(one_line(summarize(report)) for report in shown), *last]


def _as_table(reports: Sequence[Report], last: Sequence[str]) -> str:
    from rich.markup import escape  # noqa: PLC0415 - only a terminal needs it

    has_acted = any(report.action for report in reports)
    rows = [
        (
            report.name,
            f"[{_COLOURS.get(report.status, 'red')}]{report.status}[/]",
            *([str(report.action or "")] if has_acted else []),
            remaining_life(report),
            minute(report.expires_at) if report.expires_at else "–",
            "\n".join(escape(_describe_store(store, report)) for store in report.stores),
        )
        for report in reports
    ]
    action = ["action"] if has_acted else []
    titles = ["token", "status", *action, "left", "expires", "store"]
    told = [report for report in reports if _has_more_to_tell(report)]
    table = render_table(titles, rows, ["expires", "left"]) if rows else ""
    return table + _fit(as_lines(told, last))


def _has_more_to_tell(report: Report) -> bool:
    """Whether there is more to say of a token than its row shows."""
    is_in_the_row = report.reason in _IN_THE_ROW or report.action in CHANGED
    return not is_in_the_row or bool(report.remarks) or any(describe_old_tokens(report))


def _describe_store(store: StoreReport, report: Report) -> str:
    url = shorten_url(store.store)
    usual = StoreState.WRITTEN if report.action is Action.ROTATED else StoreState.CURRENT
    return url if store.status is usual else f"{url} ({store.status})"


@contextmanager
def progress_bar(total: int) -> Iterator[Callable[[], None]]:
    """Yield a function that counts a token as done, from any thread.

    A run of several tokens that takes longer than a second shows a bar, if stderr is a terminal.
    """
    if total <= 1 or not sys.stderr.isatty() or find_spec("rich") is None:
        yield lambda: None
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.progress import Progress  # noqa: PLC0415 - only a terminal needs it

    bar = Progress(console=Console(file=sys.stderr), transient=True)
    task, begun = bar.add_task("tokens", total=total), time.monotonic()

    def advance() -> None:
        bar.advance(task)
        if time.monotonic() - begun > _PATIENCE:
            bar.start()

    try:
        yield advance
    finally:
        if bar.live.is_started:
            bar.stop()
