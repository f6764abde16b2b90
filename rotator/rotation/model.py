"""The data of a rotation: the token to mint, what it works with, and what it came to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from rotator.clock import ONE_DAY, Clock, rfc3339, rfc3339_or_none
from rotator.config.settings import TokenSettings
from rotator.rotation.in_flight import InFlightMints
from rotator.rotation.inventory import FleetStores
from rotator.rotation.observe import Snapshot
from rotator.rotation.policy import RotateOptions, Verdict
from rotator.rotation.threads import WORKERS
from rotator.stores.journal import Journal
from rotator.tokens import ServiceToken

if TYPE_CHECKING:
    from rotator.hooks.hooks import HookFailure, HookTask
    from rotator.nocturna.service_tokens import KnownTokens, ListedToken, TokenApi
    from rotator.stores.mirrors import Mirror

FIRST_SCOPE = "calculations"


class MintRequest(NamedTuple):
    """The token to mint; `validity` None is eternal.

    `earlier` are the ids of tokens that were there before, in sets that the requests of a fleet
    share: the new one is none of them. `young` are recent tokens that nobody has used, and so could
    be taken for it: the intent names them.
    """

    validity: timedelta | None
    scope: str
    renew_before: timedelta
    earlier: tuple[frozenset[str], ...] = ()
    young: tuple[ListedToken, ...] = ()

    @classmethod
    def build(
        cls, options: RotateOptions, settings: TokenSettings, snapshot: Snapshot
    ) -> MintRequest:
        """Return the token to mint: as asked for, else as configured, else like the current one.

        In the place of an eternal token comes an eternal one, unless asked for otherwise.
        """
        current = snapshot.current.scope if snapshot.current else None
        scope = options.scope or settings.scope or current or FIRST_SCOPE
        # An eternal token was asked for by hand: only by hand it becomes one that ends.
        is_eternal = snapshot.current is not None and snapshot.current.expires_at is None
        configured = None if is_eternal else settings.validity
        validity = None if options.eternal else options.validity or configured
        # A token that is asked for by hand may be shorter than the configured margin.
        margin = timedelta() if options.validity else settings.renew_before
        return cls(validity, scope, margin, (snapshot.known_ids,))

    def after(self, known: KnownTokens) -> MintRequest:
        """Return the same request, to be made while the API has these tokens."""
        return self._replace(earlier=(*self.earlier, known.ids), young=known.young)

    def was_there(self, token_id: str) -> bool:
        """Tell whether a token was there before the one that is asked for."""
        return any(token_id in ids for ids in self.earlier)

    @property
    def tolerance(self) -> timedelta:
        """How far the expiry may be off: clocks differ, but not by days."""
        return ONE_DAY if self.validity is None else min(ONE_DAY, self.validity / 4)


class LazyApi:
    """An API that is connected at the first call, so that a look at a store does not load HTTP.

    Every call returns the same; safe to share between threads.
    """

    def __init__(self, connect: Callable[[], TokenApi]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._connected: TokenApi | None = None

    def __call__(self) -> TokenApi:
        with self._lock:
            self._connected = self._connected or self._connect()
            return self._connected

    def log_out(self) -> None:
        """End the admin's session, if there is one."""
        if self._connected:
            self._connected.log_out()


class RotationContext(NamedTuple):
    """What the rotations of one process and API share.

    `sleep` takes seconds; `environ` is the environment of which hooks get a part. So many `workers`
    serve tokens at the same time. `open_mirrors` returns the mirrors of a token. `is_own` tells by
    its name whether a token is one of this API. `fleet_stores` are the stores of all tokens: its
    inventory tells which of them show a token id, and its `ahead` reads many by few requests.
    """

    api: LazyApi
    clock: Clock
    in_flight: InFlightMints
    fleet_stores: FleetStores
    sleep: Callable[[float], object]
    environ: Mapping[str, str]
    workers: int = WORKERS
    open_mirrors: Callable[[TokenSettings], Sequence[Mirror]] = lambda _: ()
    is_own: Callable[[str], bool] = lambda _: True


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


