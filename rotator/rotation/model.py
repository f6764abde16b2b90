"""What a command says about a token: the object behind each line, table row and JSON object."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, TypedDict, Unpack

from rotator.clock import rfc3339
from rotator.errors import kind
from rotator.rotation.finish import OldToken
from rotator.rotation.observe import Reading, Silence, Survey
from rotator.rotation.policy import Status, Verdict
from rotator.stores.port import Entry
from rotator.tokens import ServiceToken


class Action(StrEnum):
    """What a rotation did, as `--json` shows it."""

    KEPT = "kept"
    ROTATED = "rotated"
    CONVERGED = "converged"
    SKIPPED = "skipped"
    WOULD_ROTATE = "would-rotate"
    WOULD_CONVERGE = "would-converge"
    FAILED = "failed"


CHANGED = (Action.ROTATED, Action.CONVERGED)


class StoreState(StrEnum):
    """What a store holds after the command, as `--json` shows it."""

    CURRENT = "current"
    BEHIND = "behind"
    ABSENT = "absent"
    UNREACHABLE = "unreachable"
    WRITTEN = "written"


class StoreReport(NamedTuple):
    """One store of a token; `message` is what went wrong there, if anything."""

    store: str
    status: StoreState
    message: str | None = None


class Report(NamedTuple):
    """One token; `action` is None where nothing was to be done (`check`).

    `expires_at` is aware UTC and None when eternal or unknown, like `seconds_left`. `failure` is
    the kind of the first thing that went wrong. `orphans` counts the tokens that may be live with
    no store to hold them, by the journals: mints that are not settled, and old tokens that could
    not be revoked. `hooks_left` counts the hooks that have not worked yet, and `attempts_left` what
    fits into the life of a token that could not be renewed.
    """

    name: str
    status: Status
    reason: str
    message: str
    action: Action | None = None
    token_id: str | None = None
    previous_token_id: str | None = None
    expires_at: datetime | None = None
    seconds_left: float | None = None
    stores: tuple[StoreReport, ...] = ()
    error: str | None = None
    old_tokens: tuple[OldToken, ...] = ()
    notes: tuple[str, ...] = ()
    level: str | None = None
    failure: str | None = None
    orphans: int = 0
    hooks_left: int = 0
    attempts_left: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints, with stable keys."""
        left = self.seconds_left
        return {
            "name": self.name,
            "status": self.status,
            "action": self.action,
            "reason": self.reason,
            "message": self.message,
            "token_id": self.token_id,
            "previous_token_id": self.previous_token_id,
            "expires_at": rfc3339(self.expires_at) if self.expires_at else None,
            "seconds_left": None if left is None else int(left),
            "days_left": None if left is None else round(left / 86400, 3),
            "stores": [
                {"store": each.store, "status": each.status, "message": each.message}
                for each in self.stores
            ],
            "old_tokens": [
                {
                    "token_id": old.token_id,
                    "state": old.state,
                    "due_at": rfc3339(old.due_at),
                    "message": old.message,
                }
                for old in self.old_tokens
            ],
            "notes": list(self.notes),
            "orphans": self.orphans,
            "hooks_left": self.hooks_left,
            "attempts_left": self.attempts_left,
            "level": self.level,
            "failure": self.failure,
            "error": self.error,
        }


class Outcome(TypedDict, total=False):
    """What a command adds to what it saw: the new token, the stores written, what failed."""

    action: Action
    token: ServiceToken | None
    written: tuple[StoreReport, ...]
    error: str | None
    failure: str | None


def describe(
    name: str, seen: Survey, verdict: Verdict, now: datetime, **outcome: Unpack[Outcome]
) -> Report:
    """Return the report on a token; the troubles of single stores join its `error`."""
    token, written = outcome.get("token"), outcome.get("written", ())
    stores = {each.store.url: _store_report(each, seen) for each in seen.answers}
    stores |= {report.store: report for report in written}
    troubles = [outcome.get("error")]
    troubles += [r.message for r in stores.values() if r.status is StoreState.UNREACHABLE]
    troubles += [report.message for report in written if report.status is StoreState.BEHIND]
    shown = token or seen.current
    left = shown.remaining(now) if shown else None
    previous = seen.journal.previous_token_id
    if token and seen.current:
        previous = seen.current.token_id
    return Report(
        name=name,
        status=verdict.status,
        reason=verdict.reason,
        message=verdict.message,
        action=outcome.get("action"),
        token_id=shown.token_id if shown else None,
        previous_token_id=previous,
        expires_at=shown.expires_at if shown else None,
        seconds_left=left.total_seconds() if left is not None else None,
        stores=tuple(stores.values()),
        error="; ".join(trouble for trouble in troubles if trouble) or None,
        failure=outcome.get("failure") or _failure(seen, written),
        orphans=len(seen.intents),
        hooks_left=len(seen.hooks),
    )


def _failure(seen: Survey, written: Iterable[StoreReport]) -> str | None:
    if seen.silent:
        return kind(seen.silent[0].error)
    return "store-behind" if any(each.status is StoreState.BEHIND for each in written) else None


def _store_report(answer: Reading | Silence, seen: Survey) -> StoreReport:
    url = answer.store.url
    if isinstance(answer, Silence):
        return StoreReport(url, StoreState.UNREACHABLE, str(answer.error))
    if answer.holds(seen.current):
        return StoreReport(url, StoreState.CURRENT)
    if not isinstance(answer.found, Entry):
        return StoreReport(url, StoreState.ABSENT)
    message = str(answer.fault) if answer.fault else "holds another token than the current one"
    return StoreReport(url, StoreState.BEHIND, message)
