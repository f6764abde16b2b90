"""Reconciliation: what became of mints that nobody saw the end of.

The API has neither labels nor keys for a mint, and its list shows no JWT. What it shows is compared
with the intents that rotators wrote down before they minted: a token that can only come from one of
these, and that no store holds, is left over and is revoked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from rotator.errors import RotatorError
from rotator.recovery.holdings import Fleet, Holdings
from rotator.rotation.in_flight import Ledger
from rotator.rotation.reconcile import Evidence
from rotator.stores.journal import Intent

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import ServiceTokens

PAUSE = 1.0  # seconds between two looks while another rotator is at work


class Judgement(NamedTuple):
    """What came of it: the runs whose intents are settled, the tokens revoked, what went wrong.

    `waiting` says that another rotator's mint has to end before anything can be said.
    """

    settled: frozenset[str] = frozenset()
    revoked: tuple[str, ...] = ()
    trouble: str | None = None
    waiting: bool = False

    @property
    def told(self) -> str | None:
        """A clause about the tokens that were found, None where there is none so far."""
        if self.revoked:
            return f"{', '.join(self.revoked)}, which came of it, was revoked; run again"
        return self.trouble


class Reconciler:
    """Judges intents, one thread at a time; `sleep` takes seconds."""

    def __init__(self, ledger: Ledger, fleet: Fleet, sleep: Callable[[float], object]) -> None:
        self._ledger = ledger
        self._fleet = fleet
        self._sleep = sleep

    def settle(
        self, api: ServiceTokens, intents: Sequence[Intent], timeout: timedelta
    ) -> Judgement:
        """Settle what can be settled of these intents, none of which has a living owner.

        `timeout` bounds a rotation: while a living one could have made a suspicious token it is
        waited for. A failure becomes the judgement's `trouble`, and its intents stay open.
        """
        settled: frozenset[str] = frozenset()
        revoked: tuple[str, ...] = ()
        while True:
            open_ones = [intent for intent in intents if intent.run not in settled]
            try:
                judgement = self._judge(api, open_ones, timeout)
            except RotatorError as error:
                trouble = f"a mint that was cut off is not cleared up: {error}"
                return Judgement(settled, revoked, trouble)
            settled |= judgement.settled
            revoked += judgement.revoked
            if not judgement.waiting:
                return Judgement(settled, revoked, judgement.trouble)
            self._sleep(PAUSE)

    def _judge(
        self, api: ServiceTokens, intents: Sequence[Intent], timeout: timedelta
    ) -> Judgement:
        with self._ledger.judging():
            # In this order: who minds a listed token is known, or it stands in a store by now.
            minded = self._ledger.minded()
            listed = api.list_tokens()
            case = Evidence(
                listed=listed,
                stock=Holdings(),
                minded=minded,
                judged=frozenset(intent.run for intent in intents),
                has_ended=self._ledger.has_ended,
                account=api.account(),
                now=api.now(),
                timeout=timeout,
            )
            if case.needs_stock(intents):
                case = case._replace(stock=self._fleet.look())
            findings = [case.finding(intent) for intent in intents]
            if any(finding.left_over for finding in findings):
                # Another rotator may have ended between the look and the question whether it lives.
                again = case._replace(stock=self._fleet.look())
                if [again.finding(intent) for intent in intents] != findings:
                    return Judgement(waiting=True)
            revoked: dict[str, None] = {}
            for token_id in (each for finding in findings for each in finding.left_over):
                if token_id not in revoked:
                    api.ensure_revoked(token_id, "left-over")
                    revoked[token_id] = None
        return Judgement(
            settled=frozenset(f.run for f in findings if f.settled),
            revoked=tuple(revoked),
            trouble="; ".join(dict.fromkeys(f.trouble for f in findings if f.trouble)) or None,
            waiting=any(finding.waiting for finding in findings),
        )
