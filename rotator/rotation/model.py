"""The data of a rotation: what it is asked for, what it works with, what it came to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from rotator.clock import ONE_DAY, Clock, rfc3339
from rotator.config.settings import TokenSettings
from rotator.rotation.in_flight import InFlightMints
from rotator.rotation.inventory import FleetStores
from rotator.rotation.observe import Snapshot
from rotator.rotation.policy import Status, Verdict
from rotator.tokens import ServiceToken

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import ServiceTokens

FIRST_SCOPE = "calculations"


@dataclass(frozen=True, slots=True)
class RotateOptions:
    """What a run is asked for by hand; `eternal`, `validity` and `scope` shape a new token.

    `revoke_old` revokes old tokens now: one of them leaked.
    """

    force: bool = False
    dry_run: bool = False
    eternal: bool = False
    validity: timedelta | None = None
    scope: str | None = None
    revoke_old: bool = False

    def mint_request(self, settings: TokenSettings, snapshot: Snapshot) -> MintRequest:
        """Return the token to mint: as asked for, else as configured, else like the current one."""
        current = snapshot.current.scope if snapshot.current else None
        scope = self.scope or settings.scope or current or FIRST_SCOPE
        validity = None if self.eternal else self.validity or settings.validity
        # A token that is asked for by hand may be shorter than the configured margin.
        margin = timedelta() if self.validity else settings.renew_before
        known = frozenset(token_id for each in snapshot.reachable for token_id in each.known_ids)
        return MintRequest(validity, scope, margin, known)


class MintRequest(NamedTuple):
    """The token to mint; `validity` None is eternal.

    `in_use` are the ids of tokens that the stores know: a new token is none of them.
    """

    validity: timedelta | None
    scope: str
    renew_before: timedelta
    in_use: frozenset[str] = frozenset()

    @property
    def tolerance(self) -> timedelta:
        """How far the expiry may be off: clocks differ, but not by days."""
        return ONE_DAY if self.validity is None else min(ONE_DAY, self.validity / 4)


class RotationContext(NamedTuple):
    """What the rotations of one process share.

    `api` connects at its first call, so that a look at a store does not load HTTP. `sleep` takes
    seconds; `environ` is the environment of which hooks get a part.
    """

    api: Callable[[], ServiceTokens]
    clock: Clock
    in_flight: InFlightMints
    fleet: FleetStores
    sleep: Callable[[float], object]
    environ: Mapping[str, str]


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


class OldTokenState(StrEnum):
    """What became of an old token, as `--json` shows it."""

    REVOKED = "revoked"
    WAITING = "waiting"
    FAILED = "failed"


class OldToken(NamedTuple):
    """An old token that is revoked, or pending; `message` says what keeps it from being revoked."""

    token_id: str
    state: OldTokenState
    due_at: datetime
    message: str | None = None


class Report(NamedTuple):
    """What a command says about one token; `action` is None for `check`.

    `expires_at` is aware UTC and None when eternal or unknown, like `seconds_left`. `failure` is
    the kind of the first error. `orphans` counts, by the journals, mints that are not settled and
    old tokens that could not be revoked. `hooks_left` counts the hooks that have not worked yet,
    `attempts_left` the attempts that fit into the life of a token that could not be renewed.
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
        """Return the object that `--json` prints, with stable keys (docs/commands.md)."""
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
            "stores": [each._asdict() for each in self.stores],
            "old_tokens": [
                {**old._asdict(), "due_at": rfc3339(old.due_at)} for old in self.old_tokens
            ],
            "notes": list(self.notes),
            "orphans": self.orphans,
            "hooks_left": self.hooks_left,
            "attempts_left": self.attempts_left,
            "level": self.level,
            "failure": self.failure,
            "error": self.error,
        }


class RotationResult(NamedTuple):
    """What a command saw of a token, and did; `action` is None where the token stays as it is.

    `snapshot` is what it was decided by, `after` what the stores show at the end. `notes` tell what
    was finished of earlier runs; `error` says why no step was taken, `troubles` what went wrong in
    the steps, and `failure` is the kind of the error that ended them. `not_begun` says that another
    rotator's intent came first.
    """

    snapshot: Snapshot
    verdict: Verdict
    action: Action | None = None
    token: ServiceToken | None = None
    written: tuple[StoreReport, ...] = ()
    old_tokens: tuple[OldToken, ...] = ()
    notes: tuple[str, ...] = ()
    error: str | None = None
    troubles: tuple[str, ...] = ()
    failure: str | None = None
    not_begun: bool = False
    after: Snapshot | None = None