GONE = "it was gone already"


class OldTokenState(StrEnum):
    """What became of an old token, as `--json` shows it."""

    REVOKED = "revoked"
    WAITING = "waiting"
    IN_USE = "in-use"
    FAILED = "failed"
    EXPIRED = "expired"


class OldToken(NamedTuple):
    """An old token that is revoked, or pending; `message` says what keeps it from being revoked.

    From `due_at` on it is revoked; if it `ends_unused`, only if nobody uses it meanwhile. Of such a
    one, `last_used_at` may be known, and `at_most` is when it is revoked all the same.
    """

    token_id: str
    state: OldTokenState
    due_at: datetime
    message: str | None = None
    last_used_at: datetime | None = None
    at_most: datetime | None = None
    ends_unused: bool = False

    @property
    def is_pending(self) -> bool:
        """Whether it is still to be revoked."""
        return self.state not in (OldTokenState.REVOKED, OldTokenState.EXPIRED)

    @property
    def is_in_use(self) -> bool:
        return self.state is OldTokenState.IN_USE

    def to_json(self) -> dict[str, Any]:
        return {
            "token_id": self.token_id,
            "state": self.state,
            "due_at": rfc3339(self.due_at),
            "last_used_at": rfc3339_or_none(self.last_used_at),
            "at_most": rfc3339_or_none(self.at_most),
            "message": self.message,
        }


class HooksRun(NamedTuple):
    """The hooks that the journals named, those that were run for them, and those that failed."""

    noted: Sequence[str]
    due: Sequence[str]
    failures: Sequence[HookFailure]

    def note_in(self, journal: Journal, still_due: Collection[str] = ()) -> Journal:
        """Return a journal that names the hooks that failed; unchanged where it named none."""
        if not self.noted or not journal.hooks:
            return journal
        failed = (failure.hook_id for failure in self.failures)
        return replace(journal, hooks=(*failed, *still_due))

    def describe_late(self, action: Action | None) -> Iterator[str]:
        """Yield a remark about hooks that worked although this run did not write the token."""
        if (worked := len(self.due) - len(self.failures)) and action not in CHANGED:
            left = "1 hook" if worked == 1 else f"{worked} hooks"
            yield f"{left} that an earlier run left undone worked now"


class Postponed(NamedTuple):
    """What the last steps of a token wait for: the hooks of `task`, beside those that `ran`.

    `lag` says which mirrors are behind.
    """

    task: HookTask
    ran: HooksRun
    lag: str | None = None


class RotationResult(NamedTuple):
    """What a command saw of a token, and did; `action` is None where the token stays as it is.

    `snapshot` is what it was decided by, `after` what the stores show at the end. `remarks` tell
    what was finished of earlier runs; `error` says why no step was taken, `troubles` what went
    wrong in the steps, and `failure` is the kind of the error that ended them. `must_start_over`
    says that others changed a store first, that nothing of ours is left, and that the token is
    still the same; `refused` are tokens in the stores that the API turned out to refuse: in both
    cases the steps are taken again. `skew` is how far this machine's clock is ahead of the
    server's, so far as that matters. `mirrors` are what is known of them. `postponed` is what is
    left to the end of the run.
    """

    snapshot: Snapshot
    verdict: Verdict
    action: Action | None = None
    token: ServiceToken | None = None
    written: tuple[StoreReport, ...] = ()
    old_tokens: tuple[OldToken, ...] = ()
    remarks: tuple[str, ...] = ()
    error: str | None = None
    troubles: tuple[str, ...] = ()
    failure: str | None = None
    must_start_over: bool = False
    refused: tuple[ServiceToken, ...] = ()
    after: Snapshot | None = None
    skew: timedelta = timedelta()
    mirrors: tuple[StoreReport, ...] = ()
    postponed: Postponed | None = None
