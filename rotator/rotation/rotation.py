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
from rotator.rotation.decide import Diagnosis
from rotator.rotation.model import Action, Order, Outcome, Report, Shared, describe
from rotator.rotation.observe import Reading, Survey, survey
from rotator.rotation.policy import Need, Status, Verdict
from rotator.stores.port import SecretStore

if TYPE_CHECKING:
    from rotator.hooks.commands import Hooks
    from rotator.rotation.change import Change


class Rotation:
    """One token with everything that its rotation touches."""

    def __init__(
        self, settings: TokenSettings, stores: Sequence[SecretStore], shared: Shared
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._shared = shared
        self._diagnosis = Diagnosis(settings, shared.api, shared.clock)

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
        seen = survey(self._stores, self._shared.clock())
        verdict, error = self._diagnosis.by_stores(seen, Order()), None
        if probe and seen.current and verdict.status is not Status.EXPIRED:
            verdict, error = self._diagnosis.by_server(seen, Order())
        return self._report(seen, verdict, error=error)

    def rotate(self, order: Order) -> Report:
        """Bring the token and its stores into order; every failure becomes part of the report."""
        with audit.run(self.name):
            report = self._rotated(order)
            _tell_end(report)
        return report

    def _rotated(self, order: Order) -> Report:
        seen = survey(self._stores, self._shared.clock())
        verdict = self._diagnosis.of(seen, order)
        _tell_decision(seen, verdict)
        try:
            if order.dry_run:
                return self._rehearsed(seen, self._announced(seen, verdict, order))
            if verdict.need in (Need.MINT, Need.COPY) or self._change.is_due(seen, order):
                return self._changed(seen, verdict, order)
        except RotatorError as error:
            return self._report(
                seen, verdict, action=Action.FAILED, error=str(error), failure=kind(error)
            )
        _tidy(seen.reachable)
        return self._idle(seen, verdict)

    def _changed(self, seen: Survey, verdict: Verdict, order: Order) -> Report:
        done = self._change.carry_out(seen, verdict, order)
        if done.action is None:
            report = self._idle(done.seen, done.verdict)
        else:
            report = self._report(
                done.seen, done.verdict, action=done.action, token=done.token, written=done.written
            )
        return done.told_in(report)

    def _announced(self, seen: Survey, verdict: Verdict, order: Order) -> Verdict:
        """Say as well what a real run would do beside the token itself."""
        plans = []
        if order.revoke_old:
            plans.append("the token that it replaced would be revoked")
        if self._change.is_due(seen, replace(order, revoke_old=False)):
            plans.append("what an earlier run could not finish would be taken up again")
        return replace(verdict, message="; ".join((verdict.message, *plans)))

    def _rehearsed(self, seen: Survey, verdict: Verdict) -> Report:
        if verdict.need is Need.MINT:
            _preflight(seen.reachable)
            self._shared.api().account()
            return self._report(seen, verdict, action=Action.WOULD_ROTATE)
        if verdict.need is Need.COPY:
            _preflight(seen.behind)
            return self._report(seen, verdict, action=Action.WOULD_CONVERGE)
        return self._idle(seen, verdict)

    def _idle(self, seen: Survey, verdict: Verdict) -> Report:
        if verdict.status is Status.UNKNOWN:
            return self._report(seen, verdict, action=Action.FAILED)
        if verdict.need is not Need.PATIENCE:
            return self._report(seen, verdict, action=Action.KEPT)
        # Patience with a token that is due is a plan; with one that is useless, a failure.
        error = None if verdict.status is Status.DUE else verdict.message
        failure = "too-young" if error else None
        return self._report(seen, verdict, action=Action.SKIPPED, error=error, failure=failure)

    def _report(self, seen: Survey, verdict: Verdict, **outcome: Unpack[Outcome]) -> Report:
        return describe(self.name, seen, verdict, self._shared.clock(), **outcome)


def _preflight(readings: Iterable[Reading]) -> None:
    for reading in readings:
        reading.store.preflight()


def _tell_decision(seen: Survey, verdict: Verdict) -> None:
    audit.tell(
        Event.DECIDED,
        verdict.message,
        status=verdict.status,
        reason=verdict.reason,
        need=verdict.need,
        token_id=seen.current.name if seen.current else None,
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


def _tidy(readings: Iterable[Reading]) -> None:
    """Put right what a killed rotator left; where we may not, there is nothing to be done now."""
    for reading in readings:
        with suppress(StoreError), reading.store.hold():
            pass
