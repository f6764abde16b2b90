"""What the doctor says: one object behind each line and each JSON object."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple, TypeVar

from rotator.errors import internal_error

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
