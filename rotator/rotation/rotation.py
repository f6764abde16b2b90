"""Rotation: what can be done with one token – check it, rotate it, or say what a rotation would do.

A rotation has ten steps: read, decide, preflight, intend, mint, verify, promote, spread, hook,
retire. Their order keeps the bots alive: nothing is minted before every store is proven writable,
no token is written before the server has accepted it, and no old token is revoked before
every store shows the new one. What a rotation begins it notes first, so that the next run finishes
or undoes what a dead one left.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from rotator import audit
from rotator.audit import Event
from rotator.clock import describe_skew, minute, rfc3339_or_none
from rotator.config.settings import TokenSettings
from rotator.errors import RotatorError, StoreError, internal_error, kind
from rotator.rotation.model import (
    CHANGED,
    Action,
    RotationContext,
    RotationResult,
    StoreState,
)
from rotator.rotation.observe import Decider, Snapshot
from rotator.rotation.policy import Need, RotateOptions, Status, Verdict
from rotator.rotation.report import Report, build_report
from rotator.stores.port import SecretStore, ShowsEvents, StoreEvent

if TYPE_CHECKING:
    from rotator.hooks.hooks import HookFailure, Hooks, HookTask
    from rotator.rotation.mirrors import MirrorLook, Mirrors
    from rotator.rotation.steps import RotationSteps


_log = logging.getLogger(__name__)
# A server that was just out of reach is not asked again.
_NO_ANSWER = ("api-unreachable", "not-done")


class _Unfinished(NamedTuple):
    """A rotation that waits for hooks it shares; `fields` are those of its audit trail."""

    result: RotationResult
    options: RotateOptions
    fields: dict[str, str]


class Rotation:
    """One token with its stores, to be checked or rotated as often as wanted."""

    def __init__(
        self, settings: TokenSettings, stores: Sequence[SecretStore], context: RotationContext
    ) -> None:
        self.name, self.api = settings.name, settings.api
        self.renew_before = settings.renew_before
        self._settings = settings
        self._stores = stores
        self._context = context
        self._decider = Decider(settings, context.api)
        self.workers = context.workers
        self.at_most = settings.at_most
        self.labels = dict(settings.labels)
        self._unfinished: _Unfinished | None = None

    @property
    def places(self) -> frozenset[str]:
        """The workloads that are restarted, and the URLs that are told: others may share them."""
        if not (self._settings.restart or self._settings.notify):
            return frozenset()
        from rotator.hooks.hooks import places_of  # noqa: PLC0415 - as its steps are

        return frozenset(places_of(self._settings))

    @cached_property
    def hooks(self) -> Hooks:
        """What runs, and who is told, when the token is renewed or cannot be."""
        # Imported here, as are its steps: `rotator check` starts faster without them.
        from rotator.hooks.hooks import Hooks  # noqa: PLC0415

        return Hooks(self._settings, self._context.environ)

    @cached_property
    def _mirrors(self) -> Mirrors | None:
        if not self._settings.mirrors:
            return None
        from rotator.rotation.mirrors import Mirrors  # noqa: PLC0415 - few have mirrors

        mirrors = self._context.open_mirrors(self._settings)
        return Mirrors(mirrors, self._context.clock, self._settings.rotation_timeout)

    def _look_at_mirrors(self, snapshot: Snapshot) -> tuple[MirrorLook, ...]:
        return self._mirrors.look(snapshot) if self._mirrors else ()

    def _steps(self, before: Snapshot, options: RotateOptions) -> RotationSteps:
        from rotator.rotation.steps import RotationSteps  # noqa: PLC0415

        return RotationSteps(
            self._settings,
            self.hooks,
            self._context,
            self._decider,
            before,
            options=options,
            mirrors=self._mirrors,
        )

    def _summarize(self, result: RotationResult, now: datetime) -> Report:
        return build_report(self.name, result, now, self.api)

    def log_out(self) -> None:
        """End the admin's session, which all rotations of this API share."""
        self._context.api.log_out()

    def expect_look(self) -> None:
        """Announce that these stores are read soon, so that one request can read several."""
        self._context.fleet_stores.ahead.expect(self._stores)

    def check(self, *, probe: bool) -> Report:
        """Look at the stores, and with `probe` also ask the server; change nothing."""
        return self._summarize(self.look(probe=probe), self._context.clock())

    def look(self, *, probe: bool) -> RotationResult:
        """Look as `check` does; return the result instead of the report."""
        snapshot = self._observe()
        verdict, error = self._decider.decide_from_stores(snapshot, RotateOptions()), None
        skew = timedelta()
        if probe and snapshot.current and verdict.status is not Status.EXPIRED:
            verdict, error = self._decider.decide_after_probe(snapshot, RotateOptions())
            skew = self._decider.skew()
        result = RotationResult(snapshot, verdict, error=error, skew=skew)
        return _with_mirrors(result, self._look_at_mirrors(snapshot))

    def _observe(self) -> Snapshot:
        """Read each store; of those that `expect_look` has announced, many by few requests.

        A store that can only be read by itself, such as a file, is simply read.
        What was read so may be a minute old. It only tells whether there is anything to do: `steps`
        reads each store again.
        """
        return self._context.fleet_stores.ahead.observe(self._stores, self._context.clock())

    def rotate(self, options: RotateOptions) -> Report:
        """Bring the token and its stores into order; every failure becomes part of the report."""
        self._unfinished = None
        with audit.run(self.name):
            result = self._rotate(options)
            if result.postponed:
                self._unfinished = _Unfinished(result, options, audit.run_fields())
                return self._summarize(result, self._context.clock())
            return self._tell(result, options)

    @property
    def postponed(self) -> HookTask | None:
        """What `rotate` left to the end of the run; `finish` is to follow."""
        postponed = self._unfinished.result.postponed if self._unfinished else None
        return postponed.task if postponed else None

    def finish(self, failures: Sequence[HookFailure]) -> Report | None:
        """Take the steps after the shared hooks; `failures` are those of this token's that failed.

        Returns the report that takes the place of that of `rotate`; None where nothing was left.
        """
        if self._unfinished is None:
            return None
        (result, options, fields), self._unfinished = self._unfinished, None
        with audit.run(self.name, fields):
            try:
                steps = self._steps(result.after or result.snapshot, options)
                result = steps.finish(result, failures)
            except RotatorError as error:
                troubles = (*result.troubles, *(each.message for each in failures), str(error))
                result = result._replace(
                    troubles=troubles, failure=result.failure or kind(error), postponed=None
                )
            return self._tell(result, options)

    def _tell(self, result: RotationResult, options: RotateOptions) -> Report:
        now = self._context.clock()
        report = self._summarize(result, now)
        _log_end(report)
        if not options.dry_run:
            _show_events(report, result, now)
        return report

    def _rotate(self, options: RotateOptions) -> RotationResult:
        """Decide by a first look whether steps are to be taken, and take them.

        The stores are not held yet, so that a run with nothing to do locks nobody out. `steps`
        holds them, observes and recovers once more, and decides anew where something has changed.
        """
        snapshot = self._observe()
        try:
            snapshot = self._decider.recover(snapshot, options)
        except RotatorError as error:
            verdict = self._decider.decide_from_stores(snapshot, options)
            return RotationResult(
                snapshot, verdict, Action.FAILED, error=str(error), failure=kind(error)
            )
        verdict = self._decider.decide_and_probe(snapshot, options)
        _log_decision(snapshot, verdict)
        mirrors = self._look_at_mirrors(snapshot)
        result = _with_mirrors(RotationResult(snapshot, verdict), mirrors)
        is_wanted = verdict.need in (Need.MINT, Need.COPY) or options.revoke_old
        is_wanted |= any(each.is_behind for each in mirrors)
        try:
            if options.dry_run:
                result = _plan_pushes(self._dry_run(snapshot, verdict, options), mirrors)
            elif is_wanted or self._is_worth_holding(snapshot, options):
                ran = self._steps(snapshot, options).run(verdict)
                result = ran._replace(mirrors=ran.mirrors or result.mirrors)
            else:
                remove_leftovers(snapshot)
        except RotatorError as error:
            result = result._replace(action=Action.FAILED, error=str(error), failure=kind(error))
        result = self._judge_by_server_time(self._ask_after_failure(result, verdict))
        if not options.dry_run:
            result = self._clear_up_rehearsal(result)
        return _explain_unchanged(result) if result.action is None else result

    def _clear_up_rehearsal(self, result: RotationResult) -> RotationResult:
        """Remove what a killed rehearsal left, once the token is in order."""
        seen = [each for each in (result.after or result.snapshot).reachable if each.has_scratch]
        if not seen:
            return result
        from rotator.rotation.rehearsal_leftovers import clear_up_beside  # noqa: PLC0415 - hardly ever

        cleared = clear_up_beside(self._context, self._settings.rotation_timeout, seen)
        return result._replace(
            remarks=(*result.remarks, *cleared.remarks),
            troubles=(*result.troubles, *cleared.troubles),
        )

    def _is_worth_holding(self, snapshot: Snapshot, options: RotateOptions) -> bool:
        """Tell whether an earlier run left something to do now, or old tokens to watch."""
        if not snapshot.has_notes:
            return False
        steps = self._steps(snapshot, options)
        return steps.has_unfinished_work() or steps.has_old_tokens_to_watch()

    def _ask_after_failure(self, result: RotationResult, decided: Verdict) -> RotationResult:
        """Ask whether a token that could not be replaced still works, as nobody has asked before.

        Where the API refuses it, the bots have none that works, and the verdict says so.
        """
        snapshot = result.after or result.snapshot
        was_asked = decided.need is not Need.MINT
        if was_asked or result.action is not Action.FAILED or result.failure in _NO_ANSWER:
            return result
        if not self._settings.probe or snapshot.current is None:
            return result
        # A forced token may still work, so it is worth a call; for others ask only an API that has
        # already answered.
        if decided.reason not in ("forced", "scope") and not self._decider.has_server_time():
            return result
        verdict, _ = self._decider.decide_after_probe(snapshot, RotateOptions())
        return result._replace(verdict=verdict) if verdict.status is Status.REFUSED else result

    def _judge_by_server_time(self, result: RotationResult) -> RotationResult:
        """Tell of a wrong clock of this machine; after a failure decide by the server's."""
        snapshot = result.after or result.snapshot
        failed = result.action is Action.FAILED
        was_probed = self._settings.probe and snapshot.current is not None
        if not (was_probed or failed or result.action in CHANGED):
            return result  # the API was not asked, and is not connected for this alone
        skew = self._decider.skew()
        if wrong := describe_skew(skew):
            self._decider.warn_once(wrong)
        # That the API refuses it counts more than any clock.
        if skew and failed and snapshot.current and result.verdict.status is not Status.REFUSED:
            by_server = self._decider.decide_by_server_clock(snapshot, RotateOptions())
            result = result._replace(verdict=by_server)
        return result._replace(skew=skew)

    def _dry_run(
        self, snapshot: Snapshot, verdict: Verdict, options: RotateOptions
    ) -> RotationResult:
        """Say what a real run would do, and prove what can be proven without changing anything."""
        plans = []
        if options.revoke_old:
            plans.append("the token that it replaced would be revoked")
        if self._steps(snapshot, options).has_unfinished_work():
            plans.append("what an earlier run left undone would be tried again")
        planned = verdict._replace(message="; ".join((verdict.message, *plans)))
        match verdict.need:
            case Need.MINT:
                for observation in snapshot.reachable:
                    observation.store.preflight()
                self._context.api().account()  # proves that a mint would be allowed
                return RotationResult(snapshot, planned, Action.WOULD_ROTATE)
            case Need.COPY:
                for observation in snapshot.lacking:
                    observation.store.preflight()
                return RotationResult(snapshot, planned, Action.WOULD_CONVERGE)
        return RotationResult(snapshot, planned)


