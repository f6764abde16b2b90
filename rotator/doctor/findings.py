"""What the doctor says: one object behind each line and each JSON object."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple, TypeVar

from rotator.errors import internal_error, one_line

Facts = TypeVar("Facts")


class Result(StrEnum):
    """How bad it is, as `--json` shows it."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Topic(StrEnum):
    """What was checked, as `--json` shows it under `check`."""

    SETTINGS = "settings"
    API = "api"
    LOGIN = "login"
    CLOCK = "clock"
    HOOKS = "hooks"
    RESTARTS = "restarts"
    STORE = "store"
    TOKEN = "token"  # noqa: S105 - no secret
    JOURNAL = "journal"
    LIST = "list"
    ORPHANS = "orphans"
    INTERNAL = "internal"


class Finding(NamedTuple):
    """One result of one check; `message` is a line, and never holds a secret.

    `token` is the token's name, `store` the URL of the store that it is about, if any.
    """

    topic: Topic
    result: Result
    message: str
    token: str | None = None
    store: str | None = None

    def to_json(self) -> dict[str, str | None]:
        """Return the object that `--json` prints, with stable keys."""
        return {
            "check": self.topic,
            "token": self.token,
            "store": self.store,
            "status": self.result,
            "message": self.message,
        }


Check = Callable[[Facts], Iterable[Finding]]


def findings(
    checks: Sequence[Check[Facts]], facts: Facts, token: str | None = None
) -> Iterator[Finding]:
    """Return what all the checks find; a bug in one becomes a finding and hides no other."""
    for check in checks:
        try:
            yield from list(check(facts))
        except Exception as error:  # noqa: BLE001 - whatever it is, the other checks have their turn
            yield Finding(Topic.INTERNAL, Result.PROBLEM, internal_error(error), token)


_MARKS = {Result.OK: "✓", Result.WARNING: "!", Result.PROBLEM: "✗"}
_MOST_FINE = 30  # lines that tell nothing new; a fleet has thousands


def as_json(found: Sequence[Finding]) -> str:
    """Return one JSON array."""
    return json.dumps([finding.to_json() for finding in found], indent=2) + "\n"


def as_lines(found: Sequence[Finding], encoding: str | None) -> str:
    """Return a line for each finding, what is worst last, with marks if `encoding` has them."""
    marks = _MARKS if _can_print("".join(_MARKS.values()), encoding) else {}
    return "".join(f"{line}\n" for line in _lines(found, marks))


def _lines(found: Sequence[Finding], marks: dict[Result, str]) -> Iterator[str]:
    counts = Counter(finding.result for finding in found)
    for result in Result:
        group = [finding for finding in found if finding.result is result]
        if result is Result.OK and len(group) > _MOST_FINE:
            group, rest = [each for each in group if not each.token], counts[result]
            rest -= len(group)
            yield from (_line(each, marks) for each in group)
            yield f"{_mark(result, marks)}{rest} checks of single tokens (--json shows them)"
            continue
        yield from (_line(each, marks) for each in group)
    words = (("problem", "problems"), ("warning", "warnings"))
    bad = [counts[Result.PROBLEM], counts[Result.WARNING]]
    told = [
        f"{n or 'no'} {one if n == 1 else many}" for n, (one, many) in zip(bad, words, strict=True)
    ]
    yield ", ".join((*told, f"{counts[Result.OK]} ok"))


def _line(finding: Finding, marks: dict[Result, str]) -> str:
    subject = finding.token or finding.topic
    return one_line(f"{_mark(finding.result, marks)}{subject}: {finding.message}")


def _mark(result: Result, marks: dict[Result, str]) -> str:
    mark = f"{marks[result]} " if marks else ""
    return f"{mark}{result}: "


def _can_print(text: str, encoding: str | None) -> bool:
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
