"""From what the stores hold to a verdict, with the server's word where it matters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from rotator.clock import Clock
from rotator.config.settings import TokenSettings
from rotator.errors import RotatorError, TokenRefusedError
from rotator.rotation.model import Order
from rotator.rotation.observe import Survey
from rotator.rotation.policy import Inputs, Need, Status, Verdict, decide
from rotator.tokens import ServiceToken

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import ServiceTokens


class Diagnosis:
    """Decides about one token; `api` is only called where the server is asked."""

    def __init__(
        self, settings: TokenSettings, api: Callable[[], ServiceTokens], clock: Clock
    ) -> None:
        self._settings = settings
        self._api = api
        self._clock = clock

    def by_stores(self, seen: Survey, order: Order) -> Verdict:
        """Decide by what the stores hold alone."""
        if not seen.reachable:
            message = "no store of this token could be read"
            return Verdict(Status.UNKNOWN, "unreachable", message, Need.NOTHING)
        verdict = decide(self._inputs(seen, order))
        if verdict.status is Status.MISSING and seen.silent and not order.force:
            # The token may stand in a store that is away; a new one would replace it later.
            message = "there is no token in the stores that could be read (--force makes one)"
            return Verdict(Status.UNKNOWN, "unreachable", message, Need.NOTHING)
        return verdict

    def by_server(self, seen: Survey, order: Order) -> tuple[Verdict, str | None]:
        """Decide with the server's word; the text says why it did not tell."""
        inputs = self._inputs(seen, order)
        try:
            self._api().probe(inputs.token.secret if inputs.token else "")
        except TokenRefusedError:
            return decide(replace(inputs, refused=True)), None
        except RotatorError as error:
            return decide(inputs), str(error)
        return decide(inputs), None

    def of(self, seen: Survey, order: Order) -> Verdict:
        """Decide, and ask the server where its answer could change what happens."""
        verdict = self.by_stores(seen, order)
        if not self._settings.probe or verdict.need is Need.MINT or not seen.current:
            return verdict
        verdict, error = self.by_server(seen, order)
        if error is None:
            return verdict
        # No reason to rotate, and no failure: it is asked again by the next run.
        return replace(
            verdict,
            message=f"{verdict.message}; the API does not say whether it accepts it: {error}",
        )

    def settled(self, seen: Survey, token: ServiceToken) -> Verdict:
        """Return what is to be said of a token that was just written."""
        inputs = self._inputs(seen, Order())
        return decide(
            replace(inputs, token=token, fault=None, behind=0, scope=None, minted_at=None)
        )

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