def _with_mirrors(result: RotationResult, looks: Sequence[MirrorLook]) -> RotationResult:
    return result._replace(mirrors=tuple(each.to_report() for each in looks)) if looks else result


def _plan_pushes(result: RotationResult, looks: Sequence[MirrorLook]) -> RotationResult:
    """Say to which mirrors a run would push: a new token to all of them."""
    is_new = result.action is Action.WOULD_ROTATE
    urls = [each.mirror.url for each in looks if is_new or each.is_behind]
    if not urls:
        return _with_mirrors(result, looks)
    message = f"{result.verdict.message}; would be pushed to {', '.join(urls)}"
    return result._replace(verdict=result.verdict._replace(message=message))


def remove_leftovers(snapshot: Snapshot) -> None:
    """Remove what a killed rotator left; where that is denied, a run that may does it."""
    for observation in snapshot.reachable:
        store = observation.store
        with suppress(StoreError):
            # Whoever is at work by now removes them, too.
            if observation.has_leftovers and not store.held_elsewhere():
                with store.hold():  # which removes them
                    pass


def _explain_unchanged(result: RotationResult) -> RotationResult:
    """Say what it means that a token stays as it is."""
    verdict = result.verdict
    if verdict.status is Status.UNKNOWN:
        return result._replace(action=Action.FAILED)
    if verdict.need is Need.HELP:
        return result._replace(action=Action.FAILED, error=verdict.message, failure="put-back")
    if verdict.need is not Need.PATIENCE:
        return result._replace(action=Action.KEPT)
    # To wait with a token that is due is a plan; with one that is useless, a failure.
    if verdict.status is Status.DUE:
        return result._replace(action=Action.SKIPPED)
    return result._replace(action=Action.SKIPPED, error=verdict.message, failure="too-young")


