"""What the doctor says: a finding is one line of text, or one JSON object."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple, TypeVar

from rotator.errors import internal_error, one_line

Facts = TypeVar("Facts")


class Result(StrEnum):
    """How bad it is, as `--json` shows it; the worst is last."""

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
    MIRROR = "mirror"
    TOKEN = "token"  # noqa: S105 - no secret
    JOURNAL = "journal"
    REHEARSAL = "rehearsal"
    LIST = "list"
    ORPHANS = "orphans"
    OLD_TOKENS = "old-tokens"
    INTERNAL = "internal"


class Finding(NamedTuple):
    """One result of one check; `message` is a line, and never holds a secret.

    `token` is the token's name and `store` the store's URL, if it is about one. `api` is the name
    of the API, where there are several.
    """

    topic: Topic
    result: Result
    message: str
    token: str | None = None
    store: str | None = None
    api: str | None = None

    @property
    def subject(self) -> str:
        return self.token or (f"{self.topic} of {self.api}" if self.api else self.topic)

    def to_json(self) -> dict[str, str | None]:
        """Return the object that `--json` prints, with stable keys."""
        return {
            **({"api": self.api} if self.api else {}),
            "check": self.topic,
            "token": self.token,
            "store": self.store,
            "status": self.result,
            "message": self.message,
        }


Check = Callable[[Facts], Iterable[Finding]]


def run_checks(
    checks: Sequence[Check[Facts]], facts: Facts, token: str | None = None
) -> Iterator[Finding]:
    """Yield all findings, with the name of the token; a bug in a check becomes a finding."""
    for check in checks:
        try:
            found = list(check(facts))
        except Exception as error:  # noqa: BLE001 - the other checks must still run
            found = [Finding(Topic.INTERNAL, Result.PROBLEM, internal_error(error))]
        yield from (each._replace(token=each.token or token) for each in found)


_MARKS = {Result.OK: "✓ ", Result.WARNING: "! ", Result.PROBLEM: "✗ "}
_MOST_OK = 30  # lines; a fleet has thousands that say nothing new


def as_lines(found: Sequence[Finding], encoding: str | None) -> list[str]:
    """Return a line for each finding, the worst last, with marks if `encoding` has them."""
    try:
        "".join(_MARKS.values()).encode(encoding or "ascii")
        marks = _MARKS
    except (UnicodeEncodeError, LookupError):
        marks = dict.fromkeys(Result, "")
    counts = Counter(finding.result for finding in found)
    lines = []
    for result in Result:
        shown = [finding for finding in found if finding.result is result]
        if result is Result.OK and len(shown) > _MOST_OK:
            shown = [finding for finding in shown if not finding.token]
        begin = f"{marks[result]}{result}: "
        lines += [one_line(f"{begin}{each.subject}: {each.message}") for each in shown]
        if hidden := counts[result] - len(shown):
            lines.append(f"{begin}{hidden} checks of single tokens (--json shows them)")
    problems, warnings = (
        f"{counts[result] or 'no'} {result}{'' if counts[result] == 1 else 's'}"
        for result in (Result.PROBLEM, Result.WARNING)
    )
    return [*lines, f"{problems}, {warnings}, {counts[Result.OK]} ok"]
