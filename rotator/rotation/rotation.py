"""Rotation: what can be done with one token – check it, rotate it, or say what a rotation would do.

A rotation has ten steps: read, decide, preflight, intend, mint, verify, promote, spread, hook,
retire. Their order keeps the bots alive: nothing is minted before every store is proven writable,
nothing is written before the server has accepted the new token, and no old token is revoked before
every store shows the new one. What a rotation begins it notes first, so that the next run finishes
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
from rotator.rotation.model import (
    Action,
    Report,
    RotateOptions,
    RotationContext,
)
from rotator.rotation.observe import Observation, Snapshot, observe
from rotator.rotation.policy import Need, Status, Verdict
from rotator.rotation.report import Outcome, build_report
from rotator.stores.port import SecretStore

if TYPE_CHECKING:
    from rotator.hooks.commands import Hooks
    from rotator.rotation.change import Change


class Rotation:
    """One token, its stores, and what is done with them."""

    def __init__(
        self, settings: TokenSettings, stores: Sequence[SecretStore], context: RotationContext
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._context = context
        self._decider = Decider(settings, context.api, context.clock)

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
        """What runs, and who is told, when the token is renewed or cannot be."""
        # Imported here, as is Change: `rotator check` starts faster without them.
        from rotator.hooks.commands import Hooks  # noqa: PLC0415
        from rotator.hooks.restarts import Restarts  # noqa: PLC0415

        token, environ = self._settings, self._context.environ
        return Hooks(token.hooks, token.notify, token.hook_timeout, environ, Restarts(token))

    @cached_property
    def _change(self) -> Change:
        from rotator.rotation.change import Change  # noqa: PLC0415

        return Change(self._settings, self._stores, self.hooks, self._context, self._decider)

    def check(self, *, probe: bool) -> Report:
        """Look at the stores, and with `probe` also ask the server; change nothing."""
        snapshot = self._observe()
        verdict, error = self._decider.decide_from_stores(snapshot, RotateOptions()), None
        if probe and snapshot.current and verdict.status is not Status.EXPIRED:
            verdict, error = self._decider.decide_with_server(snapshot, RotateOptions())
        return self._report(snapshot, verdict, error=error)

    def rotate(self, options: RotateOptions) -> Report:
        """Bring the token and its stores into order; every failure becomes part of the report."""
        with audit.run(self.name):
            report = self._rotate(options)
            _log_end(report)
        return report

    def _rotate(self, options: RotateOptions) -> Report:
        snapshot = self._observe()
        verdict = self._decider.decide(snapshot, options)
        _log_decision(snapshot, verdict)
        try:
            if options.dry_run:
                return self._rehearse(snapshot, verdict, options)
            needs_change = verdict.need in (Need.MINT, Need.COPY)
            if needs_change or self._change.is_due(snapshot, options):
                return self._run_change(snapshot, verdict, options)
        except RotatorError as error:
            return self._report(
                snapshot, verdict, action=Action.FAILED, error=str(error), failure=kind(error)
            )
        _tidy(snapshot.reachable)
        return self._leave(snapshot, verdict)

    def _run_change(self, snapshot: Snapshot, verdict: Verdict, options: RotateOptions) -> Report:
        result = self._change.run(snapshot, verdict, options)
        if result.action is None:
            report = self._leave(result.snapshot, result.verdict)
        else:
            report = self._report(
                result.snapshot,
                result.verdict,
                action=result.action,
                token=result.token,
                written=result.written,
            )
        return result.apply_to(report)

    def _rehearse(self, snapshot: Snapshot, verdict: Verdict, options: RotateOptions) -> Report:
        """Say what a real run would do, and prove what can be proven without changing anything."""
        from rotator.rotation.change import preflight  # noqa: PLC0415

        plans = []
        if options.revoke_old:
            plans.append("the token that it replaced would be revoked")
        if self._change.is_due(snapshot, replace(options, revoke_old=False)):
            plans.append("what an earlier run could not finish would be taken up again")
        verdict = replace(verdict, message="; ".join((verdict.message, *plans)))
        if verdict.need is Need.MINT:
            preflight(snapshot.reachable)
            self._context.api().account()  # proves that a mint would be allowed
            return self._report(snapshot, verdict, action=Action.WOULD_ROTATE)
        if verdict.need is Need.COPY:
            preflight(snapshot.behind)
            return self._report(snapshot, verdict, action=Action.WOULD_CONVERGE)
        return self._leave(snapshot, verdict)

    def _leave(self, snapshot: Snapshot, verdict: Verdict) -> Report:
        """Report a token that stays as it is."""
        if verdict.status is Status.UNKNOWN:
            return self._report(snapshot, verdict, action=Action.FAILED)
        if verdict.need is not Need.PATIENCE:
            return self._report(snapshot, verdict, action=Action.KEPT)
        # To wait with a token that is due is a plan; with one that is useless, a failure.
        error = None if verdict.status is Status.DUE else verdict.message
        failure = "too-young" if error else None
        return self._report(snapshot, verdict, action=Action.SKIPPED, error=error, failure=failure)

    def _observe(self) -> Snapshot:
        return observe(self._stores, self._context.clock())

    def _report(self, snapshot: Snapshot, verdict: Verdict, **outcome: Unpack[Outcome]) -> Report:
        return build_report(self.name, snapshot, verdict, self._context.clock(), **outcome)


def _log_decision(snapshot: Snapshot, verdict: Verdict) -> None:
    audit.record(
        Event.DECIDED,
        verdict.message,
        status=verdict.status,
        reason=verdict.reason,
        need=verdict.need,
        token_id=snapshot.current.name if snapshot.current else None,
    )


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
        expires_at=rfc3339(report.expires_at) if report.expires_at else None,
    )


def _tidy(observations: Iterable[Observation]) -> None:
    """Remove what a killed rotator left; where that is denied, leave it to a run that may."""
    for observation in observations:
        with suppress(StoreError), observation.store.hold():
            pass
