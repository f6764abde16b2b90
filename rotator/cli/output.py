"""Results on stdout: a table on a terminal, a line per token elsewhere, or JSON."""

import io
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from rotator.audit import token_field
from rotator.clock import minute
from rotator.errors import OutputError, one_line
from rotator.rotation.model import Action, OldTokenState, StoreReport, StoreState
from rotator.rotation.policy import Status
from rotator.rotation.report import Report, describe_old_tokens, remaining_life, summarize
from rotator.stores.port import DEFAULT_FIELD

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

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
_WIDEST = 10_000  # columns of a table
_PATIENCE = 1.0  # seconds after which a run shows how far it is
_log = logging.getLogger(__name__)
_COLOURS = {
    Status.OK: "green",
    Status.ETERNAL: "green",
    Status.DUE: "yellow",
    Status.UNKNOWN: "magenta",
}


class _JsonObject(Protocol):
    def to_json(self) -> Mapping[str, Any]: ...


def as_json(items: Iterable[_JsonObject]) -> str:
    """Return a JSON array; of a long list, only one object at a time is taken apart."""
    rows = ["  " + json.dumps(i.to_json(), indent=2).replace("\n", "\n  ") for i in items]
    return "[\n{}\n]\n".format(",\n".join(rows)) if rows else "[]\n"


def is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


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


def show_results(reports: Sequence[Report], *, in_json: bool, none: str = "") -> None:
    """Print the reports, or `none` where there are none, and log what failed.

    Raises `OutputError` when they cannot be written.
    """
    try:
        if in_json:
            text = as_json(reports)
        elif not reports:
            text = f"{none}\n"
        else:
            text = _as_table(reports) if is_terminal() else _as_lines(reports)
        write(text, AFTERWARDS)
    finally:
        log_failures(reports)


def log_failures(reports: Iterable[Report]) -> None:
    for report in reports:
        if report.error:
            level = logging.getLevelNamesMapping()[(report.level or "error").upper()]
            _log.log(level, "%s: %s", report.name, report.error, extra=token_field(report.name))


def log_leak_steps(reports: Sequence[Report]) -> None:
    """Log what remains to be done by hand after a leak, if a token was revoked for it."""
    states = {(old.state, old.message) for report in reports for old in report.old_tokens}
    if (OldTokenState.REVOKED, None) in states:
        for number, step in enumerate(_LEAK, 1):
            _log.warning("after a leak (%s of %s): %s", number, len(_LEAK), step)


def terminal_width() -> int:
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it

    return Console().width


def paint(draw: "Callable[[Console], Iterable[Text]]") -> str:
    """Return lines of rich text as a terminal shows them; colours are left out by NO_COLOR."""
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it

    text = io.StringIO()
    console = Console(file=text, highlight=False, width=terminal_width(), force_terminal=True)
    for line in draw(console):
        console.print(line, soft_wrap=True)
    return text.getvalue()


def render_table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], unbroken: Collection[str] = ()
) -> str:
    """Return cells of rich markup as a table; cells are wrapped, but in the columns `unbroken`.

    So ids and URLs can be copied: a table that needs them is wider than the terminal.
    """
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.table import Table  # noqa: PLC0415 - only a terminal needs it

    text = io.StringIO()
    console = Console(file=text, highlight=False, width=_WIDEST, force_terminal=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title, *cells in zip(titles, *rows, strict=True):
        widest = max(console.measure(cell).maximum for cell in (title, *cells))
        table.add_column(title, overflow="fold", width=widest if title in unbroken else None)
    for row in rows:
        table.add_row(*row)
    console.width = max(terminal_width(), console.measure(table).minimum)
    console.print(table)
    return text.getvalue()


def _as_lines(reports: Sequence[Report]) -> str:
    """Return a line for each token; a failure is logged instead."""
    shown = (report for report in reports if report.action is not Action.FAILED)
    return "".join(f"{one_line(summarize(report))}\n" for report in shown)


def _as_table(reports: Sequence[Report]) -> str:
    from rich.markup import escape  # noqa: PLC0415 - only a terminal needs it

    has_acted = any(report.action for report in reports)
    rows = [
        (
            report.name,
            f"[{_COLOURS.get(report.status, 'red')}]{report.status}[/]",
            *([str(report.action or "")] if has_acted else []),
            remaining_life(report),
            minute(report.expires_at) if report.expires_at else "–",
            "\n".join(escape(_describe_store(store)) for store in report.stores),
        )
        for report in reports
    ]
    action = ["action"] if has_acted else []
    text = render_table(["token", "status", *action, "left", "expires", "store"], rows, {"store"})
    if len(reports) > 1:
        counts = Counter(str(report.action or report.status) for report in reports)
        text += ", ".join(f"{count} {word}" for word, count in counts.items()) + "\n"
    return text + _as_lines(
        [
            report
            for report in reports
            if report.status is not Status.OK or report.remarks or any(describe_old_tokens(report))
        ]
    )


def _describe_store(store: StoreReport) -> str:
    url = store.store.removesuffix(f"#{DEFAULT_FIELD}")
    return url if store.status is StoreState.CURRENT else f"{url} ({store.status})"


@contextmanager
def progress_bar(total: int) -> Iterator[Callable[[], None]]:
    """Yield a function that counts a token as done, from any thread.

    A run of several tokens that takes longer than a second shows a bar, if stderr is a terminal.
    """
    if total <= 1 or not sys.stderr.isatty():
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
