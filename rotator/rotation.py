"""One token: read, decide, preflight, mint, verify, promote, spread.

The order is what keeps the bots alive: nothing is minted before every store is proven writable,
nothing is written before the server has accepted the new token, and the old one stays valid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Unpack

from rotator.errors import RotatorError, StoreError, TokenRefusedError
from rotator.journal import Journal
from rotator.minting import Wish, give_back, mint
from rotator.policy import Inputs, Need, Status, Verdict, decide
from rotator.report import Action, Outcome, Report, StoreReport, StoreState, describe
from rotator.settings import TokenSettings
from rotator.store import SecretStore
from rotator.survey import Reading, Survey, survey
from rotator.times import Clock
from rotator.tokens import ServiceToken
from rotator.writing import NotStoredError, promote, spread

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import ServiceTokens

FIRST_SCOPE = "calculations"


@dataclass(frozen=True, slots=True)
class Order:
    """What this run is asked to do beyond its duty; `eternal` and `validity` shape a new token."""

    force: bool = False
    dry_run: bool = False
    eternal: bool = False
    validity: timedelta | None = None
    scope: str | None = None


class Rotation:
    """One token with everything that its rotation touches.

    `api` is called when the API is needed for the first time, so that a look at a store costs none
    of it.
    """

    def __init__(
        self,
        settings: TokenSettings,
        stores: Sequence[SecretStore],
        api: Callable[[], ServiceTokens],
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._api = api
        self._clock = clock

    @property
    def name(self) -> str:
        """The token's name in the settings."""
        return self._settings.name

    @property
    def renew_before(self) -> timedelta:
        """The remaining life below which the token is due."""
        return self._settings.renew_before

    def check(self, *, probe: bool) -> Report:
        """Look at the stores, and with `probe` also ask the server; change nothing."""
        seen = survey(self._stores, self._clock())
        verdict, error = self._decide(seen, Order()), None
        if probe and seen.current and verdict.status is not Status.EXPIRED:
            verdict, error = self._probed(self._inputs(seen, Order()))
        return self._report(seen, verdict, error=error)

    def rotate(self, order: Order) -> Report:
        """Bring the token and its stores into order; every failure becomes part of the report."""
        seen = survey(self._stores, self._clock())
        verdict = self._decided(seen, order)
        try:
            if order.dry_run:
                return self._rehearsed(seen, verdict)
            if verdict.need in (Need.MINT, Need.COPY):
                return self._changed(seen, verdict, order)
        except RotatorError as error:
            return self._report(seen, verdict, action=Action.FAILED, error=str(error))
        _tidy(seen.reachable)
        return self._idle(seen, verdict)

    def _inputs(self, seen: Survey, order: Order) -> Inputs:
        return Inputs(
            now=self._clock(),
            renew_before=self._settings.renew_before,
            token=seen.current,
            fault=seen.fault,
            scope=order.scope or self._settings.scope,
            minted_at=seen.journal.minted_at,
            behind=len(seen.behind),
            forced=order.force,
        )

    def _decide(self, seen: Survey, order: Order) -> Verdict:
        if not seen.reachable:
            message = "no store of this token answered"
            return Verdict(Status.UNKNOWN, "unreachable", message, Need.NOTHING)
        return decide(self._inputs(seen, order))

    def _decided(self, seen: Survey, order: Order) -> Verdict:
        """Decide, and ask the server where its answer could change what happens."""
        verdict = self._decide(seen, order)
        if not self._settings.probe or verdict.need is Need.MINT or not seen.current:
            return verdict
        verdict, error = self._probed(self._inputs(seen, order))
        if error is None:
            return verdict
        # No reason to rotate, and no failure: it is asked again by the next run.
        return replace(
            verdict,
            message=f"{verdict.message}; the API does not say whether it accepts it: {error}",
        )

    def _probed(self, inputs: Inputs) -> tuple[Verdict, str | None]:
        try:
            self._api().probe(inputs.token.secret if inputs.token else "")
        except TokenRefusedError:
            return decide(replace(inputs, refused=True)), None
        except RotatorError as error:
            return decide(inputs), str(error)
        return decide(inputs), None

    def _rehearsed(self, seen: Survey, verdict: Verdict) -> Report:
        if verdict.need is Need.MINT:
            _preflight(seen.reachable)
            self._api().prove_rights()
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
        return self._report(seen, verdict, action=Action.SKIPPED, error=error)

    def _changed(self, seen: Survey, verdict: Verdict, order: Order) -> Report:
        with ExitStack() as held:
            # In one order everywhere, so that two rotators never wait for each other.
            for reading in sorted(seen.reachable, key=lambda reading: reading.store.url):
                held.enter_context(reading.store.hold())
            again = survey(self._stores, self._clock())
            if not again.reachable:
                return self._report(again, self._decide(again, order), action=Action.FAILED)
            if again.current != seen.current:
                # Another rotator was faster while this one waited: its token is the new one.
                verdict = self._decided(again, replace(order, force=False))
            elif again.behind != seen.behind:
                verdict = self._decided(again, order)
            if verdict.need is Need.MINT:
                _preflight(again.reachable)
                return self._rotated(again, verdict, order)
            return self._taken(again, verdict)

    def _rotated(self, seen: Survey, verdict: Verdict, order: Order) -> Report:
        api, now = self._api(), self._clock()
        token = mint(api, self._wish(seen, order), now)
        journal = Journal(token.token_id, seen.current.token_id if seen.current else None, now)
        first, *others = seen.reachable
        try:
            promote(first, token, journal)
        except NotStoredError as error:
            returned = give_back(api, token.name, token.secret)
            told = f"{error}; the new token {token.name} is not in use: {returned.told}"
            # Theirs is taken in silence only where nothing of ours is left to be told.
            return self._not_stored(verdict, told, take_theirs=error.conflict and returned.done)
        promoted = StoreReport(first.store.url, StoreState.WRITTEN)
        written = (promoted, *spread(others, token, journal))
        settled = replace(self._settled(seen, token), reason=verdict.reason)
        return self._report(seen, settled, action=Action.ROTATED, token=token, written=written)

    def _not_stored(self, verdict: Verdict, error: str, *, take_theirs: bool) -> Report:
        seen = survey(self._stores, self._clock())
        theirs = self._decided(seen, Order())
        if take_theirs and theirs.need is not Need.MINT:
            return self._taken(seen, theirs)
        return self._report(seen, verdict, action=Action.FAILED, error=error)

    def _taken(self, seen: Survey, verdict: Verdict) -> Report:
        """Leave the token that is there as it is, and copy it to the stores behind."""
        if verdict.need is not Need.COPY or seen.current is None:
            message = f"another rotator was faster; {verdict.message}"
            return self._report(seen, replace(verdict, message=message), action=Action.SKIPPED)
        # With or without a probe before: a token that is refused must not replace one that works.
        self._api().exchange(seen.current.secret)
        journal = replace(seen.journal, token_id=seen.current.token_id)
        written = spread(seen.behind, seen.current, journal)
        settled = replace(self._settled(seen, seen.current), reason=verdict.reason)
        return self._report(seen, settled, action=Action.CONVERGED, written=written)

    def _wish(self, seen: Survey, order: Order) -> Wish:
        kept = seen.current.scope if seen.current else None
        scope = order.scope or self._settings.scope or kept or FIRST_SCOPE
        validity = None if order.eternal else order.validity or self._settings.validity
        # A token that is asked for by hand may be shorter than the configured margin.
        margin = timedelta() if order.validity else self._settings.renew_before
        return Wish(validity, scope, margin, seen.known_ids)

    def _settled(self, seen: Survey, token: ServiceToken) -> Verdict:
        inputs = self._inputs(seen, Order())
        return decide(
            replace(inputs, token=token, fault=None, behind=0, scope=None, minted_at=None)
        )

    def _report(self, seen: Survey, verdict: Verdict, **outcome: Unpack[Outcome]) -> Report:
        return describe(self.name, seen, verdict, self._clock(), **outcome)


def _preflight(readings: Iterable[Reading]) -> None:
    for reading in readings:
        reading.store.preflight()


def _tidy(readings: Iterable[Reading]) -> None:
    """Put right what a killed rotator left; where we may not, there is nothing to be done now."""
    for reading in readings:
        with suppress(StoreError), reading.store.hold():
            pass
