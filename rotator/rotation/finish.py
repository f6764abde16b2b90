"""Finish: the last two steps, hooks and the retirement of old tokens.

Both are noted in the journal before they are tried, so that the next run finishes what a dead one
began. Hooks come first: a bot that one of them could not restart may still need its old token.
Revoking stops the exchange only: as a bearer, a token works until it expires.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from rotator import audit
from rotator.errors import RotatorError, TokenRefusedError
from rotator.hooks.hooks import HookEvent, HookFailure, Hooks
from rotator.rotation.model import (
    CHANGED,
    Action,
    OldToken,
    OldTokenState,
    RotationContext,
    RotationResult,
)
from rotator.rotation.observe import Observation, Snapshot, Unreachable
from rotator.rotation.policy import RotateOptions
from rotator.stores.journal import Journal, PendingRevocation, ReplacedToken
from rotator.tokens import ServiceToken

MOST_PENDING = 8
MOST_REPLACED = 8
GONE = "it was gone already"
_WHOLE_SECONDS = timedelta(seconds=2)  # the precision of the server's time
_NONE_OLDER = (
    "no older token is known that could be revoked: if the current one leaked, run"
    " rotate --force --revoke-old"
)
_NONE_REPLACED = (
    "the stores had no token that could be revoked: find the one that leaked with rotator tokens"
    " list, and revoke it with rotator tokens revoke ID"
)


class Finisher:
    """Takes the last steps of one run for the token called `name`.

    It never revokes an old token that a store of the fleet still shows.
    """

    def __init__(self, name: str, hooks: Hooks, context: RotationContext) -> None:
        self._name = name
        self._hooks = hooks
        self._api = context.api
        self._fleet = context.fleet
        self._proven: str | None = None

    def has_unfinished_work(self, snapshot: Snapshot) -> bool:
        """Tell whether a hook or a revocation of an earlier run is due."""
        is_due = any(self._is_revocation_due(pending) for pending in snapshot.pending)
        return is_due or bool(snapshot.hooks)

    def finish(
        self, result: RotationResult, snapshot: Snapshot, options: RotateOptions
    ) -> RotationResult:
        """Run the hooks that are due, then revoke what is pending; what fails stays noted.

        `result` is what the run came to so far, and `snapshot` what the stores show now.
        """
        notes = list(result.notes)
        # A store that became unreachable meanwhile may delay hooks and revocations.
        known = {each.store.url for each in result.snapshot.unreachable}
        lost = [str(each.error) for each in snapshot.unreachable if each.store.url not in known]
        troubles = [*result.troubles, *lost]
        if options.revoke_old:
            snapshot, unwritten = self._make_due(snapshot)
            troubles += unwritten
        failures: list[HookFailure] = []
        failed: tuple[str, ...] | None = None
        if snapshot.hooks:
            # All of them where a noted one is configured no more.
            is_known = set(snapshot.hooks) <= set(self._hooks.ids)
            due = snapshot.hooks if is_known else self._hooks.ids
            failures = self._hooks.run(due, self._hook_event(snapshot)) if due else []
            _log_hooks(due, failures)
            failed = tuple(failure.hook_id for failure in failures)
            troubles += [failure.message for failure in failures]
            if (worked := len(due) - len(failures)) and result.action not in CHANGED:
                left = "1 hook" if worked == 1 else f"{worked} hooks"
                notes.append(f"{left} that an earlier run left undone worked now")
        if failures:
            why = f"it may still be needed while {len(failures)} of the hooks fail"
            old_tokens = [
                OldToken(each.token_id, OldTokenState.WAITING, each.due_at, why)
                for each in snapshot.pending
            ]
        else:
            old_tokens = [self._revoke_if_due(snapshot, pending) for pending in snapshot.pending]
        revoked = {old.token_id for old in old_tokens if old.state is OldTokenState.REVOKED}
        # In one step, as readers open the file anew. The next run of one that dies here repeats the
        # hooks, and finds the tokens revoked.
        snapshot, unwritten = snapshot.note(
            lambda each: _without_done(each.journal, failed, revoked)
        )
        troubles += unwritten
        if not failures or options.revoke_old:
            troubles += _describe_unrevoked(old_tokens)
        if options.revoke_old and not options.leak and not old_tokens:
            troubles.append(_NONE_REPLACED if result.action is Action.ROTATED else _NONE_OLDER)
        return result._replace(
            old_tokens=tuple(old_tokens),
            notes=tuple(notes),
            troubles=tuple(troubles),
            after=snapshot,
        )

    def _make_due(self, snapshot: Snapshot) -> tuple[Snapshot, list[str]]:
        """Note all that the journals know of, except the current token, as due now."""
        now = self._api().time.now()
        current = snapshot.current.token_id if snapshot.current else None
        ids = {each.token_id: None for each in snapshot.pending}
        for journal in (each.journal for each in snapshot.reachable):
            expired = {e.token_id for e in journal.replaced if e.expires_at and e.expires_at <= now}
            known = {*journal.old_ids, journal.token_id or ""} - expired - {""}
            ids |= dict.fromkeys(sorted(known))
        ids.pop(current or "", None)
        due = {each.token_id: each for each in snapshot.pending if each.due_at <= now}
        pending = tuple(due.get(each) or PendingRevocation(each, now) for each in ids)
        snapshot, troubles = snapshot.note(
            lambda each: replace(each.journal, pending=pending, replaced=())
        )
        if not troubles and not set(pending) <= set(snapshot.pending):
            troubles.append("another rotator has replaced the token meanwhile: run again")
        return snapshot, troubles

    def _hook_event(self, snapshot: Snapshot) -> HookEvent:
        token = snapshot.current
        stores = tuple(each.store.url for each in snapshot.reachable if each.holds(token))
        if token is None:
            return HookEvent(self._name, None, None, stores)
        return HookEvent(self._name, token.token_id, token.expires_at, stores, token.name)

    def _is_revocation_due(self, pending: PendingRevocation) -> bool:
        """Tell whether it is due, by the server's clock where that is known."""
        return self._api().time.now() + _WHOLE_SECONDS >= pending.due_at

    def _revoke_if_due(self, snapshot: Snapshot, pending: PendingRevocation) -> OldToken:
        """Revoke an old token if it is due; every failure becomes part of the answer."""
        old = OldToken(pending.token_id, OldTokenState.WAITING, pending.due_at)
        try:
            if not self._is_revocation_due(pending):
                return old
            self._prove_accepted(snapshot.current)
            if snapshot.current and snapshot.current.token_id == pending.token_id:
                again = "it stands in the stores again; rotate --force makes another one"
                return old._replace(message=again)
            if holders := self._possible_holders(snapshot, pending.token_id):
                stores = ", ".join(sorted(holders))
                return old._replace(message=f"{stores} may still need it: renew it there, too")
            self._api().log_in()  # tells the server's time: this machine's clock may be ahead
            if not self._is_revocation_due(pending):
                return old
            is_revoked = self._api().ensure_revoked(pending.token_id, "replaced")
        except RotatorError as error:
            message = f"{error}; the next run tries again"
            return old._replace(state=OldTokenState.FAILED, message=message)
        return old._replace(state=OldTokenState.REVOKED, message=None if is_revoked else GONE)

    def _prove_accepted(self, current: ServiceToken | None) -> None:
        """Raise unless the server accepts the current token, which one run asks once."""
        if current is None or current.secret == self._proven:
            return
        try:
            self._api().exchange(current.secret)
        except TokenRefusedError:
            raise TokenRefusedError(
                f"the API does not accept {current.name}, which replaced it"
            ) from None
        self._proven = current.secret

    def _possible_holders(self, snapshot: Snapshot, token_id: str) -> frozenset[str]:
        every = frozenset(each.store.url for each in snapshot.answers)
        own = frozenset(
            each.store.url
            for each in snapshot.answers
            if isinstance(each, Unreachable) or not each.holds(snapshot.current)
        )
        if not self._fleet.recent_inventory().possible_holders(token_id) - every:
            return own
        return own | (self._fleet.take_inventory().possible_holders(token_id) - every)


