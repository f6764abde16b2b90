"""The data of a rotation: what it is asked for, what it works with, what it came to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, Unpack

from rotator.clock import ONE_DAY, Clock, rfc3339
from rotator.config.settings import TokenSettings
from rotator.errors import kind
from rotator.rotation.in_flight import InFlightMints
from rotator.rotation.inventory import FleetStores
from rotator.rotation.observe import Observation, Snapshot, Unreachable
from rotator.rotation.policy import Status, Verdict
from rotator.stores.port import Entry
from rotator.tokens import ServiceToken

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import ServiceTokens


class MintRequest(NamedTuple):
    """The token that is wanted; `validity` None is eternal.

    `in_use` are the ids of tokens that the stores know: a new token is none of them.
    """

    validity: timedelta | None
    scope: str
    renew_before: timedelta
    in_use: frozenset[str] = frozenset()

    @property
    def tolerance(self) -> timedelta:
        """How far the expiry may be off: clocks differ, tokens do not come a week early."""
        return ONE_DAY if self.validity is None else min(ONE_DAY, self.validity / 4)


class OldTokenState(StrEnum):
    """What became of an old token, as `--json` shows it."""

    REVOKED = "revoked"
    WAITING = "waiting"
    FAILED = "failed"


class OldToken(NamedTuple):
    """An old token that is, or is to be, revoked; `message` says why it was not by this run."""

    token_id: str
    state: OldTokenState
    due_at: datetime
    message: str | None = None


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
    name: str, snapshot: Snapshot, verdict: Verdict, now: datetime, **outcome: Unpack[Outcome]
) -> Report:
    """Return the report on a token; the troubles of single stores join its `error`."""
    token, written = outcome.get("token"), outcome.get("written", ())
    stores = {each.store.url: _store_report(each, snapshot) for each in snapshot.answers}
    stores |= {report.store: report for report in written}
    troubles = [outcome.get("error")]
    troubles += [r.message for r in stores.values() if r.status is StoreState.UNREACHABLE]
    troubles += [report.message for report in written if report.status is StoreState.BEHIND]
    shown = token or snapshot.current
    left = shown.remaining(now) if shown else None
    previous = snapshot.journal.previous_token_id
    if token and snapshot.current:
        previous = snapshot.current.token_id
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
        failure=outcome.get("failure") or _failure(snapshot, written),
        orphans=len(snapshot.intents),
        hooks_left=len(snapshot.hooks),
    )


def _failure(snapshot: Snapshot, written: Iterable[StoreReport]) -> str | None:
    if snapshot.unreachable:
        return kind(snapshot.unreachable[0].error)
    return "store-behind" if any(each.status is StoreState.BEHIND for each in written) else None


def _store_report(answer: Observation | Unreachable, snapshot: Snapshot) -> StoreReport:
    url = answer.store.url
    if isinstance(answer, Unreachable):
        return StoreReport(url, StoreState.UNREACHABLE, str(answer.error))
    if answer.holds(snapshot.current):
        return StoreReport(url, StoreState.CURRENT)
    if not isinstance(answer.found, Entry):
        return StoreReport(url, StoreState.ABSENT)
    message = str(answer.fault) if answer.fault else "holds another token than the current one"
    return StoreReport(url, StoreState.BEHIND, message)


FIRST_SCOPE = "calculations"


@dataclass(frozen=True, slots=True)
class RotateOptions:
    """An order by hand; `eternal`, `validity` and `scope` shape a new token.

    `revoke_old` says that old tokens are to be revoked now: one of them leaked.
    """

    force: bool = False
    dry_run: bool = False
    eternal: bool = False
    validity: timedelta | None = None
    scope: str | None = None
    revoke_old: bool = False

    def request(self, settings: TokenSettings, snapshot: Snapshot) -> MintRequest:
        """Return the token to mint: as ordered, else as configured, else like the current one."""
        kept = snapshot.current.scope if snapshot.current else None
        scope = self.scope or settings.scope or kept or FIRST_SCOPE
        validity = None if self.eternal else self.validity or settings.validity
        # A token that is asked for by hand may be shorter than the configured margin.
        margin = timedelta() if self.validity else settings.renew_before
        return MintRequest(validity, scope, margin, snapshot.known_ids)


class RotationContext(NamedTuple):
    """`api` connects at its first call, so that a look at a store costs none of it.

    `sleep` takes seconds; `environ` is the environment of which hooks get a part.
    """

    api: Callable[[], ServiceTokens]
    clock: Clock
    in_flight: InFlightMints
    fleet: FleetStores
    sleep: Callable[[float], object]
    environ: Mapping[str, str]


class RotationResult(NamedTuple):
    """What a change came to; `action` is None where the token is to be left as it is.

    `snapshot` is what it decided by, and `after` what stands there at the end. `notes` tell what
    was finished of earlier runs, `troubles` what could not be, and `failure` is the kind of the
    error that ended it. `not_begun` says that another rotator's intent came first.
    """

    snapshot: Snapshot
    verdict: Verdict
    action: Action | None = None
    token: ServiceToken | None = None
    written: tuple[StoreReport, ...] = ()
    old_tokens: tuple[OldToken, ...] = ()
    notes: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()
    failure: str | None = None
    not_begun: bool = False
    after: Snapshot | None = None

    def apply_to(self, report: Report) -> Report:
        """Return the report with old tokens, what else was done, and what else went wrong."""
        all_of_it = [*((report.error,) if report.error else ()), *self.troubles]
        failure = self.failure or report.failure or ("unfinished" if self.troubles else None)
        failed = [old for old in self.old_tokens if old.state is OldTokenState.FAILED]
        after = self.after or self.snapshot
        return report._replace(
            old_tokens=self.old_tokens,
            notes=self.notes,
            error="; ".join(dict.fromkeys(all_of_it)) or None,
            failure=failure,
            orphans=len(after.intents) + len(failed),
            hooks_left=len(after.hooks),
        )
