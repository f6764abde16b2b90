"""One token: read, decide, preflight, intend, mint, verify, promote, spread, hook, retire.

The order is what keeps the bots alive: nothing is minted before every store is proven writable,
nothing is written before the server has accepted the new token, and no old one is revoked before
every store shows the new one. What is begun is written down first, so that the next run finishes
or undoes what a dead one left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Unpack

from rotator import audit
from rotator.audit import Event
from rotator.clock import rfc3339
from rotator.config.settings import TokenSettings
from rotator.errors import RotatorError, StoreError, kind
from rotator.rotation.decide import Decider
from rotator.rotation.model import Action, Outcome, Report, RotateOptions, RotationContext, describe
from rotator.rotation.observe import Observation, Snapshot, observe
from rotator.rotation.policy import Need, Status, Verdict
from rotator.stores.port import SecretStore

if TYPE_CHECKING:
    from rotator.hooks.commands import Hooks
    from rotator.rotation.change import Change


class Rotation:
    """One token with everything that its rotation touches."""

    def __init__(
        self, settings: TokenSettings, stores: Sequence[SecretStore], context: RotationContext
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._shared = context
        self._diagnosis = Decider(settings, context.api, context.clock)

    @property
    def name(self) -> str:
        """The token's name in the settings."""
        return self._settings.name

    @property
    def renew_before(self) -> timedelta:
        """The remaining life below which the token is due."""
        return self._settings.renew_before

    @cached_property
    def hooks(self) -> Hooks:
        """What is run, and who is told, when the token was renewed or could not be."""
        from rotator.hooks.commands import Hooks  # noqa: PLC0415 - a look at a store needs none of it
        from rotator.hooks.restarts import Restarts  # noqa: PLC0415 - (the same)

        token, environ = self._settings, self._shared.environ
        return Hooks(token.hooks, token.notify, token.hook_timeout, environ, Restarts(token))

    @cached_property
    def _change(self) -> Change:
        from rotator.rotation.change import Change  # noqa: PLC0415 - (the same)

        return Change(self._settings, self._stores, self.hooks, self._shared, self._diagnosis)

    def check(self, *, probe: bool) -> Report:
        """Look at the stores, and with `probe` also ask the server; change nothing."""
        snapshot = observe(self._stores, self._shared.clock())
        verdict, error = self._diagnosis.decide_from_stores(snapshot, RotateOptions()), None
        if probe and snapshot.current and verdict.status is not Status.EXPIRED:
            verdict, error = self._diagnosis.decide_with_server(snapshot, RotateOptions())
        return self._report(snapshot, verdict, error=error)

    def rotate(self, options: RotateOptions) -> Report:
        """Bring the token and its stores into order; every failure becomes part of the report."""
        with audit.run(self.name):
            report = self._rotated(options)
            _tell_end(report)
        return report

    def _rotated(self, options: RotateOptions) -> Report:
        snapshot = observe(self._stores, self._shared.clock())
        verdict = self._diagnosis.of(snapshot, options)
        _tell_decision(snapshot, verdict)
        try:
            if options.dry_run:
                return self._rehearsed(snapshot, self._announced(snapshot, verdict, options))
            if verdict.need in (Need.MINT, Need.COPY) or self._change.is_due(snapshot, options):
                return self._changed(snapshot, verdict, options)
        except RotatorError as error:
            return self._report(
                snapshot, verdict, action=Action.FAILED, error=str(error), failure=kind(error)
            )
        _tidy(snapshot.reachable)
        return self._idle(snapshot, verdict)

    def _changed(self, snapshot: Snapshot, verdict: Verdict, options: RotateOptions) -> Report:
        result = self._change.carry_out(snapshot, verdict, options)
        if result.action is None:
            report = self._idle(result.snapshot, result.verdict)
        else:
            report = self._report(
                result.snapshot,
                result.verdict,
                action=result.action,
                token=result.token,
                written=result.written,
            )
        return result.apply_to(report)

    def _announced(self, snapshot: Snapshot, verdict: Verdict, options: RotateOptions) -> Verdict:
        """Say as well what a real run would do beside the token itself."""
        plans = []
        if options.revoke_old:
            plans.append("the token that it replaced would be revoked")
        if self._change.is_due(snapshot, replace(options, revoke_old=False)):
            plans.append("what an earlier run could not finish would be taken up again")
        return replace(verdict, message="; ".join((verdict.message, *plans)))

    def _rehearsed(self, snapshot: Snapshot, verdict: Verdict) -> Report:
        if verdict.need is Need.MINT:
            _preflight(snapshot.reachable)
            self._shared.api().account()
            return self._report(snapshot, verdict, action=Action.WOULD_ROTATE)
        if verdict.need is Need.COPY:
            _preflight(snapshot.behind)
            return self._report(snapshot, verdict, action=Action.WOULD_CONVERGE)
        return self._idle(snapshot, verdict)

    def _idle(self, snapshot: Snapshot, verdict: Verdict) -> Report:
        if verdict.status is Status.UNKNOWN:
            return self._report(snapshot, verdict, action=Action.FAILED)
        if verdict.need is not Need.PATIENCE:
            return self._report(snapshot, verdict, action=Action.KEPT)
        # Patience with a token that is due is a plan; with one that is useless, a failure.
        error = None if verdict.status is Status.DUE else verdict.message
        failure = "too-young" if error else None
        return self._report(snapshot, verdict, action=Action.SKIPPED, error=error, failure=failure)

    def _report(self, snapshot: Snapshot, verdict: Verdict, **outcome: Unpack[Outcome]) -> Report:
        return describe(self.name, snapshot, verdict, self._shared.clock(), **outcome)


def _preflight(observations: Iterable[Observation]) -> None:
    for observation in observations:
        observation.store.preflight()


def _tell_decision(snapshot: Snapshot, verdict: Verdict) -> None:
    audit.tell(
        Event.DECIDED,
        verdict.message,
        status=verdict.status,
        reason=verdict.reason,
        need=verdict.need,
        token_id=snapshot.current.name if snapshot.current else None,
    )


def _tell_end(report: Report) -> None:
    audit.tell(
        Event.FINISHED,
        report.error or report.message,
        outcome=report.failure or audit.DONE,
        action=report.action,
        status=report.status,
        reason=report.reason,
        token_id=report.token_id,
        previous_token_id=report.previous_token_id,
        expires_at=rfc3339(report.expires_at) if report.expires_at else None,
    )


def _tidy(observations: Iterable[Observation]) -> None:
    """Put right what a killed rotator left; where we may not, there is nothing to be done now."""
    for observation in observations:
        with suppress(StoreError), observation.store.hold():
            pass
