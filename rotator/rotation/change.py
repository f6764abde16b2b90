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
from rotator.rotation.decide import Diagnosis
from rotator.rotation.finish import Conclusion, Retirement, owed_after
from rotator.rotation.mint import Maker, NotBegunError, OvertakenError
from rotator.rotation.model import Action, Done, Order, Shared, StoreReport, StoreState
from rotator.rotation.observe import Reading, Survey, survey
from rotator.rotation.policy import Need, Verdict
from rotator.rotation.reconcile import PAUSE, SLACK, Reconciler
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
        shared: Shared,
        diagnosis: Diagnosis,
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._hooks = hooks
        self._shared = shared
        self._diagnosis = diagnosis
        self._reconciler = Reconciler(shared.ledger, shared.fleet, shared.sleep)
        retirement = Retirement(shared.fleet, shared.api)
        self._conclusion = Conclusion(settings.name, hooks, retirement)

    def is_due(self, seen: Survey, order: Order) -> bool:
        """Tell whether an earlier run left something to be done, whatever the token needs."""
        return bool(seen.intents) or self._conclusion.is_due(seen, order)

    def carry_out(self, before: Survey, verdict: Verdict, order: Order) -> Done:
        """Do what the verdict on `before` asks for, unless another rotator did it meanwhile.

        Raises a `StoreError` when a store cannot be held.
        """
        with ExitStack() as held:
            # In one order everywhere, so that two rotators never wait for each other.
            for reading in sorted(before.reachable, key=lambda reading: reading.store.url):
                held.enter_context(reading.store.hold())
            done = self._attempted(before, verdict, order)
            for attempt in range(1, _ATTEMPTS):
                if not done.not_begun:
                    break
                # Where there is no lock, those who met are not to meet again.
                self._shared.sleep(random.uniform(0, attempt * PAUSE))  # noqa: S311 - no secret
                again = self._attempted(before, verdict, order)
                done = again._replace(notes=(*done.notes, *again.notes))
            if done.action is Action.FAILED:
                return done._replace(after=survey(self._stores, self._shared.clock()))
            return self._concluded(done, order)

    def _attempted(self, before: Survey, verdict: Verdict, order: Order) -> Done:
        seen = self._after_others(verdict)
        if seen.current != before.current or not seen.reachable:
            again = self._diagnosis.of(seen, replace(order, force=False))
        else:
            again = self._diagnosis.of(seen, order) if seen.behind != before.behind else verdict
        if not seen.reachable:
            return Done(seen, again, Action.FAILED)
        seen, notes, troubles = self._cleared_up(seen)
        done = self._acted(seen, again, order, overtaken=again.need is not verdict.need)
        return done._replace(notes=notes, troubles=(*troubles, *done.troubles))

    def _after_others(self, verdict: Verdict) -> Survey:
        """Look at the stores; who is going to mint waits for others to be done with theirs."""
        while True:
            seen = survey(self._stores, self._shared.clock())
            everyone_is_dead = len(self._dead(seen)) == len(seen.intents)
            if verdict.need is not Need.MINT or everyone_is_dead:
                return seen
            self._shared.sleep(PAUSE)

    def _cleared_up(self, seen: Survey) -> tuple[Survey, tuple[str, ...], tuple[str, ...]]:
        """Settle the mints that dead rotators left open."""
        dead = self._dead(seen)
        if not dead:
            return seen, (), ()
        timeout = self._settings.rotation_timeout
        judgement = self._reconciler.settle(self._shared.api(), dead, timeout)
        seen, troubles = note(
            seen, lambda reading: reading.found.journal.without_intents(judgement.settled)
        )
        told = tuple(
            f"{token_id}, left over from a mint that was cut off, was revoked"
            for token_id in judgement.revoked
        )
        return seen, told, (*([judgement.trouble] if judgement.trouble else []), *troubles)

    def _dead(self, seen: Survey) -> list[Intent]:
        """Return the intents whose rotator is known to be gone, or must be by now."""
        if not seen.intents:
            return []
        api = self._shared.api()
        with suppress(ApiError):
            api.log_in()  # tells the server's time
        minded = self._shared.ledger.minded().runs
        oldest = api.now() - self._settings.rotation_timeout
        return [
            intent
            for reading in seen.reachable
            for intent in reading.found.journal.intents
            if intent.run not in minded
            and (
                not oldest <= intent.begun_at <= api.now() + SLACK
                or reading.store.held_elsewhere() is False
            )
        ]

    def _acted(self, seen: Survey, verdict: Verdict, order: Order, *, overtaken: bool) -> Done:
        try:
            match verdict.need:
                case Need.MINT:
                    for reading in seen.reachable:
                        reading.store.preflight()
                    return self._rotated(seen, verdict, order)
                case Need.COPY:
                    return self._copied(seen, verdict)
        except RotatorError as error:
            return _failed(seen, verdict, error)
        return _overtaken(seen, verdict) if overtaken else Done(seen, verdict)

    def _rotated(self, seen: Survey, verdict: Verdict, order: Order) -> Done:
        api = self._shared.api()
        api.log_in()
        now = api.now()
        grace = timedelta() if order.revoke_old else self._settings.retire
        journal = Journal(
            previous_token_id=seen.current.token_id if seen.current else seen.emptied_id,
            minted_at=now,
            owed=owed_after(seen, seen.reachable, grace, now),
            hooks=self._hooks.ids,
        )
        maker = Maker(self._shared, self._reconciler, self._settings.rotation_timeout)
        first, *others = seen.reachable
        try:
            made = maker.make(first, order.wish(self._settings, seen), journal)
        except NotBegunError as error:
            return _failed(seen, verdict, error)._replace(not_begun=True)
        except OvertakenError as error:
            return self._theirs(verdict, error)
        promoted = StoreReport(first.store.url, StoreState.WRITTEN)
        written = (promoted, *spread(others, made.token, made.journal))
        settled = replace(self._diagnosis.settled(seen, made.token), reason=verdict.reason)
        return Done(seen, settled, Action.ROTATED, made.token, written)

    def _theirs(self, verdict: Verdict, error: OvertakenError) -> Done:
        seen = survey(self._stores, self._shared.clock())
        theirs = self._diagnosis.by_stores(seen, Order())
        if theirs.need is Need.MINT:
            return _failed(seen, verdict, error)
        return self._copied(seen, theirs) if theirs.need is Need.COPY else _overtaken(seen, theirs)

    def _copied(self, seen: Survey, verdict: Verdict) -> Done:
        current = seen.current
        if current is None:
            return _overtaken(seen, verdict)
        # With or without a probe before: a token that is refused must not replace one that works.
        self._shared.api().exchange(current.secret)
        now = self._shared.api().now()
        owed = owed_after(seen, seen.behind, self._settings.retire, now)
        journal = replace(seen.journal, token_id=current.token_id, owed=owed)
        holders = [reading for reading in seen.reachable if reading not in seen.behind]

        def promised(reading: Reading) -> Journal:
            if reading not in holders:
                return reading.found.journal
            hooks = self._hooks.ids if reading is holders[0] else ()
            return replace(reading.found.journal, owed=owed, hooks=hooks)

        seen, troubles = note(seen, promised)
        written = spread(seen.behind, current, journal)
        settled = replace(self._diagnosis.settled(seen, current), reason=verdict.reason)
        return Done(seen, settled, Action.CONVERGED, written=written, troubles=tuple(troubles))

    def _concluded(self, done: Done, order: Order) -> Done:
        seen = survey(self._stores, self._shared.clock())
        # A store that fell silent meanwhile may keep hooks and old tokens from their turn.
        fallen = (each for each in seen.silent if each.store.url not in done.seen.silent_urls)
        done = done._replace(troubles=(*done.troubles, *(str(each.error) for each in fallen)))
        renewed = done.action is not None
        concluded = self._conclusion.draw(seen, order, renewed=renewed)
        return done._replace(
            old_tokens=concluded.old_tokens,
            notes=(*done.notes, *concluded.notes),
            troubles=(*done.troubles, *concluded.troubles),
            after=concluded.seen,
        )


def _failed(seen: Survey, verdict: Verdict, error: RotatorError) -> Done:
    return Done(seen, verdict, Action.FAILED, troubles=(str(error),), failure=kind(error))


def _overtaken(seen: Survey, verdict: Verdict) -> Done:
    message = f"another rotator was faster; {verdict.message}"
    return Done(seen, replace(verdict, message=message), Action.SKIPPED)
