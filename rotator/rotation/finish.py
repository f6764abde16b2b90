"""The last steps: hooks, then the revocation of old tokens.

Both are noted in the journal before they are tried, so that the next run finishes what a dead one
began. Hooks come first: a bot that one of them could not restart may still need its old token.
Revoking stops the exchange only: as a bearer, a token works until it expires.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from rotator import audit
from rotator.errors import RotatorError, TokenRefusedError
from rotator.hooks.commands import HookEvent, HookFailure, Hooks
from rotator.rotation.inventory import FleetStores
from rotator.rotation.model import OldToken, OldTokenState, RotateOptions
from rotator.rotation.observe import Observation, Snapshot
from rotator.rotation.store_writes import note
from rotator.stores.journal import Journal, PendingRevocation
from rotator.tokens import ServiceToken

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import ServiceTokens

MOST_OWED = 8
GONE = "it was gone already"
_WHOLE_SECONDS = timedelta(seconds=2)  # in which servers tell their time


def pending_after(
    snapshot: Snapshot, replaced: Iterable[Observation], grace: timedelta | None, now: datetime
) -> tuple[PendingRevocation, ...]:
    """Return what is owed once these readings are replaced: old debts, and what stood there.

    `grace` None lets the replaced tokens expire by themselves; `now` is the server's time. Of many
    the oldest have to go early: a journal is small.
    """
    pending = {each.token_id: each for each in snapshot.pending}
    if grace is not None:
        ids = [observation.token.token_id for observation in replaced if observation.token]
        pending |= {
            each: PendingRevocation(each, now + grace)
            for each in ids
            if each and each not in pending
        }
    by_age = sorted(pending.values(), key=lambda each: each.due_at)
    early, rest = by_age[:-MOST_OWED], by_age[-MOST_OWED:]
    return (*(each._replace(due_at=min(now, each.due_at)) for each in early), *rest)


class Retirement:
    """Revokes what is owed for one token, never one that a store of the fleet still shows."""

    def __init__(self, fleet: FleetStores, api: Callable[[], ServiceTokens]) -> None:
        self._fleet = fleet
        self._api = api
        self._proven: str | None = None

    def is_due(self, pending: PendingRevocation) -> bool:
        """Tell whether the time has come, by the server's clock where it has told it."""
        return self._api().now() + _WHOLE_SECONDS >= pending.due_at

    def hasten(self, snapshot: Snapshot) -> tuple[PendingRevocation, ...]:
        """Return all that is owed, with the token that was last replaced, as due at once."""
        previous = snapshot.journal.previous_token_id
        ids = [each.token_id for each in snapshot.pending] + ([previous] if previous else [])
        now = self._api().now()
        return tuple(PendingRevocation(token_id, now) for token_id in dict.fromkeys(ids))

    def carry_out(self, snapshot: Snapshot) -> list[OldToken]:
        """Revoke the tokens that are due; every failure becomes part of the answer."""
        return [self._one(snapshot, pending) for pending in snapshot.pending]

    def _one(self, snapshot: Snapshot, pending: PendingRevocation) -> OldToken:
        old = OldToken(pending.token_id, OldTokenState.WAITING, pending.due_at)
        try:
            if not self.is_due(pending):
                return old
            self._prove(snapshot.current)
            if snapshot.shows(pending.token_id):
                again = "it stands in the stores again; rotate --force makes another one"
                return old._replace(message=again)
            if holders := self._holders(snapshot, pending.token_id):
                stores = ", ".join(sorted(holders))
                return old._replace(message=f"{stores} may still need it: renew it there, too")
            self._api().log_in()  # which tells the server's time: ours may be ahead
            if not self.is_due(pending):
                return old
            result = self._api().ensure_revoked(pending.token_id, "replaced")
        except RotatorError as error:
            message = f"{error}; the next run tries again"
            return old._replace(state=OldTokenState.FAILED, message=message)
        return old._replace(state=OldTokenState.REVOKED, message=None if result else GONE)

    def _prove(self, current: ServiceToken | None) -> None:
        """Raise unless the server accepts the token that is to do without the old one."""
        if current is None or current.secret == self._proven:
            return
        try:
            self._api().exchange(current.secret)
        except TokenRefusedError:
            raise TokenRefusedError(
                f"the API does not accept {current.name}, which replaced it"
            ) from None
        self._proven = current.secret

    def _holders(self, snapshot: Snapshot, token_id: str) -> frozenset[str]:
        """Return the stores that are not known to do without the token."""
        lagging = snapshot.unreachable_urls | {
            observation.store.url for observation in snapshot.behind
        }
        if not self._fleet.recent().holders(token_id) - snapshot.urls:
            return frozenset(lagging)
        return frozenset(lagging | (self._fleet.look().holders(token_id) - snapshot.urls))


