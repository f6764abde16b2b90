"""Retire: revoke the old tokens whose time has come, and note what is pending of the others.

An old token is revoked at a moment, or once nobody has used it for a time (`disuse`). In both cases
no store may show it any more, and the API must accept the token that replaced it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from rotator import audit
from rotator.audit import Event
from rotator.clock import minute, rfc3339_or_none
from rotator.config.settings import Unused
from rotator.errors import RotatorError, TokenRefusedError
from rotator.rotation.disuse import (
    Fate,
    Ruling,
    begin,
    describe_late_use,
    due_at,
    is_over,
    is_used,
    judge,
    owe,
    recall,
)
from rotator.rotation.model import GONE, OldToken, OldTokenState, RotationContext
from rotator.rotation.observe import Observation, Snapshot, Unreachable
from rotator.rotation.report import report_ruling
from rotator.stores.journal import Disuse, Journal, PendingRevocation, ReplacedToken
from rotator.tokens import ServiceToken

MOST_PENDING = 8
MOST_REPLACED = 8


class Retired(NamedTuple):
    """What became of an old token: `trouble` is what is a failure of the run.

    `disuse` is to be noted of one that ends when it is unused, and `alarm` tells of a late use.
    """

    old: OldToken
    trouble: str | None = None
    disuse: Disuse | None = None
    alarm: str | None = None


class Retirement:
    """Retires the old tokens of one rotation.

    It never revokes one that a store of the fleet still shows, and never exchanges one.
    """

    def __init__(self, context: RotationContext) -> None:
        self._api = context.api
        self._fleet = context.fleet_stores
        self._proven: str | None = None

    def is_due(self, pending: PendingRevocation) -> bool:
        """Tell whether it is due, by the server's clock where that is known."""
        return is_over(pending, self._api().time.now())

    def retire(self, snapshot: Snapshot, pending: PendingRevocation) -> Retired:
        """Revoke an old token if it is time; every failure becomes part of the answer."""
        if pending.disuse is not None:
            return self._retire_unused(snapshot, pending, pending.disuse)
        old = OldToken(pending.token_id, OldTokenState.WAITING, pending.due_at)
        if self.is_due(pending):
            old = self._revoke(snapshot, pending, old)
        return Retired(old, _describe_unrevoked(old))

    def _retire_unused(
        self, snapshot: Snapshot, pending: PendingRevocation, disuse: Disuse
    ) -> Retired:
        ruling = self._rule(snapshot, pending, disuse)
        old, trouble = report_ruling(pending, ruling, snapshot), None
        match ruling.fate:
            case Fate.GONE:
                old = old._replace(message=self._describe_gone(old.token_id))
            case Fate.UNUSED:
                old = self._revoke(snapshot, pending, old)
                trouble = _describe_unrevoked(old)
            case Fate.OVERDUE:
                old = self._revoke(snapshot, pending, old)
                trouble = _describe_unrevoked(old)
                if old.state is OldTokenState.REVOKED:
                    trouble = _describe_overdue(pending, ruling)
            case Fate.UNKNOWN:
                if self._api().time.now() >= old.due_at:
                    old = old._replace(state=OldTokenState.FAILED)
                if ruling.is_odd or old.state is OldTokenState.FAILED:
                    trouble = f"the old token {old.token_id} is not revoked yet: {ruling.why}"
        if old.is_in_use:
            _log_use(old)
        alarm = None
        if ruling.silence:
            alarm = describe_late_use(old.token_id, ruling.disuse, ruling.silence)
        return Retired(old, trouble, ruling.disuse, alarm)

    def _rule(self, snapshot: Snapshot, pending: PendingRevocation, disuse: Disuse) -> Ruling:
        """Find out whether somebody still uses an old token."""
        api, current = self._api(), snapshot.current
        is_shown = snapshot.unreachable or snapshot.lacking
        try:
            api.log_in()  # tells the server's time
            if current is None or current.token_id == pending.token_id or is_shown:
                return recall(pending, disuse, api.time.now())
            if disuse.since is None:
                return Ruling(Fate.QUIET, begin(disuse, api.time.now()))
            usage = api.usage(current, not_before=due_at(pending, disuse))
            return judge(pending, disuse, usage, api.time.now())
        except TokenRefusedError:
            return Ruling(Fate.UNKNOWN, disuse, _describe_refusal(current))
        except RotatorError as error:
            is_due = disuse.is_bounded and self.is_due(pending)
            fate = Fate.OVERDUE if is_due else Fate.UNKNOWN
            return Ruling(fate, disuse, f"{error}; the next run tries again")

    def _revoke(self, snapshot: Snapshot, pending: PendingRevocation, old: OldToken) -> OldToken:
        """Revoke an old token, unless a store may still show it."""
        try:
            self._prove_accepted(snapshot.current)
            if snapshot.current and snapshot.current.token_id == pending.token_id:
                again = "it stands in the stores again; rotate --force makes another one"
                return old._replace(message=again)
            if holders := self._possible_holders(snapshot, pending.token_id):
                stores = ", ".join(sorted(holders))
                return old._replace(message=f"{stores} may still need it: renew it there, too")
            self._api().log_in()  # tells the server's time: this machine's clock may be ahead
            if not pending.disuse and not self.is_due(pending):
                return old
            is_revoked = self._api().ensure_revoked(pending.token_id, "replaced")
        except RotatorError as error:
            message = f"{error}; the next run tries again"
            return old._replace(state=OldTokenState.FAILED, message=message)
        gone = self._describe_gone(pending.token_id)
        return old._replace(state=OldTokenState.REVOKED, message=None if is_revoked else gone)

    def _describe_gone(self, token_id: str) -> str:
        """Say that the API does not list an old token, which then may be one of another API."""
        if not (name := self._api().name):
            return GONE
        return f"{name} does not list it: was it another API's, rotator tokens revoke {token_id}"

    def _prove_accepted(self, current: ServiceToken | None) -> None:
        """Raise unless the server accepts the current token, which is asked once in a rotation."""
        if current is None or current.secret == self._proven:
            return
        try:
            self._api().exchange(current.secret)
        except TokenRefusedError:
            raise TokenRefusedError(_describe_refusal(current)) from None
        self._proven = current.secret

    def _possible_holders(self, snapshot: Snapshot, token_id: str) -> frozenset[str]:
        """Return the URLs of the stores that may show an old token, or do not answer.

        Those are its own that do not show the current one, and by an inventory those of the fleet.
        """
        every = frozenset(each.store.url for each in snapshot.answers)
        own = frozenset(
            each.store.url
            for each in snapshot.answers
            if isinstance(each, Unreachable) or not each.shows(snapshot.current)
        )
        # A recent look is enough to find no holder: stores lose old tokens and never gain one.
        if not self._fleet.recent_inventory().possible_holders(token_id) - every:
            return own
        return own | (self._fleet.take_inventory().possible_holders(token_id) - every)


