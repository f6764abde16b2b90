"""Rehearsal: a whole rotation with a canary, a token of one day, in a scratch place.

It takes the steps of a rotation, by the same code, and ends by revoking the canary and removing all
that it wrote. No bot reads the scratch place, and the secret with its journal stays as it is. The
canary's mint is noted in the journal of the scratch place before it is made; what becomes of it
when a rehearsal is killed says `rehearsal_leftovers`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta

from rotator import audit
from rotator.audit import Event
from rotator.clock import in_words
from rotator.config.settings import TokenSettings
from rotator.errors import (
    ApiFaultError,
    ConflictError,
    RotatorError,
    StoreError,
    TokenRefusedError,
    UnconfirmedWriteError,
    internal_error,
    kind,
)
from rotator.hooks.hooks import HookEvent, Hooks
from rotator.rotation.mint import MintAttempt, NotBegunError, require_clock
from rotator.rotation.model import MintRequest, RotationContext
from rotator.rotation.observe import ATTEMPTS, Snapshot, Unreachable, observe
from rotator.rotation.policy import RotateOptions
from rotator.rotation.reconcile import POLL_SECONDS
from rotator.rotation.rehearsal_leftovers import (
    CANARY_LIFE,
    NotedMint,
    ScratchPlace,
    clear_up,
    look_at,
    remove,
    scratch_of,
)
from rotator.rotation.rehearsal_report import RehearsalReport, Step, StepResult
from rotator.stores.journal import Journal, PendingRevocation
from rotator.stores.port import Entry, ScratchStore, SecretStore
from rotator.tokens import ServiceToken

_REMOVE = "remove it by hand, as only rehearsals may use that place"


class Rehearsal:
    """Rehearses the rotation of one token, once."""

    def __init__(
        self, settings: TokenSettings, stores: Sequence[SecretStore], context: RotationContext
    ) -> None:
        self.name = settings.name
        self._settings = settings
        self._stores = stores
        self._context = context
        self._steps: list[StepResult] = []
        self._canary_id: str | None = None
        self._canary: ServiceToken | None = None  # while it may be alive
        self._is_revoked = False
        self._noted: list[str] = []

    def run(self, *, with_hooks: bool) -> RehearsalReport:
        """Take the steps as far as they go; every failure becomes part of the report."""
        with audit.run(self.name):
            with self._going_on():
                self._run(with_hooks=with_hooks)
            steps, noted = tuple(self._steps), tuple(self._noted)
            report = RehearsalReport(self.name, steps, self._canary_id, noted)
            _log_end(report)
        return report

    def stop(self) -> RehearsalReport:
        """Take no step, since a signal came first."""
        message = "stopped by a signal before its turn; run again"
        return RehearsalReport(self.name, (StepResult(Step.READ, message, failure="stopped"),))

    def _run(self, *, with_hooks: bool) -> None:
        snapshot = observe(self._stores, self._context.clock())
        scratches = self._preflight(snapshot)
        request = self._log_in(snapshot)
        if self._has_failed:
            return
        with ExitStack() as held:
            # In one order everywhere, so that two rotators never wait for each other.
            for scratch in sorted(scratches, key=lambda each: each.url):
                with self._taking(Step.CLEAR_UP):
                    held.enter_context(scratch.hold())
            self._rehearse(scratches, request)
        if with_hooks and not self._has_failed:
            with self._taking(Step.HOOK):
                self._try_hooks(snapshot)

    # Before anything is minted

    def _preflight(self, snapshot: Snapshot) -> list[ScratchStore]:
        """Read each store, and prove that it can be written; return the scratch places."""
        scratches = []
        for answer in snapshot.answers:
            with self._going_on():
                with self._taking(Step.READ, "it can be read", answer.store):
                    if isinstance(answer, Unreachable):
                        raise answer.error
                with self._taking(Step.PREFLIGHT, "it can be written", answer.store):
                    answer.store.preflight()
                    scratch = scratch_of(self._context, answer.store)
                    scratch.preflight()
                    scratches.append(scratch)
        return scratches

    def _log_in(self, snapshot: Snapshot) -> MintRequest:
        """Prove that the admin may mint; return the canary to mint."""
        wanted = MintRequest.build(RotateOptions(), self._settings, snapshot)
        with self._going_on(), self._taking(Step.LOGIN, "the admin may manage service tokens"):
            api = self._context.api()
            api.log_in()
            api.account()
            require_clock(api, wanted, self._context.clock())
        return MintRequest(CANARY_LIFE, wanted.scope, timedelta(), wanted.earlier)

    def _free(self, scratches: Sequence[ScratchStore]) -> list[ScratchPlace]:
        """Return the scratch places once no other rehearsal is at work there; clear up before."""
        timeout, has_cleared = self._settings.rotation_timeout, False
        for _ in range(2 * int(timeout.total_seconds() / POLL_SECONDS) + ATTEMPTS):
            places = [look_at(scratch) for scratch in scratches]
            now = self._context.api().time.now()
            for place in places:
                if place.is_foreign(now):
                    raise StoreError(f"{place.store.url}: no rehearsal made this: {_REMOVE}")
            if all(place.is_vacant or (has_cleared and place.is_free) for place in places):
                return places
            if any(place.may_be_in_use(now, timeout) for place in places):
                self._context.sleep(POLL_SECONDS)
                continue
            has_cleared, cleared = True, clear_up(self._context, timeout, places)
            if cleared.troubles:
                raise StoreError("; ".join(cleared.troubles))
            for remark in cleared.remarks:
                self._tell(Step.CLEAR_UP, remark)
        raise ConflictError(f"{scratches[0].url}: another rehearsal is at work there: run again")

    # With the canary

    def _rehearse(self, scratches: Sequence[ScratchStore], request: MintRequest) -> None:
        for number in range(ATTEMPTS):
            with self._taking(Step.CLEAR_UP):
                places = self._free(scratches)
            context = self._context._replace(clock=self._context.api().time.now)
            timeout = self._settings.rotation_timeout
            attempt = MintAttempt(context, timeout, places[0].seen, request)
            try:
                self._play(places, self._bring_in(attempt))
            except NotBegunError as error:  # another rehearsal was faster
                conflict = error
                self._context.sleep(random.uniform(0, number * POLL_SECONDS))  # noqa: S311 - no secret
            else:
                return
            finally:
                self._end(scratches, attempt.mint_id)
        with self._taking(Step.INTEND, store=scratches[0]):
            raise conflict

    def _bring_in(self, attempt: MintAttempt) -> ServiceToken:
        """Mint the canary, prove it, and write it to its first store; undo what fails.

        Raises `NotBegunError` where somebody else was faster.
        """
        url, step = attempt.first.store.url, Step.LOGIN
        try:
            attempt.prepare()
            with attempt.undoing():
                step = Step.INTEND
                attempt.intend()
                self._tell(step, f"{url}: the mint is noted", url)
                step = Step.MINT
                minted = attempt.mint()
                self._canary_id = minted.token_id
                self._tell(step, f"the API minted the canary {minted.token_id}")
                step = Step.VERIFY
                token = self._canary = attempt.verify(minted)
                self._tell(step, "it is what was asked for, and the API accepts it")
                step = Step.WRITE
                attempt.promote(token, Journal(minted_at=self._context.api().time.now()))
                self._tell(step, f"{url}: the canary is written", url)
        except NotBegunError:
            raise
        except Exception as error:  # noqa: BLE001 - (the same)
            store = url if step in (Step.INTEND, Step.WRITE) else None
            raise self._fail(step, error, store) from None
        return token

    def _play(self, places: Sequence[ScratchPlace], token: ServiceToken) -> None:
        """Take the steps that follow in each store."""
        journal = Journal(token_id=token.token_id, minted_at=self._context.api().time.now())
        written = [places[0].store]
        for place in places[1:]:
            kept = replace(journal, intents=place.seen.journal.intents)
            with self._going_on(), self._taking(Step.WRITE, "the canary is written", place.store):
                place.seen.write(token, kept)
                written.append(place.store)
        found: list[tuple[ScratchStore, Entry]] = []
        for store in written:
            with self._going_on(), self._taking(Step.READ_BACK, "the canary is there", store):
                found.append((store, self._read_back(store, token)))
        for secret in dict.fromkeys(entry.secret for _, entry in found):
            with self._taking(Step.EXCHANGE, "the API accepts what the stores hold"):
                self._context.api().exchange(secret)
        owed = PendingRevocation(token.token_id or "", self._context.api().time.now())
        for store, entry in found:
            noted = replace(entry.journal, pending=(owed,))
            with self._going_on(), self._taking(Step.NOTE, "the journal is updated", store):
                store.note(noted, expected=entry.version)

    def _read_back(self, store: ScratchStore, token: ServiceToken) -> Entry:
        entry = store.read()
        if not isinstance(entry, Entry) or entry.secret != token.secret:
            raise UnconfirmedWriteError(f"{store.url}: it does not show what was written")
        if entry.journal.token_id != token.token_id:
            raise UnconfirmedWriteError(
                f"{store.url}: it does not show the journal that was written"
            )
        margin, now = self._settings.renew_before, self._context.api().time.now()
        left = entry.ends_at - now if entry.ends_at else margin
        if left < margin:
            raise StoreError(
                f"{store.url}: it deletes what is written there after {in_words(left)}, which is"
                f" less than renew_before ({in_words(margin)}): let it keep a token for longer"
            )
        return entry

    def _end(self, scratches: Sequence[ScratchStore], mint_id: str) -> None:
        """Revoke the canary, if it is not undone already, and remove all that was written."""
        if self._canary:
            with self._going_on(), self._taking(Step.REVOKE, "the canary is revoked"):
                self._revoke(self._canary)
                self._canary, self._is_revoked = None, True
        # The next run has to know of a canary that is alive.
        for scratch in scratches[1:] if self._canary else scratches:
            with self._going_on(), self._taking(Step.REMOVE, store=scratch):
                self._tell(Step.REMOVE, self._remove(scratch, mint_id), scratch.url)

    def _revoke(self, canary: ServiceToken) -> None:
        api = self._context.api()
        api.ensure_revoked(canary.name, "rehearsal")
        with suppress(TokenRefusedError):
            api.exchange(canary.secret)
            raise ApiFaultError(f"the API says that {canary.name} is revoked, and still accepts it")

    def _remove(self, scratch: ScratchStore, mint_id: str) -> str:
        """Remove what is ours, and say what is left; a mint that can make a canary stays noted."""
        for _ in range(ATTEMPTS):
            place = look_at(scratch)
            if place.token_ids - {self._canary_id}:
                # which took this one for dead
                return f"{scratch.url}: left to another rehearsal"
            intents = place.seen.journal.intents
            ours = [each for each in intents if each.mint_id == mint_id]
            left = [each for each in intents if each not in ours]
            left += [] if self._is_revoked else [each.taken_over() for each in ours]
            journal = Journal(intents=tuple(left))
            with suppress(ConflictError):
                remove(place, journal)
                timeout = self._settings.rotation_timeout
                if note := NotedMint.of(scratch.url, journal, timeout):
                    self._noted.append(str(note))
                    return str(note)
                return f"{scratch.url}: nothing is left"
        raise ConflictError(f"{scratch.url}: it keeps changing; the next run removes what is left")

    def _try_hooks(self, snapshot: Snapshot) -> None:
        """Run the commands; restart nothing, but prove that it would work; send test notices."""
        hooks, current = Hooks(self._settings, self._context.environ), snapshot.current
        event = HookEvent(
            self.name,
            current.token_id if current else None,
            current.expires_at if current else None,
            tuple(each.store.url for each in snapshot.reachable if each.shows(current)),
            is_rehearsal=True,
        )
        failed = {failure.hook_id: failure.message for failure in hooks.run(hooks.ids, event)}
        for hook_id, name in hooks.names.items():
            failure = "hook" if hook_id in failed else None
            message = failed.get(hook_id, f"{name} works")
            outcome = failure or audit.DONE
            audit.record(Event.HOOK, message, outcome=outcome, hook=hook_id)
            self._tell(Step.HOOK, message, failure=failure)

    # What is told

    @property
    def _has_failed(self) -> bool:
        return any(each.failure for each in self._steps)

    def _tell(
        self, step: Step, message: str, store: str | None = None, failure: str | None = None
    ) -> None:
        self._steps.append(StepResult(step, message, store, failure))

    def _fail(self, step: Step, error: Exception, store: str | None) -> _StepFailedError:
        """Tell what went wrong; return the error to raise."""
        if isinstance(error, RotatorError):
            self._tell(step, str(error), store, kind(error))
        else:
            self._tell(step, internal_error(error), store, "internal")
        return _StepFailedError()

    @contextmanager
    def _taking(
        self, step: Step, done: str | None = None, store: SecretStore | None = None
    ) -> Iterator[None]:
        """Enclose a step; tell of it if it is done, or what went wrong.

        Raises `_StepFailedError` where it fails.
        """
        url = store.url if store else None
        try:
            yield
        except _StepFailedError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug must not keep the rest from being undone
            raise self._fail(step, error, url) from None
        if done:
            self._tell(step, f"{url}: {done}" if url else done, url)

    @staticmethod
    def _going_on() -> AbstractContextManager[None]:
        """Go on after a step that failed: all failures are told at once."""
        return suppress(_StepFailedError)


class _StepFailedError(Exception):
    """A step failed, and is told already."""


def _log_end(report: RehearsalReport) -> None:
    audit.record(
        Event.FINISHED,
        report.error or "the rehearsal passed",
        outcome=report.failures[0].failure if report.failures else audit.DONE,
        action="rehearsed",
        token_id=report.token_id,
    )
