"""The data of a rotation: what it is asked for, what it works with, what it came to.

At the end stands the report: how it is built of the result, and how a line tells it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from rotator.clock import ONE_DAY, Clock, describe_skew, in_words, minute, rfc3339
from rotator.config.settings import TokenSettings
from rotator.errors import kind
from rotator.rotation.disuse import Fate, Ruling, describe_use, due_at, is_used, recall
from rotator.rotation.in_flight import InFlightMints
from rotator.rotation.inventory import FleetStores
from rotator.rotation.observe import Observation, Snapshot, Unreachable
from rotator.rotation.policy import RotateOptions, Status, Verdict, describe_deletion, earlier
from rotator.stores.journal import PendingRevocation
from rotator.tokens import ServiceToken

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import TokenApi

FIRST_SCOPE = "calculations"


class MintRequest(NamedTuple):
    """The token to mint; `validity` None is eternal.

    `earlier` are the ids of tokens that were there before: a new one is none of them.
    """

    validity: timedelta | None
    scope: str
    renew_before: timedelta
    earlier: frozenset[str] = frozenset()

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
        return cls(validity, scope, margin, snapshot.known_ids)

    def after(self, token_ids: frozenset[str]) -> MintRequest:
        """Return the same request, to be made while the API has these tokens."""
        return self._replace(earlier=self.earlier | token_ids)

    @property
    def tolerance(self) -> timedelta:
        """How far the expiry may be off: clocks differ, but not by days."""
        return ONE_DAY if self.validity is None else min(ONE_DAY, self.validity / 4)


class RotationContext(NamedTuple):
    """What the rotations of one process share.

    `api` connects at its first call, so that a look at a store does not load HTTP. `sleep` takes
    seconds; `environ` is the environment of which hooks get a part.
    """

    api: Callable[[], TokenApi]
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


GONE = "it was gone already"
LAGGARD = "laggard"  # the failure of a look: an old token in use is soon revoked all the same


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
            "last_used_at": rfc3339(self.last_used_at) if self.last_used_at else None,
            "at_most": rfc3339(self.at_most) if self.at_most else None,
            "message": self.message,
        }


class Report(NamedTuple):
    """What a command says about one token; `action` is None for `check`.

    `expires_at` is aware UTC and None when eternal or unknown, like `seconds_left`. `failure` is
    the kind of the first error. `unsettled` counts, by the journals, mints that were cut off and
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
    remarks: tuple[str, ...] = ()
    level: str | None = None
    failure: str | None = None
    unsettled: int = 0
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
            "old_tokens": [old.to_json() for old in self.old_tokens],
            "notes": list(self.remarks),
            "unsettled": self.unsettled,
            "hooks_left": self.hooks_left,
            "attempts_left": self.attempts_left,
            "level": self.level,
            "failure": self.failure,
            "error": self.error,
        }