def keep_waiting(pending: PendingRevocation, why: str) -> Retired:
    """Let an old token wait."""
    old = OldToken(pending.token_id, OldTokenState.WAITING, pending.due_at, why)
    return Retired(old, _describe_unrevoked(old))


def journals_without_retired(
    snapshot: Snapshot, retired: Sequence[Retired]
) -> Callable[[str, Journal], Journal]:
    """Return a function that gives the journal of a store, by its URL, without settled tokens.

    What is known of a disuse is noted in the first store that tells of it; later stores' copies are
    ignored.
    """
    done = {each.old.token_id for each in retired if not each.old.is_pending}
    known = {each.old.token_id: each.disuse for each in retired if each.disuse}
    first: dict[str, str] = {}
    for each in snapshot.reachable:
        for pending in each.journal.pending:
            first.setdefault(pending.token_id, each.store.url)

    def without_retired(url: str, journal: Journal) -> Journal:
        kept = (each for each in journal.pending if each.token_id not in done)
        pending = tuple(
            each._replace(disuse=known.get(each.token_id, each.disuse))
            if each.disuse and first.get(each.token_id) == url
            else each
            for each in kept
        )
        return replace(journal, pending=pending)

    return without_retired


def pending_after(
    snapshot: Snapshot,
    outgoing: Iterable[Observation],
    retire: timedelta | Unused | None,
    now: datetime,
    *,
    sparing_put_back: bool,
) -> tuple[PendingRevocation, ...]:
    """Return what is pending once `outgoing` is overwritten, with what was pending before.

    `retire` None lets the replaced tokens expire by themselves; `now` is the server's time. With
    `sparing_put_back`, so are those that somebody puts back: a bot may have to live with one. A
    journal is small: of more than 8 the oldest are due now, and what ends when it is unused is left
    to expire, rather than revoked while somebody uses it.
    """
    pending = {each.token_id: each for each in snapshot.pending}
    for token in (each.token for each in outgoing if each.token):
        if not token.token_id:
            continue
        if before := pending.get(token.token_id):
            # A store has shown it until now: who uses it counts from now on.
            disuse = before.disuse and before.disuse._replace(since=None, is_hushed=False)
            pending[token.token_id] = before._replace(disuse=disuse)
        elif isinstance(retire, Unused):
            pending[token.token_id] = owe(token, retire, now)
        elif retire is not None:
            pending[token.token_id] = PendingRevocation(token.token_id, now + retire)
    if sparing_put_back:
        for observation in snapshot.put_back:
            pending.pop((observation.token and observation.token.token_id) or "", None)
    by_age = sorted(pending.values(), key=lambda each: each.due_at)
    timed = [each for each in by_age if not each.disuse]
    watched = [each for each in by_age if each.disuse][-MOST_PENDING:]
    early = max(0, len(timed) + len(watched) - MOST_PENDING)
    overdue = (each._replace(due_at=min(now, each.due_at)) for each in timed[:early])
    return (*overdue, *sorted((*timed[early:], *watched), key=lambda each: each.due_at))


