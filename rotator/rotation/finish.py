"""Finish: the last two steps, hooks and the retirement of old tokens; and before them mirrors.

Both are noted in the journal before they are tried, so that the next run finishes what a dead one
began. Hooks come first: a bot that one of them could not restart may still need its old token.
Revoking stops the exchange only: as a bearer, a token works until it expires.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rotator import audit
from rotator.audit import Event
from rotator.clock import rfc3339_or_none
from rotator.config.settings import NoticeEvent
from rotator.hooks.hooks import HookEvent, HookFailure, Hooks, HookTask
from rotator.hooks.notify import Notice, NoticedToken, NoticeKind
from rotator.rotation.mirrors import MirrorLook, Mirrors
from rotator.rotation.model import (
    Action,
    HooksRun,
    OldToken,
    Postponed,
    RotationContext,
    RotationResult,
    StoreState,
)
from rotator.rotation.observe import Snapshot
from rotator.rotation.policy import RotateOptions
from rotator.rotation.retire import Retired, Retirement, journals_without_retired, keep_waiting
from rotator.stores.journal import PendingRevocation

_log = logging.getLogger(__name__)
_NONE_OLDER = (
    "no older token is known that could be revoked: if the current one leaked, run rotator leaked"
    " {name}"
)
_CHANGED = "the stores were changed meanwhile; who did so, or the next run, restarts and tells"
_NONE_REPLACED = (
    "the stores had no token that could be revoked: find the one that leaked with rotator tokens"
    " list, and revoke it with rotator tokens revoke ID"
)


class Finisher:
    """Takes the last steps of one rotation of the token called `name`.

    It never revokes an old token that a store of the fleet still shows.
    """

    def __init__(
        self,
        name: str,
        hooks: Hooks,
        context: RotationContext,
        mirrors: Mirrors | None = None,
    ) -> None:
        self._name = name
        self._mirrors = mirrors
        self._hooks = hooks
        self._api = context.api
        self._retirement = Retirement(context)

    def has_due_work(self, snapshot: Snapshot) -> bool:
        """Tell whether a hook or a revocation of an earlier run is due."""
        is_due = any(self._retirement.is_due(pending) for pending in snapshot.pending)
        return is_due or bool(snapshot.hooks)

    def has_old_tokens_to_watch(self, snapshot: Snapshot) -> bool:
        """Tell whether an old token ends when nobody uses it, which each run looks up."""
        return any(pending.disuse for pending in snapshot.pending)

    def finish(
        self, result: RotationResult, snapshot: Snapshot, options: RotateOptions
    ) -> RotationResult:
        """Run the hooks that are due, then revoke what is pending; what fails stays noted.

        `result` is what the run came to so far, and `snapshot` what the stores show now.
        """
        troubles = [*result.troubles, *_tell_lost(result, snapshot)]
        if options.revoke_old:
            snapshot, unwritten = self._make_due(snapshot)
            troubles += unwritten
        # Before the hooks: what they restart may read the mirrors.
        looks: tuple[MirrorLook, ...] = ()
        if self._mirrors:
            snapshot, looks, unwritten = self._mirrors.push(snapshot)
            troubles += unwritten
        result = result._replace(
            remarks=(*result.remarks, *_tell_pushes(looks)),
            mirrors=tuple(each.to_report() for each in looks),
        )
        hooks, task = self._run_hooks(snapshot, options)
        lag = describe_lag(looks)
        if task is None:
            result = result._replace(troubles=tuple(troubles))
            return self._retire_and_note(result, snapshot, options, hooks, lag)
        # The others of the run come first. If we die before, the journal has what is left.
        snapshot, unwritten = snapshot.note(
            lambda each: hooks.note_in(each.journal, still_due=task.ids)
        )
        return result._replace(
            troubles=(*troubles, *unwritten),
            after=snapshot,
            postponed=Postponed(task, hooks, lag),
        )

    def finish_postponed(
        self,
        result: RotationResult,
        snapshot: Snapshot,
        options: RotateOptions,
        failures: Sequence[HookFailure],
    ) -> RotationResult:
        """Take the last steps after hooks that were left to the end of the run, as these failed."""
        postponed = result.postponed
        if postponed is None:
            return result
        task, ran = postponed.task, postponed.ran
        _log_hooks(task.ids, failures)
        if self._hook_event(snapshot).state != task.event.state:
            # Its hooks are to tell something else by now, and are still to be run.
            lost = tuple(_tell_lost(result, snapshot))
            remarks = result.remarks if lost else (*result.remarks, _CHANGED)
            troubles = (*result.troubles, *lost)
            return result._replace(
                after=snapshot, remarks=remarks, troubles=troubles, postponed=None
            )
        hooks = HooksRun(ran.noted, (*ran.due, *task.ids), (*ran.failures, *failures))
        result = result._replace(postponed=None)
        return self._retire_and_note(result, snapshot, options, hooks, postponed.lag)

    def _retire_and_note(
        self,
        result: RotationResult,
        snapshot: Snapshot,
        options: RotateOptions,
        hooks: HooksRun,
        lag: str | None,
    ) -> RotationResult:
        troubles = [*result.troubles, *(failure.message for failure in hooks.failures)]
        retired = self._retire(snapshot, _find_obstacle(hooks.failures, lag))
        without_retired = journals_without_retired(snapshot, retired)
        # One write for both, since each write replaces the file. If we die before it, the next run
        # repeats the hooks, and finds the tokens revoked.
        snapshot, unwritten = snapshot.note(
            lambda each: without_retired(each.store.url, hooks.note_in(each.journal))
        )
        troubles += unwritten
        # Else they only say that a hook has failed, or that a mirror is behind.
        if not (hooks.failures or lag) or options.revoke_old:
            troubles += [each.trouble for each in retired if each.trouble]
        if options.revoke_old and not options.leak and not retired:
            has_rotated = result.action is Action.ROTATED
            troubles.append(_NONE_REPLACED if has_rotated else _NONE_OLDER.format(name=self._name))
        return result._replace(
            old_tokens=tuple(each.old for each in retired),
            remarks=(*result.remarks, *hooks.describe_late(result.action)),
            troubles=tuple(troubles),
            after=snapshot,
        )

    def _run_hooks(
        self, snapshot: Snapshot, options: RotateOptions
    ) -> tuple[HooksRun, HookTask | None]:
        """Run the hooks that are noted; all of them where a noted one is configured no more.

        Commands come first, then restarts, then notices, whether or not one fails; one that fails
        stays noted, by its id. Where a restart or a notice is shared with other tokens, those of
        this token are returned.
        """
        is_known = set(snapshot.hooks) <= set(self._hooks.ids)
        due, task = snapshot.hooks if is_known else self._hooks.ids, None
        event = self._hook_event(snapshot)
        places = {each: place for each, place in self._hooks.places.items() if each in due}
        if options.shared.intersection(places.values()):
            # A restart of this token alone need not wait; notices come after all restarts.
            own = [each for each, _ in self._hooks.restarts(places)]
            own = [each for each in own if places[each] not in options.shared]
            left = tuple(each for each in places if each not in own)
            task = HookTask(self._hooks, left, event)
            due = tuple(each for each in due if each not in left)
        failures = self._hooks.run(due, event) if due else []
        _log_hooks(due, failures)
        return HooksRun(snapshot.hooks, due, failures), task

    def _retire(self, snapshot: Snapshot, obstacle: str | None) -> list[Retired]:
        """Revoke what is pending and due, unless a bot that was not reached may need it."""
        if obstacle:
            why = f"it may still be needed while {obstacle}"
            retired = [keep_waiting(pending, why) for pending in snapshot.pending]
        else:
            retired = [self._retirement.retire(snapshot, each) for each in snapshot.pending]
        for each in retired:
            if each.alarm:  # before it is noted: one that dies in between tells it again
                self._raise_alarm(each.alarm, each.old)
        return retired

    def _raise_alarm(self, message: str, old: OldToken) -> None:
        """Tell of a late use, in the log, in the audit trail, and by a notice."""
        used_at = rfc3339_or_none(old.last_used_at)
        audit.record(Event.LATE_USE, message, token_id=old.token_id, last_used_at=used_at)
        _log.warning("%s: %s", self._name, message, extra=audit.token_field(self._name))
        title = f"{self._name}: a replaced token was used"
        token = NoticedToken(self._name, old.token_id, last_used_at=used_at)
        notice = Notice(title, message, NoticeKind.WARNING, NoticeEvent.OWED_IN_USE, (token,))
        self._hooks.notify(notice)

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
        due = {e.token_id: e for e in snapshot.pending if e.due_at <= now and not e.disuse}
        pending = tuple(due.get(each) or PendingRevocation(each, now) for each in ids)
        snapshot, troubles = snapshot.note(
            lambda each: replace(each.journal, pending=pending, replaced=())
        )
        if not troubles and not set(pending) <= set(snapshot.pending):
            troubles.append("another rotator has replaced the token meanwhile: run again")
        return snapshot, troubles

    def _hook_event(self, snapshot: Snapshot) -> HookEvent:
        token = snapshot.current
        stores = tuple(each.store.url for each in snapshot.reachable if each.shows(token))
        if token is None:
            return HookEvent(self._name, None, None, stores)
        return HookEvent(self._name, token.token_id, token.expires_at, stores, token.name)


def _tell_lost(result: RotationResult, snapshot: Snapshot) -> Iterator[str]:
    """Yield why stores are unreachable that were there; they may delay hooks and revocations."""
    known = {each.store.url for each in result.snapshot.unreachable}
    yield from (str(e.error) for e in snapshot.unreachable if e.store.url not in known)


def _find_obstacle(failures: Sequence[HookFailure], lag: str | None) -> str | None:
    """Return what keeps old tokens from being revoked, whatever their time."""
    hooks = f"{len(failures)} of the hooks fail" if failures else None
    return " and ".join(filter(None, (lag, hooks))) or None


def describe_lag(looks: Sequence[MirrorLook]) -> str | None:
    """Return which mirrors lack the current token; None where none does."""
    behind = [each.mirror.url for each in looks if each.is_behind]
    return f"the current one is not yet in {', '.join(behind)}" if behind else None


def _tell_pushes(looks: Sequence[MirrorLook]) -> Iterator[str]:
    pushed = [each.mirror.url for each in looks if each.status is StoreState.WRITTEN]
    if pushed:
        yield f"pushed to {', '.join(pushed)}"


def _log_hooks(due: Sequence[str], failures: Sequence[HookFailure]) -> None:
    messages = {failure.hook_id: failure.message for failure in failures}
    for hook_id in due:
        outcome = "failed" if hook_id in messages else audit.DONE
        message = messages.get(hook_id, f"the hook {hook_id} worked")
        audit.record(Event.HOOK, message, outcome=outcome, hook=hook_id)
