"""Change: the steps of a rotation, one after the other, while the token's stores are held."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta

from rotator.config.settings import TokenSettings
from rotator.errors import ApiError, RotatorError, kind
from rotator.hooks.commands import Hooks
from rotator.rotation.decide import Decider
from rotator.rotation.finish import Finisher, Retirement, pending_after
from rotator.rotation.inventory import SLACK
from rotator.rotation.mint import MintAttempt, NotBegunError, OvertakenError
from rotator.rotation.model import (
    Action,
    RotateOptions,
    RotationContext,
    RotationResult,
    StoreReport,
    StoreState,
)
from rotator.rotation.observe import Observation, Snapshot, observe
from rotator.rotation.policy import Need, Verdict
from rotator.rotation.reconcile import POLL_SECONDS, Reconciler
from rotator.rotation.store_writes import note, spread
from rotator.stores.journal import Intent, Journal
from rotator.stores.port import SecretStore
from rotator.tokens import ServiceToken

_ATTEMPTS = 10  # to write an intent while other rotators write theirs


class Change:
    """Changes the stores of one token."""

    def __init__(
        self,
        settings: TokenSettings,
        stores: Sequence[SecretStore],
        hooks: Hooks,
        context: RotationContext,
        decider: Decider,
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._hooks = hooks
        self._context = context
        self._decider = decider
        self._reconciler = Reconciler(context.in_flight, context.fleet, context.sleep)
        retirement = Retirement(context.fleet, context.api)
        self._finisher = Finisher(settings.name, hooks, retirement)

    def is_due(self, snapshot: Snapshot, options: RotateOptions) -> bool:
        """Tell whether an earlier run left something to do, whatever the token needs."""
        return bool(snapshot.intents) or self._finisher.is_due(snapshot, options)

    def run(self, before: Snapshot, verdict: Verdict, options: RotateOptions) -> RotationResult:
        """Do what the verdict on `before` asks for, unless another rotator did it meanwhile.

        Raises a `StoreError` when a store cannot be held.
        """
        notes: tuple[str, ...] = ()
        with _hold(before.reachable):
            for attempt in range(_ATTEMPTS):
                if attempt:  # rotators that met must not meet again
                    self._context.sleep(random.uniform(0, attempt * POLL_SECONDS))  # noqa: S311 - no secret
                result = self._run_steps(before, verdict, options)
                notes += result.notes
                if not result.not_begun:
                    break
            if result.action is Action.FAILED:
                result = result._replace(after=self._observe())
        return result._replace(notes=notes)

    def _run_steps(
        self, before: Snapshot, verdict: Verdict, options: RotateOptions
    ) -> RotationResult:
        """Take the steps, in the order of docs/rotation.md."""
        earlier = verdict
        snapshot = self._observe_alone(verdict)  # read and decide again: the stores are held now
        verdict = self._decide_again(before, snapshot, verdict, options)
        if not snapshot.reachable:
            return RotationResult(snapshot, verdict, Action.FAILED)
        snapshot, notes, troubles = self._reconcile(snapshot)
        try:
            match verdict.need:
                case Need.MINT:
                    preflight(snapshot.reachable)
                    journal = self._new_journal(snapshot, options)
                    first, *others = snapshot.reachable
                    with self._attempt(first, snapshot, options) as attempt:
                        attempt.intend()
                        minted = attempt.mint()
                        token = attempt.verify(minted)
                        journal = attempt.promote(token, journal)
                    spread_to = spread(others, token, journal)
                    promoted = StoreReport(first.store.url, StoreState.WRITTEN)
                    settled = self._settle(snapshot, verdict, token)
                    result = RotationResult(
                        snapshot, settled, Action.ROTATED, token, (promoted, *spread_to)
                    )
                case Need.COPY:
                    result = self._copy(snapshot, verdict)
                case _ if verdict.need is not earlier.need:
                    result = _overtaken(snapshot, verdict)
                case _:
                    result = RotationResult(snapshot, verdict)
        except NotBegunError as error:
            result = _failed(snapshot, verdict, error)._replace(not_begun=True)
        except OvertakenError as error:
            result = self._take_theirs(snapshot, verdict, error)
        except RotatorError as error:
            result = _failed(snapshot, verdict, error)
        result = result._replace(notes=notes, troubles=(*troubles, *result.troubles))
        if result.action is Action.FAILED:
            return result
        return self._finish(result, options)  # hooks, then retirement

    def _observe(self) -> Snapshot:
        return observe(self._stores, self._context.clock())

    def _observe_alone(self, verdict: Verdict) -> Snapshot:
        """Observe; before a mint, wait until the intents of live rotators are gone."""
        while True:
            snapshot = self._observe()
            if verdict.need is not Need.MINT or len(snapshot.intents) == len(self._dead(snapshot)):
                return snapshot
            self._context.sleep(POLL_SECONDS)

    def _decide_again(
        self, before: Snapshot, snapshot: Snapshot, verdict: Verdict, options: RotateOptions
    ) -> Verdict:
        if snapshot.current != before.current or not snapshot.reachable:
            # What was forced is done: another rotator has renewed the token.
            return self._decider.decide(snapshot, replace(options, force=False))
        if snapshot.behind != before.behind:
            return self._decider.decide(snapshot, options)
        return verdict

    def _reconcile(self, snapshot: Snapshot) -> tuple[Snapshot, tuple[str, ...], tuple[str, ...]]:
        """Settle the mints of dead rotators; return the new snapshot, notes and troubles."""
        dead = self._dead(snapshot)
        if not dead:
            return snapshot, (), ()
        timeout = self._settings.rotation_timeout
        reconciled = self._reconciler.reconcile(self._context.api(), dead, timeout)
        snapshot, troubles = note(
            snapshot, lambda each: each.journal.without_intents(reconciled.settled)
        )
        notes = tuple(
            f"{token_id}, left over from a mint that was cut off, was revoked"
            for token_id in reconciled.revoked
        )
        if reconciled.trouble:
            troubles.insert(0, reconciled.trouble)
        return snapshot, notes, tuple(troubles)

    def _dead(self, snapshot: Snapshot) -> list[Intent]:
        """Return the intents whose rotator is known to be dead, or must be by now."""
        if not snapshot.intents:
            return []
        api = self._context.api()
        with suppress(ApiError):
            api.log_in()  # tells the server's time
        alive = self._context.in_flight.current().runs
        oldest = api.now() - self._settings.rotation_timeout
        return [
            intent
            for observation in snapshot.reachable
            for intent in observation.journal.intents
            if intent.run not in alive
            and (
                not oldest <= intent.begun_at <= api.now() + SLACK
                or observation.store.held_elsewhere() is False
            )
        ]

    def _new_journal(self, snapshot: Snapshot, options: RotateOptions) -> Journal:
        """Return what stands beside the token to mint, except its id."""
        api = self._context.api()
        api.log_in()
        now = api.now()
        current = snapshot.current
        grace = timedelta() if options.revoke_old else self._settings.retire
        return Journal(
            previous_token_id=current.token_id if current else snapshot.removed_token_id,
            minted_at=now,
            pending=pending_after(snapshot, snapshot.reachable, grace, now),
            hooks=self._hooks.ids,
        )

    def _attempt(
        self, first: Observation, snapshot: Snapshot, options: RotateOptions
    ) -> MintAttempt:
        request = options.mint_request(self._settings, snapshot)
        timeout = self._settings.rotation_timeout
        return MintAttempt(self._context, self._reconciler, timeout, first, request)

    def _settle(self, snapshot: Snapshot, verdict: Verdict, token: ServiceToken) -> Verdict:
        return replace(self._decider.decide_written(snapshot, token), reason=verdict.reason)

    def _take_theirs(
        self, snapshot: Snapshot, verdict: Verdict, error: OvertakenError
    ) -> RotationResult:
        """Take the token of the rotator that was faster."""
        theirs = self._observe()
        their_verdict = self._decider.decide_from_stores(theirs, RotateOptions())
        try:
            if their_verdict.need is Need.COPY:
                return self._copy(theirs, their_verdict)
        except RotatorError as failure:
            return _failed(snapshot, verdict, failure)
        if their_verdict.need is Need.MINT:
            return _failed(theirs, verdict, error)
        return _overtaken(theirs, their_verdict)

    def _copy(self, snapshot: Snapshot, verdict: Verdict) -> RotationResult:
        """Copy the current token to the stores behind."""
        current = snapshot.current
        if current is None:
            return _overtaken(snapshot, verdict)
        # Whether or not it was probed before: a refused token must not replace one that works.
        self._context.api().exchange(current.secret)
        now = self._context.api().now()
        pending = pending_after(snapshot, snapshot.behind, self._settings.retire, now)
        journal = replace(snapshot.journal, token_id=current.token_id, pending=pending)
        holders = [each for each in snapshot.reachable if each not in snapshot.behind]

        def with_pending(observation: Observation) -> Journal:
            if observation not in holders:
                return observation.journal
            hooks = self._hooks.ids if observation is holders[0] else ()
            return replace(observation.journal, pending=pending, hooks=hooks)

        snapshot, troubles = note(snapshot, with_pending)
        written = spread(snapshot.behind, current, journal)
        settled = self._settle(snapshot, verdict, current)
        return RotationResult(
            snapshot, settled, Action.CONVERGED, written=written, troubles=tuple(troubles)
        )

    def _finish(self, result: RotationResult, options: RotateOptions) -> RotationResult:
        snapshot = self._observe()
        # A store that became unreachable meanwhile may delay hooks and revocations.
        troubles = tuple(
            str(each.error)
            for each in snapshot.unreachable
            if each.store.url not in result.snapshot.unreachable_urls
        )
        is_renewed = result.action is not None
        finished = self._finisher.finish(snapshot, options, is_renewed=is_renewed)
        return result._replace(
            old_tokens=finished.old_tokens,
            notes=(*result.notes, *finished.notes),
            troubles=(*result.troubles, *troubles, *finished.troubles),
            after=finished.snapshot,
        )


def preflight(observations: Iterable[Observation]) -> None:
    """Prove that each store can be written; raises the `StoreError` of the first that cannot."""
    for observation in observations:
        observation.store.preflight()


@contextmanager
def _hold(observations: Iterable[Observation]) -> Iterator[None]:
    with ExitStack() as held:
        # In one order everywhere, so that two rotators never wait for each other.
        for observation in sorted(observations, key=lambda each: each.store.url):
            held.enter_context(observation.store.hold())
        yield


def _failed(snapshot: Snapshot, verdict: Verdict, error: RotatorError) -> RotationResult:
    return RotationResult(
        snapshot, verdict, Action.FAILED, troubles=(str(error),), failure=kind(error)
    )


def _overtaken(snapshot: Snapshot, verdict: Verdict) -> RotationResult:
    message = f"another rotator was faster; {verdict.message}"
    return RotationResult(snapshot, replace(verdict, message=message), Action.SKIPPED)