def replaced_after(
    snapshot: Snapshot,
    new_id: str | None,
    pending: Iterable[PendingRevocation],
    validity: timedelta,
    now: datetime,
) -> tuple[ReplacedToken, ...]:
    """Return the old tokens that may be alive, and are not pending, once all stores have `new_id`.

    `new_id` is None before a mint: then the current token, which the stores show, is one of them. A
    token that a store has lost is taken to live for `validity`, as its end is not known.
    """
    ends: dict[str, datetime | None] = {}
    for each in snapshot.reachable:
        ends |= dict(each.journal.replaced)
        if (lost_id := each.journal.token_id) and not each.is_written_by_rotator:
            ends.setdefault(lost_id, (each.journal.minted_at or now) + validity)
    for owed in snapshot.pending:
        if owed.disuse:  # there were too many of them
            ends[owed.token_id] = None if owed.disuse.is_bounded else owed.due_at
    shown = (each.token for each in snapshot.reachable if each.token)
    ends |= {token.token_id: token.expires_at for token in shown if token.token_id}
    others = {new_id, *(each.token_id for each in pending)}
    alive = [
        ReplacedToken(token_id, end)
        for token_id, end in ends.items()
        if token_id not in others and (end is None or end > now)
    ]
    alive.sort(key=lambda each: (each.expires_at is None, each.expires_at, each.token_id))
    return tuple(alive[-MOST_REPLACED:])


def _describe_overdue(pending: PendingRevocation, ruling: Ruling) -> str | None:
    """Return a line about a token that was revoked although somebody may still use it."""
    used_at, is_in_use = ruling.disuse.used_at, is_used(ruling.disuse)
    if ruling.why is None and not is_in_use:
        return None
    though = ruling.why or (used_at and f"it was last used {minute(used_at)}")
    return (
        f"the old token {pending.token_id} was revoked at the end of the most time that it may"
        f" have, though {though}: restart a bot that fails now"
    )


def _log_use(old: OldToken) -> None:
    used_at = rfc3339_or_none(old.last_used_at)
    message = f"the old token {old.token_id} is still in use: {old.message}"
    audit.record(Event.IN_USE, message, token_id=old.token_id, last_used_at=used_at)


def _describe_refusal(current: ServiceToken | None) -> str:
    return f"the API does not accept {current.name if current else 'any'}, which replaced it"


def _describe_unrevoked(old: OldToken) -> str | None:
    """Return a line about a token that should be revoked by now."""
    if old.state is OldTokenState.FAILED or (old.message and old.state is OldTokenState.WAITING):
        return f"the old token {old.token_id} is not revoked yet: {old.message}"
    return None
