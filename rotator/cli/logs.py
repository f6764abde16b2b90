"""Logs on stderr: text for people, or a JSON object per line."""

import json
import logging
import time
from collections.abc import Callable
from typing import TextIO

from rotator import audit
from rotator.cli.tables import wrap
from rotator.clock import rfc3339, utc_now
from rotator.errors import one_line

_A_RUN = 600.0  # seconds
# Of a line about one of many tokens with the same failure, and of the line about them all.
GROUPED = "is_grouped"
GROUP = "is_group"
FORMATS = ("text", "json")


def configure(
    form: str, stream: TextIO, *, tells_events: bool = False, tells_steps: bool = False
) -> None:
    """Log warnings to `stream`; with `tells_events` what the rotator does, too.

    With `tells_steps`, and in JSON, each step of a run is logged as well: the audit trail. On a
    terminal, lines for people fit its width, but for those of a process that stays, with
    `tells_events`: what looks like a terminal may be a container's log.
    """
    handler = logging.StreamHandler(stream)
    fit = wrap if stream.isatty() and not tells_events else str
    handler.setFormatter(_JsonFormatter() if form == "json" else _TextFormatter(fit))
    left_out = GROUP if form == "json" else GROUPED
    handler.addFilter(lambda record: not record.__dict__.get(left_out))
    handler.addFilter(OncePerRun(time.monotonic))
    logging.raiseExceptions = False  # a line that cannot be written must not become a traceback
    logging.captureWarnings(capture=True)  # Python would print them between the lines
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # Its retries matter only when the last one fails.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    if tells_events or tells_steps:
        logging.getLogger("rotator").setLevel(logging.INFO)
    # People read the result of a run; its steps are for programs, and for who wants to know.
    has_trail = tells_steps or form == "json"
    logging.getLogger(audit.LOGGER).setLevel(logging.INFO if has_trail else logging.WARNING)


def leave_out(ending: str) -> None:
    """Log no line that ends so, as the results of the command tell it."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(lambda record: not record.getMessage().endswith(ending))


class OncePerRun(logging.Filter):
    """Lets a warning pass once in ten minutes: a run may read the same store several times.

    The daemon repeats it with its next look.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._told: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to log it."""
        if record.levelno != logging.WARNING:
            return True
        now, key = self._monotonic(), (record.getMessage(), str(record.__dict__.get("audit")))
        while self._told and now - next(iter(self._told.values())) >= _A_RUN:  # the oldest is first
            del self._told[next(iter(self._told))]
        if key in self._told:
            return False
        self._told[key] = now
        return True


class _TextFormatter(logging.Formatter):
    def __init__(self, fit: Callable[[str], str]) -> None:
        super().__init__()
        self._fit = fit

    def format(self, record: logging.LogRecord) -> str:
        message = _message(record)
        if record.name == audit.LOGGER and (token := audit.run_fields().get("token")):
            message = f"{token}: {message}"  # its other fields are for programs
        return self._fit(f"rotator: {record.levelname.lower()}: {message}")


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": rfc3339(utc_now()),
            "level": record.levelname.lower(),
            "logger": record.name,
            **audit.run_fields(),
            **record.__dict__.get("audit", {}),
            "message": _message(record),
        }
        return json.dumps(line)


def _message(record: logging.LogRecord) -> str:
    """Return one line; of an exception it has the class only, as the text may hold a secret."""
    text = record.getMessage()
    if record.name == "py.warnings":  # a line of source code follows
        text = text.strip().partition("\n")[0]
    text = one_line(text)
    if record.exc_info and record.exc_info[0]:
        text = f"{text} ({record.exc_info[0].__name__})"
    return text
