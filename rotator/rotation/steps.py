"""The steps of a rotation, one after the other, while the token's stores are held."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rotator.clock import SLACK, minute
from rotator.config.settings import TokenSettings, Unused
from rotator.errors import (
    ApiError,
    ConflictError,
    RotatorError,
    StoreError,
    TokenRefusedError,
    kind,
)
from rotator.hooks.hooks import HookFailure, Hooks
from rotator.rotation.finish import Finisher
from rotator.rotation.former_stores import names_after
from rotator.rotation.mint import (
    MintAttempt,
    NotBegunError,
    OvertakenError,
    RevokedMeanwhileError,
)
from rotator.rotation.model import (
    CHANGED,
    Action,
    MintRequest,
    RotationContext,
    RotationResult,
    StoreReport,
    StoreState,
)
from rotator.rotation.observe import (
    Decider,
    Observation,
    Snapshot,
    Unreachable,
    observe_store,
    snapshot_of,
)
from rotator.rotation.policy import Need, RotateOptions, Verdict
from rotator.rotation.reconcile import POLL_SECONDS, Fences, reconcile
from rotator.rotation.retire import pending_after, replaced_after
from rotator.stores.journal import Journal, is_taken_over, taken_over_id
from rotator.tokens import ServiceToken

if TYPE_CHECKING:
    from rotator.rotation.mirrors import Mirrors

_ATTEMPTS = 10  # to mint, while other rotators write their intents, and after refused tokens
_MOST_REFUSED = 2  # tokens in one rotation, before it is left to the next run


class RotationSteps:
    """One rotation, which began with the look `before` at the stores.

    A store that did not answer is skipped for the run: we hold no lock on it.
    """

    def __init__(  # noqa: PLR0913 - all that a run has
        self,
        settings: TokenSettings,
        hooks: Hooks,
        context: RotationContext,
        decider: Decider,
        before: Snapshot,
        *,
        options: RotateOptions,
        mirrors: Mirrors | None = None,
    ) -> None:
        self._settings = settings
        self._hooks = hooks
        self._context = context
        self._decider = decider
        self._before = before
        self._options = options
        self._finisher = Finisher(settings.name, hooks, context, mirrors)

    def has_unfinished_work(self) -> bool:
        """Tell whether an earlier run left something to do now, an intent among it."""
        return bool(self._before.intents) or self._finisher.has_due_work(self._before)

    def has_old_tokens_to_watch(self) -> bool:
        """Tell whether the run looks up who still uses an old token."""
        return self._finisher.has_old_tokens_to_watch(self._before)

    def run(self, verdict: Verdict) -> RotationResult:
        """Do what the verdict asks for, unless another rotator did it meanwhile.

        Raises a `StoreError` when a store cannot be held, and an `ApiError` when the API does not
        say whether it accepts a token that is to be recovered.
        """
        remarks: tuple[str, ...] = ()
        refused: tuple[ServiceToken, ...] = ()
        with self._held():
            for attempt in range(_ATTEMPTS):
                result = self._run_steps(verdict, refused)
                remarks += result.remarks
                refused += result.refused
                if result.refused and len(refused) <= _MOST_REFUSED:
                    verdict = verdict._replace(need=Need.MINT)  # at once: a bot may need it
                elif result.must_start_over:  # rotators that met must not meet again
                    self._context.sleep(random.uniform(0, attempt * POLL_SECONDS))  # noqa: S311 - no secret
                else:
                    break
        return result._replace(remarks=remarks)

    def finish(self, result: RotationResult, failures: Sequence[HookFailure]) -> RotationResult:
        """Take the last steps, once hooks were run that were left to the end of the run.

        `failures` are those of them that failed. Raises a `StoreError` when a store cannot be held.
        """
        with self._held():
            return self._finisher.finish_postponed(result, self._observe(), self._options, failures)

    @contextmanager
    def _held(self) -> Iterator[None]:
        with ExitStack() as held:
            # In one order everywhere, so that two rotators never wait for each other.
            for observation in sorted(self._before.reachable, key=lambda each: each.store.url):
                held.enter_context(observation.store.hold())
            yield

    def _run_steps(self, verdict: Verdict, refused: Collection[ServiceToken]) -> RotationResult:
        """Take the steps, in the order of docs/rotation.md; the API refuses `refused`."""
        first_verdict = verdict
        snapshot = self._observe_alone(verdict)  # read and decide again: the stores are held now
        snapshot = self._decider.recover(snapshot, self._options)
        if snapshot.current in refused:
            verdict = self._decider.decide_refused(snapshot)
        else:
            verdict = self._decide_again(snapshot, verdict)
        if not snapshot.reachable:
            return RotationResult(snapshot, verdict, Action.FAILED)
        # Which intents are dead is found now, and they are settled after our writes: these change
        # the version of a store, so that a rotator which only slept gets a conflict.
        dead = self._find_dead(snapshot)
        result = self._renew(snapshot, verdict)
        if verdict.need not in (first_verdict.need, Need.HELP) and result.action is None:
            # Another rotator did what the first look asked for.
            result = _skip_overtaken(snapshot, verdict)
        if result.must_start_over:
            return result._replace(after=snapshot)
        # Hooks and retirement go by what the stores show now, after our writes and those of others.
        after = self._observe()
        if dead:
            after, remarks, troubles = self._reconcile(after, dead, result.written)
            result = result._replace(
                remarks=(*remarks, *result.remarks), troubles=(*troubles, *result.troubles)
            )
        if result.action is Action.FAILED:
            return result._replace(after=after)
        if result.action in CHANGED and (early := self._describe_early_end(after)):
            result = result._replace(troubles=(*result.troubles, early))
        # Mirrors, hooks, then retirement; what is left of them stays in the journal.
        return self._finisher.finish(result, after, self._options)

    def _renew(self, snapshot: Snapshot, verdict: Verdict) -> RotationResult:
        """Take the steps from preflight to spread, or copy the current token."""
        try:
            match verdict.need:
                case Need.MINT:
                    for observation in snapshot.reachable:
                        observation.store.preflight()
                    first, *others = snapshot.reachable  # of those that answered
                    request = MintRequest.build(self._options, self._settings, snapshot)
                    timeout = self._settings.rotation_timeout
                    attempt = MintAttempt(self._context, timeout, first, request)
                    attempt.prepare()
                    journal = self._new_journal(snapshot)
                    # Where a step fails, the token is revoked at once or left to the next run.
                    with attempt.undoing():
                        attempt.intend()
                        minted = attempt.mint()
                        token = attempt.verify(minted)
                        journal = attempt.promote(token, journal)
                    promoted = StoreReport(first.store.url, StoreState.WRITTEN)
                    written = (promoted, *_spread(others, token, journal))
                    as_written = self._decide_written(verdict, token)
                    result = RotationResult(snapshot, as_written, Action.ROTATED, token, written)
                case Need.COPY:
                    result = self._copy(snapshot, verdict)
                case _:
                    result = RotationResult(snapshot, verdict)
        except NotBegunError as error:
            result = _fail(snapshot, verdict, error)._replace(must_start_over=True)
        except OvertakenError as error:
            result = self._take_theirs(snapshot, verdict, error)
        except RevokedMeanwhileError as error:
            # Only `promote` raises it, with a token in hand.
            result = _fail(snapshot, verdict, error)._replace(refused=(token,))
        except TokenRefusedError as error:
            result = _fail_by_refusal(snapshot, verdict, error)
        except RotatorError as error:
            result = _fail(snapshot, verdict, error)
        return _tell_put_back(result, verdict)

    def _describe_early_end(self, after: Snapshot) -> str | None:
        """Return a line about a store that deletes the new token before it would be renewed."""
        end = after.ends_at(after.current)
        if end is None or end - after.taken_at >= self._settings.renew_before:
            return None
        return (
            f"a store deletes the new token at {minute(end)}, before it would be renewed, so each"
            " run makes another one: let it keep what is written for longer than validity (see"
            " delete_version_after in Vault)"
        )

    def _observe(self) -> Snapshot:
        answers = (
            each if isinstance(each, Unreachable) else observe_store(each.store)
            for each in self._before.answers
        )
        return snapshot_of(answers, self._context.clock())

    def _observe_alone(self, verdict: Verdict) -> Snapshot:
        """Observe; before a mint, wait until the intents of live rotators are gone.

        It ends: after rotation_timeout an intent counts as dead.
        """
        while True:
            snapshot = self._observe()
            if verdict.need is not Need.MINT:
                return snapshot
            open_mints = {taken_over_id(intent.mint_id) for intent in snapshot.intents}
            if open_mints <= self._find_dead(snapshot):
                return snapshot
            self._context.sleep(POLL_SECONDS)

    def _decide_again(self, snapshot: Snapshot, verdict: Verdict) -> Verdict:
        if snapshot.current != self._before.current or not snapshot.reachable:
            # What was forced is done: another rotator has renewed the token.
            return self._decider.decide_and_probe(snapshot, replace(self._options, force=False))
        if snapshot.lacking != self._before.lacking:
            return self._decider.decide_and_probe(snapshot, self._options)
        return verdict

    def _reconcile(
        self, snapshot: Snapshot, dead: Collection[str], written: Sequence[StoreReport]
    ) -> tuple[Snapshot, tuple[str, ...], tuple[str, ...]]:
        """Settle the mints of dead rotators; return the new snapshot, remarks and troubles.

        A token in the API's list that can only come from one of their intents, and that no store
        holds, is revoked. Before that the fences see to it that a rotator which only slept can
        write it no more. An intent whose mint has left nothing is settled, too. `written` is what
        became of the stores that this run has written.
        """
        intents = [each for each in snapshot.intents if taken_over_id(each.mint_id) in dead]
        fences = Fences(
            snapshot, {each.store for each in written if each.status is StoreState.WRITTEN}
        )
        timeout = self._settings.rotation_timeout
        reconciled = reconcile(self._context, intents, timeout, fences.put_up)
        settled = [each for each in intents if each.mint_id in reconciled.settled]
        # What a mint has noted since then is left to the next run.
        gone = {*settled, *(each.taken_over() for each in settled)}
        snapshot, troubles = fences.snapshot.note(
            lambda each: replace(
                each.journal, intents=tuple(i for i in each.journal.intents if i not in gone)
            )
        )
        if reconciled.trouble:
            troubles.insert(0, reconciled.trouble)
        return snapshot, reconciled.remarks, tuple(troubles)

    def _find_dead(self, snapshot: Snapshot) -> frozenset[str]:
        """Return the mints whose rotators are known to be dead, or must be by now.

        Each has the id under which its intent is taken over.
        """
        if not snapshot.intents:
            return frozenset()
        api = self._context.api()
        with suppress(ApiError):
            api.log_in()  # tells the server's time
        alive = self._context.in_flight.current()  # mints of this process, of any thread
        oldest = api.time.now() - self._settings.rotation_timeout
        return frozenset(
            taken_over_id(intent.mint_id)
            for observation in snapshot.reachable
            for intent in observation.journal.intents
            if intent.mint_id not in alive
            and (
                is_taken_over(intent.mint_id)
                or not oldest <= intent.begun_at <= api.time.now() + SLACK
                # False is proof that its writer is gone; None is a store without a lock.
                or observation.store.held_elsewhere() is False
            )
        )

    def _new_journal(self, snapshot: Snapshot) -> Journal:
        """Return what stands beside the token to mint, except its id."""
        now = self._context.api().time.now()
        # Without a token there may be the id of one that was removed by hand.
        removed = (each.journal.token_id for each in snapshot.reachable if not each.token)
        previous = next((token_id for token_id in removed if token_id), None)
        journal = Journal(
            previous_token_id=snapshot.current.token_id if snapshot.current else previous,
            minted_at=now,
            hooks=self._hooks.ids,
            leak=self._options.leak,
            pushes=snapshot.journal.pushes,
        )
        return self._with_old_tokens(journal, snapshot, snapshot.reachable, now)

    def _with_old_tokens(
        self,
        journal: Journal,
        snapshot: Snapshot,
        outgoing: Iterable[Observation],
        now: datetime,
    ) -> Journal:
        """Return what is to be known of the old tokens once `outgoing` is overwritten.

        Before a mint the journal has no token's id: all tokens that the stores show are old then.
        """
        # Who forces it has stopped what put a token back.
        is_put_back = bool(snapshot.put_back) and not self._options.force
        pending = pending_after(
            snapshot,
            outgoing,
            self._time_to_keep_old(),
            now,
            sparing_put_back=is_put_back and not self._options.revoke_old,
        )
        since = (each.journal.put_back_at for each in snapshot.put_back)
        return replace(
            journal,
            pending=pending,
            replaced=replaced_after(
                snapshot, journal.token_id, pending, self._settings.validity, now
            ),
            put_back_at=next(filter(None, since), now) if is_put_back else None,
            stores=names_after(snapshot, now),
        )

    def _time_to_keep_old(self) -> timedelta | Unused | None:
        return timedelta() if self._options.revoke_old else self._settings.retire

    def _decide_written(self, verdict: Verdict, token: ServiceToken) -> Verdict:
        written = self._decider.decide_written(token, self._context.clock())
        return written._replace(reason=verdict.reason)

    def _take_theirs(
        self, snapshot: Snapshot, verdict: Verdict, error: OvertakenError
    ) -> RotationResult:
        theirs = self._observe()
        if theirs.current == snapshot.current:  # they noted something, or took us for dead
            return _fail(theirs, verdict, error)._replace(must_start_over=True)
        their_verdict = self._decider.decide_from_stores(theirs, RotateOptions())
        try:
            if their_verdict.need is Need.COPY:
                return self._copy(theirs, their_verdict)
            if theirs.current and their_verdict.need is not Need.MINT:
                self._context.api().exchange(theirs.current.secret)
        except TokenRefusedError as refusal:
            return _fail_by_refusal(theirs, verdict, refusal)
        except RotatorError as failure:
            return _fail(snapshot, verdict, failure)
        if their_verdict.need is Need.MINT:  # what was overwritten is no comfort any more
            return _fail(theirs, their_verdict, error)
        return _skip_overtaken(theirs, their_verdict)

    def _copy(self, snapshot: Snapshot, verdict: Verdict) -> RotationResult:
        current = snapshot.current
        if current is None:
            return _skip_overtaken(snapshot, verdict)
        # Whether or not it was probed before: a refused token must not replace one that works.
        self._context.api().exchange(current.secret)
        journal = replace(snapshot.journal, token_id=current.token_id)
        now = self._context.api().time.now()
        journal = self._with_old_tokens(journal, snapshot, snapshot.lacking, now)
        holders = [each.store for each in snapshot.reachable if each not in snapshot.lacking]

        def journal_of_holder(observation: Observation) -> Journal:
            if observation.store not in holders:
                return observation.journal
            hooks = self._hooks.ids if observation.store is holders[0] else ()
            return replace(
                observation.journal,
                pending=journal.pending,
                replaced=journal.replaced,
                put_back_at=journal.put_back_at,
                hooks=hooks,
                stores=journal.stores,
            )

        is_repeated = any(each.journal.put_back_at for each in snapshot.put_back)
        snapshot, troubles = snapshot.note(journal_of_holder)
        if holders:
            written = _spread(snapshot.lacking, current, journal)
        else:  # the token is in none of them: it was put out by an old one
            first, *others = snapshot.lacking
            hooked = replace(journal, hooks=self._hooks.ids)
            written = (_write(first, current, hooked), *_spread(others, current, journal))
        if is_repeated:
            troubles.append(verdict.message)
        as_copied = self._decide_written(verdict, current)
        return RotationResult(
            snapshot, as_copied, Action.CONVERGED, written=written, troubles=tuple(troubles)
        )


def _spread(
    observations: Iterable[Observation], token: ServiceToken, journal: Journal
) -> tuple[StoreReport, ...]:
    """Write to each store; one that fails stays behind until the next run, and is reported.

    Open intents stay in the store that has them; hooks are noted in the first store only.
    """
    unhooked = replace(journal, hooks=())
    return tuple(_write(each, token, unhooked) for each in observations)


def _write(observation: Observation, token: ServiceToken, journal: Journal) -> StoreReport:
    url = observation.store.url
    try:
        observation.write(token, replace(journal, intents=observation.journal.intents))
    except StoreError as error:
        latest = observe_store(observation.store) if isinstance(error, ConflictError) else None
        # Another rotator may have written the same token meanwhile.
        if not (isinstance(latest, Observation) and latest.shows(token)):
            return StoreReport(url, StoreState.BEHIND, str(error))
    return StoreReport(url, StoreState.WRITTEN)


def _tell_put_back(result: RotationResult, verdict: Verdict) -> RotationResult:
    """Note why it was done: else nobody would hear of it before it fails."""
    is_told = verdict.message in result.troubles
    if verdict.reason != "put_back" or result.action not in CHANGED or is_told:
        return result
    return result._replace(remarks=(*result.remarks, verdict.message))


def _fail(snapshot: Snapshot, verdict: Verdict, error: RotatorError) -> RotationResult:
    return RotationResult(
        snapshot, verdict, Action.FAILED, troubles=(str(error),), failure=kind(error)
    )


def _fail_by_refusal(
    snapshot: Snapshot, verdict: Verdict, error: TokenRefusedError
) -> RotationResult:
    """Return a failure after which the current token, which the API refuses, is renewed."""
    refused = (snapshot.current,) if snapshot.current else ()
    return _fail(snapshot, verdict, error)._replace(refused=refused)


def _skip_overtaken(snapshot: Snapshot, verdict: Verdict) -> RotationResult:
    message = f"another rotator was faster; {verdict.message}"
    return RotationResult(snapshot, verdict._replace(message=message), Action.SKIPPED)