class RotationResult(NamedTuple):
    """What a command saw of a token, and did; `action` is None where the token stays as it is.

    `snapshot` is what it was decided by, `after` what the stores show at the end. `remarks` tell
    what was finished of earlier runs; `error` says why no step was taken, `troubles` what went
    wrong in the steps, and `failure` is the kind of the error that ended them. `must_start_over`
    says that others changed a store first, that nothing of ours is left, and that the token is
    still the same; `refused` are tokens in the stores that the API turned out to refuse: in both
    cases the steps are taken again. `skew` is how far this machine's clock is ahead of the
    server's, so far as that matters.
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


def build_report(name: str, result: RotationResult, now: datetime) -> Report:
    """Return the report on a token by this machine's `now`.

    The failures of single stores join its `error`.
    """
    now -= result.skew
    snapshot, verdict, token = result.snapshot, result.verdict, result.token
    stores = {each.store.url: _store_report(each, snapshot) for each in snapshot.answers}
    stores |= {report.store: report for report in result.written}
    troubles = [result.error]
    troubles += [r.message for r in stores.values() if r.status is StoreState.UNREACHABLE]
    troubles += [report.message for report in result.written if report.status is StoreState.BEHIND]
    troubles += result.troubles
    shown = token or snapshot.current
    after = result.after or snapshot
    end = earlier(shown.expires_at, after.ends_at(shown)) if shown else None
    left = end - now if end else None
    remarks, message = result.remarks, verdict.message
    if shown and end != shown.expires_at and left is not None and result.action in CHANGED:
        remarks = (*remarks, f"it {describe_deletion(end, in_words(left))}")
        message = remarks[-1]
    previous = snapshot.journal.previous_token_id
    if token and snapshot.current:
        previous = snapshot.current.token_id
    wrong = describe_skew(result.skew) if abs(result.skew) > ONE_DAY else None
    if wrong and not any(wrong in trouble for trouble in troubles if trouble):
        troubles.append(wrong)
    unrevoked = [old for old in result.old_tokens if old.state is OldTokenState.FAILED]
    dealt_with = {old.token_id for old in result.old_tokens}
    waiting = (
        _report_pending(each, after, now)
        for each in sorted(after.pending, key=lambda each: each.due_at)
        if each.token_id not in dealt_with
    )
    old_tokens = (*result.old_tokens, *waiting)
    ending = [old for old in old_tokens if is_ended_soon_in_use(old, now)]
    troubles += [
        f"the old token {old.token_id} is still in use, and is revoked at"
        f" {minute(old.at_most or now)} all the same: {old.message}"
        for old in ending
    ]
    failure = result.failure or _find_failure(result) or (LAGGARD if ending else None)
    return Report(
        name=name,
        status=verdict.status,
        reason=verdict.reason,
        message=message,
        action=result.action,
        token_id=shown.token_id if shown else None,
        previous_token_id=previous,
        expires_at=end,
        seconds_left=left.total_seconds() if left is not None else None,
        stores=tuple(stores.values()),
        error="; ".join(dict.fromkeys(trouble for trouble in troubles if trouble)) or None,
        old_tokens=old_tokens,
        remarks=remarks,
        failure=failure,
        unsettled=len(after.intents) + len(unrevoked),
        hooks_left=len(after.hooks),
    )


def _report_pending(pending: PendingRevocation, snapshot: Snapshot, now: datetime) -> OldToken:
    if pending.disuse is None:
        return OldToken(pending.token_id, OldTokenState.WAITING, pending.due_at)
    return report_ruling(pending, recall(pending, pending.disuse, now), snapshot)


def is_ended_soon_in_use(old: OldToken, now: datetime) -> bool:
    """Tell whether somebody uses an old token that is revoked within a day all the same."""
    return old.is_in_use and old.at_most is not None and now >= old.at_most - ONE_DAY


def report_ruling(pending: PendingRevocation, ruling: Ruling, snapshot: Snapshot) -> OldToken:
    """Return what is to be said of an old token that ends when it is unused."""
    disuse, message = ruling.disuse, ruling.why
    match ruling.fate:
        case Fate.GONE:
            state, message = OldTokenState.REVOKED, GONE
        case Fate.ENDED:
            state = OldTokenState.EXPIRED
        case Fate.IN_USE:
            holders = [e.store.url for e in snapshot.reachable if e.shows(snapshot.current)]
            state, message = OldTokenState.IN_USE, describe_use(disuse, holders)
        case Fate.UNKNOWN if is_used(disuse):
            state = OldTokenState.IN_USE
        case _:
            state = OldTokenState.WAITING
    return OldToken(
        pending.token_id,
        state,
        due_at(pending, disuse),
        message,
        disuse.used_at,
        pending.due_at if disuse.is_bounded else None,
        ends_unused=True,
    )


def _find_failure(result: RotationResult) -> str | None:
    if result.snapshot.unreachable:
        return kind(result.snapshot.unreachable[0].error)
    if any(each.status is StoreState.BEHIND for each in result.written):
        return "store-behind"
    return "unfinished" if result.troubles else None


def _store_report(answer: Observation | Unreachable, snapshot: Snapshot) -> StoreReport:
    url = answer.store.url
    if isinstance(answer, Unreachable):
        return StoreReport(url, StoreState.UNREACHABLE, str(answer.error))
    if answer.shows(snapshot.current):
        return StoreReport(url, StoreState.CURRENT)
    if answer.secret is None:
        return StoreReport(url, StoreState.ABSENT)
    message = str(answer.fault) if answer.fault else "holds another token than the current one"
    return StoreReport(url, StoreState.BEHIND, message)


def summarize(report: Report) -> str:
    needy = (StoreState.BEHIND, StoreState.ABSENT)
    in_need = ", ".join(each.store for each in report.stores if each.status in needy)
    written = ", ".join(s.store for s in report.stores if s.status is StoreState.WRITTEN)
    reachable = (s.store for s in report.stores if s.status is not StoreState.UNREACHABLE)
    match report.action:
        case None:
            what = f"{report.status} – {report.message}"
            # The places where the token was looked for in vain.
            if report.status in (Status.MISSING, Status.INVALID) or report.reason == "behind":
                what += f": {in_need}"
        case Action.ROTATED:
            life = "valid for ever"
            if report.expires_at:
                life = f"valid for {remaining_life(report)} (until {minute(report.expires_at)})"
            what = f"rotated ({report.reason}) – new token {report.token_id}, {life}, in {written}"
        case Action.CONVERGED:
            what = f"converged – {report.message}; copied to {written or 'no store'}"
        case Action.WOULD_ROTATE:
            what = f"would-rotate – {report.message}; stores: {', '.join(reachable)}"
        case Action.WOULD_CONVERGE:
            what = f"would-converge – {report.message}; stores: {in_need}"
        case action:
            what = f"{action} – {report.message}"
    return "; ".join((f"{report.name}: {what}", *report.remarks, *describe_old_tokens(report)))


def describe_old_tokens(report: Report) -> Iterator[str]:
    """Tell of old tokens what is done, and after a rotation what is planned."""
    revoked = [old for old in report.old_tokens if old.state is OldTokenState.REVOKED]
    if now := [old.token_id for old in revoked if not old.message]:
        yield f"revoked: {', '.join(now)} (no longer exchanged; as a bearer valid until its end)"
    if gone := [old.token_id for old in revoked if old.message]:
        yield f"gone already: {', '.join(gone)}"
    if ended := [o.token_id for o in report.old_tokens if o.state is OldTokenState.EXPIRED]:
        yield f"ended by itself: {', '.join(ended)}"
    for old in report.old_tokens:
        if old.is_in_use:
            yield f"the old token {old.token_id} is still in use: {old.message}"
    planned = [o for o in report.old_tokens if o.state is OldTokenState.WAITING and not o.message]
    if planned and report.action in CHANGED:
        last = max(planned, key=lambda old: old.due_at)
        more = f", and {len(planned) - 1} older before that" if len(planned) > 1 else ""
        unused = " if nobody uses it until then" if last.ends_unused else ""
        when = f"from {minute(last.due_at)} on"
        yield f"the old token {last.token_id} is revoked {when}{unused}{more}"


def remaining_life(report: Report) -> str:
    if report.seconds_left is None:
        return "for ever" if report.status is Status.ETERNAL else "–"
    left = in_words(timedelta(seconds=report.seconds_left))
    return left if report.seconds_left > 0 else f"over for {left}"
