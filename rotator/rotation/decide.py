"""Decide: from a snapshot to a verdict, with the server's answer where it matters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from rotator.config.settings import TokenSettings
from rotator.errors import RotatorError, TokenRefusedError
from rotator.rotation.model import RotateOptions
from rotator.rotation.observe import Observation, Snapshot
from rotator.rotation.policy import Inputs, Need, Status, Verdict, decide
from rotator.stores.port import path_of_file_store
from rotator.tokens import ServiceToken

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import ServiceTokens


class Decider:
    """Decides about one token; `api` is called only where the server is asked."""

    def __init__(self, settings: TokenSettings, api: Callable[[], ServiceTokens]) -> None:
        self._settings = settings
        self._api = api

    def decide_from_stores(self, snapshot: Snapshot, options: RotateOptions) -> Verdict:
        """Decide by the stores alone."""
        if not snapshot.reachable:
            message = "no store of this token could be read"
            return Verdict(Status.UNKNOWN, "unreachable", message, Need.NOTHING)
        verdict = decide(self._inputs(snapshot, options))
        if verdict.status is Status.MISSING and snapshot.unreachable and not options.force:
            # An unreachable store may hold the token, which a new one would replace.
            message = "there is no token in the stores that could be read (--force makes one)"
            return Verdict(Status.UNKNOWN, "unreachable", message, Need.NOTHING)
        return verdict

    def decide_with_server(
        self, snapshot: Snapshot, options: RotateOptions
    ) -> tuple[Verdict, str | None]:
        """Ask the server whether it accepts the token; the text says why it did not tell."""
        inputs = self._inputs(snapshot, options)
        no_answer = None
        try:
            self._api().probe(inputs.token.secret if inputs.token else "")
        except TokenRefusedError:
            inputs = replace(inputs, refused=True)
        except RotatorError as error:
            no_answer = str(error)
        return decide(inputs), no_answer

    def decide(self, snapshot: Snapshot, options: RotateOptions) -> Verdict:
        """Decide, and ask the server where its answer can change the verdict."""
        verdict = self.decide_from_stores(snapshot, options)
        if not self._settings.probe or verdict.need is Need.MINT or not snapshot.current:
            return verdict
        verdict, error = self.decide_with_server(snapshot, options)
        if error:  # neither a reason to rotate nor a failure: the next run asks again
            message = f"{verdict.message}; the API does not say whether it accepts it: {error}"
            verdict = replace(verdict, message=message)
        return verdict

    def decide_written(self, token: ServiceToken, now: datetime) -> Verdict:
        """Return the verdict on a token that was just written."""
        return decide(Inputs(now, self._settings.renew_before, token))

    def _inputs(self, snapshot: Snapshot, options: RotateOptions) -> Inputs:
        return Inputs(
            now=snapshot.taken_at,
            renew_before=self._settings.renew_before,
            token=snapshot.current,
            fault=snapshot.fault,
            scope=options.scope or self._settings.scope,
            minted_at=snapshot.journal.minted_at,
            behind=len(snapshot.behind),
            forced=options.force,
        )


class Lack(NamedTuple):
    """`reason` is for programs, and stays the same while the time in `message` goes on."""

    reason: str
    message: str


def lack_of(reading: Observation, now: datetime) -> Lack:
    """Return what is to be said of a store that answered, and shows no live token."""
    verdict = decide(
        Inputs(now, renew_before=timedelta(), token=reading.token, fault=reading.fault)
    )
    why = verdict.message
    file = path_of_file_store(reading.store.url)
    if verdict.status is Status.MISSING and file and not file.exists():
        why = "there is no such file yet"
    return Lack(verdict.reason, f"{reading.store.url}: {why}; rotator rotate makes a new one")