def _log_decision(snapshot: Snapshot, verdict: Verdict) -> None:
    audit.record(
        Event.DECIDED,
        verdict.message,
        status=verdict.status,
        reason=verdict.reason,
        need=verdict.need,
        token_id=snapshot.current.name if snapshot.current else None,
    )


def _show_events(report: Report, result: RotationResult, now: datetime) -> None:
    """Tell those who look at a store what became of its token; the log says it, too."""
    written = {each.store for each in report.stores if each.status is StoreState.WRITTEN}
    if not (written or report.error):
        return
    for store in (each.store for each in (result.after or result.snapshot).reachable):
        if not isinstance(store, ShowsEvents):
            continue
        try:
            if store.url in written:
                end = report.expires_at
                life = f"it expires at {minute(end)}" if end else "it never expires"
                text = f"{report.name}: the token {report.token_id} is here now; {life}"
                store.show(StoreEvent("Rotated", text, now))
            if report.error:
                text = f"{report.name}: {report.error}"
                store.show(StoreEvent("RotationFailed", text, now, is_failure=True))
        except StoreError as error:
            _log.info("no event was shown: %s", error)
        except Exception as error:  # noqa: BLE001 - what is done must not look like a failure
            _log.warning("%s: no event was shown: %s", store.url, internal_error(error))


def _log_end(report: Report) -> None:
    audit.record(
        Event.FINISHED,
        report.error or report.message,
        outcome=report.failure or audit.DONE,
        action=report.action,
        status=report.status,
        reason=report.reason,
        token_id=report.token_id,
        previous_token_id=report.previous_token_id,
        expires_at=rfc3339_or_none(report.expires_at),
    )