def pending_after(
    snapshot: Snapshot,
    replaced: Iterable[Observation],
    grace: timedelta | None,
    now: datetime,
    *,
    sparing_put_back: bool,
) -> tuple[PendingRevocation, ...]:
    """Return what is pending once these observations are replaced, with what was pending before.

    `grace` None lets the replaced tokens expire by themselves; `now` is the server's time. With
    `sparing_put_back`, so are those that somebody puts back: a bot may have to live with one. A
    journal is small: of more than 8 the oldest are due now.
    """
    pending = {each.token_id: each for each in snapshot.pending}
    if grace is not None:
        for token_id in (each.token.token_id for each in replaced if each.token):
            if token_id and token_id not in pending:
                pending[token_id] = PendingRevocation(token_id, now + grace)
    if sparing_put_back:
        for token in (each.token for each in snapshot.put_back):
            pending.pop((token and token.token_id) or "", None)
    by_age = sorted(pending.values(), key=lambda each: each.due_at)
    early, rest = by_age[:-MOST_PENDING], by_age[-MOST_PENDING:]
    return (*(each._replace(due_at=min(now, each.due_at)) for each in early), *rest)


def replaced_after(
    snapshot: Snapshot,
    new_id: str | None,
    pending: Iterable[PendingRevocation],
    validity: timedelta,
    now: datetime,
) -> tuple[ReplacedToken, ...]:
    """Return the old tokens that may be alive, and are not pending, once all stores have `new_id`.

    A token that a store has lost is taken to live for `validity`, as its end is not known.
    """
    ends: dict[str, datetime | None] = {}
    for each in snapshot.reachable:
        ends |= dict(each.journal.replaced)
        if (lost_id := each.journal.token_id) and not each.is_written_by_rotator:
            ends.setdefault(lost_id, (each.journal.minted_at or now) + validity)
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


def _log_hooks(due: Sequence[str], failures: Sequence[HookFailure]) -> None:
    messages = {failure.hook_id: failure.message for failure in failures}
    for hook_id in due:
        outcome = "failed" if hook_id in messages else audit.DONE
        message = messages.get(hook_id, f"the hook {hook_id} worked")
        audit.record(audit.Event.HOOK, message, outcome=outcome, hook=hook_id)


def _without_done(
    journal: Journal, hooks: tuple[str, ...] | None, revoked: Collection[str]
) -> Journal:
    """Return what is left to be done; `hooks` are those that failed, None if there were none."""
    if hooks is None or not journal.hooks:
        hooks = journal.hooks
    pending = tuple(each for each in journal.pending if each.token_id not in revoked)
    return replace(journal, pending=pending, hooks=hooks)


def _describe_unrevoked(old_tokens: Sequence[OldToken]) -> list[str]:
    """Return a line for each token that should be revoked by now."""
    return [
        f"the old token {old.token_id} is not revoked yet: {old.message}"
        for old in old_tokens
        if old.state is OldTokenState.FAILED or (old.message and old.state is OldTokenState.WAITING)
    ]
