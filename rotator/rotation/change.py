"""One token put into order while its stores are held: cleared up, then minted or copied."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import timedelta

from rotator.config.settings import TokenSettings
from rotator.errors import ApiError, RotatorError, kind
from rotator.hooks.commands import Hooks
from rotator.rotation.decide import Decider
from rotator.rotation.finish import Finisher, Retirement, pending_after
from rotator.rotation.mint import Minter, NotBegunError, OvertakenError
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
from rotator.rotation.reconcile import POLL_SECONDS, SLACK, Reconciler
from rotator.rotation.store_writes import note, spread
from rotator.stores.journal import Intent, Journal
from rotator.stores.port import SecretStore

_ATTEMPTS = 10  # to write an intent that no other rotator's comes in between


class Change:
    """Changes the stores of one token; whoever calls it holds them."""

    def __init__(
        self,
        settings: TokenSettings,
        stores: Sequence[SecretStore],
        hooks: Hooks,
        context: RotationContext,
        diagnosis: Decider,
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._hooks = hooks
        self._shared = context
        self._diagnosis = diagnosis
        self._reconciler = Reconciler(context.in_flight, context.fleet, context.sleep)
        retirement = Retirement(context.fleet, context.api)
        self._conclusion = Finisher(settings.name, hooks, retirement)

    def is_due(self, snapshot: Snapshot, options: RotateOptions) -> bool:
        """Tell whether an earlier run left something to be done, whatever the token needs."""
        return bool(snapshot.intents) or self._conclusion.is_due(snapshot, options)

    def carry_out(
        self, before: Snapshot, verdict: Verdict, options: RotateOptions
    ) -> RotationResult:
        """Do what the verdict on `before` asks for, unless another rotator did it meanwhile.

        Raises a `StoreError` when a store cannot be held.
        """
        with ExitStack() as held:
            # In one order everywhere, so that two rotators never wait for each other.
            for observation in sorted(
                before.reachable, key=lambda observation: observation.store.url
            ):
                held.enter_context(observation.store.hold())
            result = self._attempted(before, verdict, options)
            for attempt in range(1, _ATTEMPTS):
                if not result.not_begun:
                    break
                # Where there is no lock, those who met are not to meet again.
                self._shared.sleep(random.uniform(0, attempt * POLL_SECONDS))  # noqa: S311 - no secret
                again = self._attempted(before, verdict, options)
                result = again._replace(notes=(*result.notes, *again.notes))
            if result.action is Action.FAILED:
                return result._replace(after=observe(self._stores, self._shared.clock()))
            return self._concluded(result, options)

    def _attempted(
        self, before: Snapshot, verdict: Verdict, options: RotateOptions
    ) -> RotationResult:
        snapshot = self._after_others(verdict)
        if snapshot.current != before.current or not snapshot.reachable:
            again = self._diagnosis.of(snapshot, replace(options, force=False))
        else:
            again = (
                self._diagnosis.of(snapshot, options)
                if snapshot.behind != before.behind
                else verdict
            )
        if not snapshot.reachable:
            return RotationResult(snapshot, again, Action.FAILED)
        snapshot, notes, troubles = self._cleared_up(snapshot)
        result = self._acted(snapshot, again, options, overtaken=again.need is not verdict.need)
        return result._replace(notes=notes, troubles=(*troubles, *result.troubles))

    def _after_others(self, verdict: Verdict) -> Snapshot:
        """Look at the stores; who is going to mint waits for others to be done with theirs."""
        while True:
            snapshot = observe(self._stores, self._shared.clock())
            everyone_is_dead = len(self._dead(snapshot)) == len(snapshot.intents)
            if verdict.need is not Need.MINT or everyone_is_dead:
                return snapshot
            self._shared.sleep(POLL_SECONDS)

    def _cleared_up(self, snapshot: Snapshot) -> tuple[Snapshot, tuple[str, ...], tuple[str, ...]]:
        """Settle the mints that dead rotators left open."""
        dead = self._dead(snapshot)
        if not dead:
            return snapshot, (), ()
        timeout = self._settings.rotation_timeout
        judgement = self._reconciler.settle(self._shared.api(), dead, timeout)
        snapshot, troubles = note(
            snapshot,
            lambda observation: observation.found.journal.without_intents(judgement.settled),
        )
        told = tuple(
            f"{token_id}, left over from a mint that was cut off, was revoked"
            for token_id in judgement.revoked
        )
        return snapshot, told, (*([judgement.trouble] if judgement.trouble else []), *troubles)

    def _dead(self, snapshot: Snapshot) -> list[Intent]:
        """Return the intents whose rotator is known to be gone, or must be by now."""
        if not snapshot.intents:
            return []
        api = self._shared.api()
        with suppress(ApiError):
            api.log_in()  # tells the server's time
        current_runs = self._shared.in_flight.current_runs().runs
        oldest = api.now() - self._settings.rotation_timeout
        return [
            intent
            for observation in snapshot.reachable
            for intent in observation.found.journal.intents
            if intent.run not in current_runs
            and (
                not oldest <= intent.begun_at <= api.now() + SLACK
                or observation.store.held_elsewhere() is False
            )
        ]

    def _acted(
        self, snapshot: Snapshot, verdict: Verdict, options: RotateOptions, *, overtaken: bool
    ) -> RotationResult:
        try:
            match verdict.need:
                case Need.MINT:
                    for observation in snapshot.reachable:
                        observation.store.preflight()
                    return self._rotated(snapshot, verdict, options)
                case Need.COPY:
                    return self._copied(snapshot, verdict)
        except RotatorError as error:
            return _failed(snapshot, verdict, error)
        return _overtaken(snapshot, verdict) if overtaken else RotationResult(snapshot, verdict)

    def _rotated(
        self, snapshot: Snapshot, verdict: Verdict, options: RotateOptions
    ) -> RotationResult:
        api = self._shared.api()
        api.log_in()
        now = api.now()
        grace = timedelta() if options.revoke_old else self._settings.retire
        journal = Journal(
            previous_token_id=snapshot.current.token_id
            if snapshot.current
            else snapshot.removed_token_id,
            minted_at=now,
            pending=pending_after(snapshot, snapshot.reachable, grace, now),
            hooks=self._hooks.ids,
        )
        maker = Minter(self._shared, self._reconciler, self._settings.rotation_timeout)
        first, *others = snapshot.reachable
        try:
            made = maker.make(first, options.request(self._settings, snapshot), journal)
        except NotBegunError as error:
            return _failed(snapshot, verdict, error)._replace(not_begun=True)
        except OvertakenError as error:
            return self._theirs(verdict, error)
        promoted = StoreReport(first.store.url, StoreState.WRITTEN)
        written = (promoted, *spread(others, made.token, made.journal))
        settled = replace(self._diagnosis.settled(snapshot, made.token), reason=verdict.reason)
        return RotationResult(snapshot, settled, Action.ROTATED, made.token, written)

    def _theirs(self, verdict: Verdict, error: OvertakenError) -> RotationResult:
        snapshot = observe(self._stores, self._shared.clock())
        theirs = self._diagnosis.decide_from_stores(snapshot, RotateOptions())
        if theirs.need is Need.MINT:
            return _failed(snapshot, verdict, error)
        return (
            self._copied(snapshot, theirs)
            if theirs.need is Need.COPY
            else _overtaken(snapshot, theirs)
        )

    def _copied(self, snapshot: Snapshot, verdict: Verdict) -> RotationResult:
        current = snapshot.current
        if current is None:
            return _overtaken(snapshot, verdict)
        # With or without a probe before: a token that is refused must not replace one that works.
        self._shared.api().exchange(current.secret)
        now = self._shared.api().now()
        pending = pending_after(snapshot, snapshot.behind, self._settings.retire, now)
        journal = replace(snapshot.journal, token_id=current.token_id, pending=pending)
        holders = [
            observation for observation in snapshot.reachable if observation not in snapshot.behind
        ]

        def promised(observation: Observation) -> Journal:
            if observation not in holders:
                return observation.found.journal
            hooks = self._hooks.ids if observation is holders[0] else ()
            return replace(observation.found.journal, pending=pending, hooks=hooks)

        snapshot, troubles = note(snapshot, promised)
        written = spread(snapshot.behind, current, journal)
        settled = replace(self._diagnosis.settled(snapshot, current), reason=verdict.reason)
        return RotationResult(
            snapshot, settled, Action.CONVERGED, written=written, troubles=tuple(troubles)
        )

    def _concluded(self, result: RotationResult, options: RotateOptions) -> RotationResult:
        snapshot = observe(self._stores, self._shared.clock())
        # A store that fell silent meanwhile may keep hooks and old tokens from their turn.
        fallen = (
            each
            for each in snapshot.unreachable
            if each.store.url not in result.snapshot.unreachable_urls
        )
        result = result._replace(troubles=(*result.troubles, *(str(each.error) for each in fallen)))
        renewed = result.action is not None
        concluded = self._conclusion.draw(snapshot, options, renewed=renewed)
        return result._replace(
            old_tokens=concluded.old_tokens,
            notes=(*result.notes, *concluded.notes),
            troubles=(*result.troubles, *concluded.troubles),
            after=concluded.snapshot,
        )


def _failed(snapshot: Snapshot, verdict: Verdict, error: RotatorError) -> RotationResult:
    return RotationResult(
        snapshot, verdict, Action.FAILED, troubles=(str(error),), failure=kind(error)
    )


def _overtaken(snapshot: Snapshot, verdict: Verdict) -> RotationResult:
    message = f"another rotator was faster; {verdict.message}"
    return RotationResult(snapshot, replace(verdict, message=message), Action.SKIPPED)