_NONE_OLDER = (
    "no older token is known that could be revoked: if the current one leaked, run"
    " rotate --force --revoke-old"
)
_NONE_REPLACED = (
    "the stores had no token that could be revoked: find the one that leaked with rotator tokens"
    " list, and revoke it with rotator tokens revoke ID"
)


class FinishResult(NamedTuple):
    """What the stores show now, what became of old tokens, what else was done, and what failed."""

    snapshot: Snapshot
    old_tokens: tuple[OldToken, ...] = ()
    notes: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()


class Finisher:
    """Takes the last steps for the token called `name`."""

    def __init__(self, name: str, hooks: Hooks, retirement: Retirement) -> None:
        self._name = name
        self._hooks = hooks
        self._retirement = retirement

    def is_due(self, snapshot: Snapshot, options: RotateOptions) -> bool:
        """Tell whether a look at the stores shows something to be done."""
        due = any(self._retirement.is_due(pending) for pending in snapshot.pending)
        return due or bool(snapshot.hooks) or options.revoke_old

    def draw(self, snapshot: Snapshot, options: RotateOptions, *, renewed: bool) -> FinishResult:
        """Run the hooks that are due, then revoke what is owed; what fails stays noted.

        `renewed` tells whether this same run has written a token.
        """
        if options.revoke_old:
            pending = self._retirement.hasten(snapshot)
            snapshot, troubles = note(
                snapshot, lambda observation: replace(observation.found.journal, pending=pending)
            )
            if not troubles and not set(pending) <= set(snapshot.pending):
                troubles.append("another rotator has replaced the token meanwhile: run again")
        else:
            troubles = []
        due = self._due_hooks(snapshot)
        failures = self._hooks.run(due, self._occasion(snapshot)) if due else []
        failed = tuple(failure.hook_id for failure in failures)
        _tell_hooks(due, failures)
        snapshot, unwritten = note(
            snapshot, lambda observation: _with_hooks(observation.found.journal, failed)
        )
        old_tokens = (
            _held_back(snapshot, failures) if failures else self._retirement.carry_out(snapshot)
        )
        gone = {old.token_id for old in old_tokens if old.state is OldTokenState.REVOKED}
        snapshot, unnoted = note(
            snapshot, lambda observation: _without_owed(observation.found.journal, gone)
        )
        troubles += [failure.message for failure in failures] + unwritten + unnoted
        troubles += _old_troubles(old_tokens, told=bool(failures) and not options.revoke_old)
        if options.revoke_old and not old_tokens:
            troubles.append(_NONE_REPLACED if renewed else _NONE_OLDER)
        ran = len(due) - len(failures)
        notes = (f"{ran} of its hooks worked now",) if ran and not renewed else ()
        return FinishResult(snapshot, tuple(old_tokens), notes, tuple(troubles))

    def _due_hooks(self, snapshot: Snapshot) -> tuple[str, ...]:
        """Return the hooks that are noted; all of them where one that is noted was replaced."""
        return snapshot.hooks if set(snapshot.hooks) <= set(self._hooks.ids) else self._hooks.ids

    def _occasion(self, snapshot: Snapshot) -> HookEvent:
        token = snapshot.current
        stores = tuple(r.store.url for r in snapshot.reachable if r.holds(token))
        if token is None:
            return HookEvent(self._name, None, None, stores)
        return HookEvent(self._name, token.token_id, token.expires_at, stores, token.name)


def _tell_hooks(due: Sequence[str], failures: Sequence[HookFailure]) -> None:
    messages = {failure.hook_id: failure.message for failure in failures}
    for hook_id in due:
        outcome = "failed" if hook_id in messages else audit.DONE
        message = messages.get(hook_id, f"the hook {hook_id} worked")
        audit.tell(audit.Event.HOOK, message, outcome=outcome, hook=hook_id)


def _with_hooks(journal: Journal, failed: tuple[str, ...]) -> Journal:
    return replace(journal, hooks=failed if journal.hooks else ())


def _without_owed(journal: Journal, gone: Collection[str]) -> Journal:
    return replace(
        journal,
        pending=tuple(pending for pending in journal.pending if pending.token_id not in gone),
    )


def _held_back(snapshot: Snapshot, failures: Sequence[HookFailure]) -> list[OldToken]:
    told = f"it may still be needed while {len(failures)} of the hooks fail"
    return [
        OldToken(each.token_id, OldTokenState.WAITING, each.due_at, told)
        for each in snapshot.pending
    ]


def _old_troubles(old_tokens: Sequence[OldToken], *, told: bool) -> list[str]:
    """Tell of the tokens that should be revoked by now, unless what is in the way is `told`."""
    return [
        f"the old token {old.token_id} is not revoked yet: {old.message}"
        for old in old_tokens
        if old.state is OldTokenState.FAILED or (old.message and old.state is OldTokenState.WAITING)
        if not told
    ]
