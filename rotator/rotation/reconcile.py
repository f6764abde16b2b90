"""Reconcile mints whose outcome is unknown.

The API has neither labels nor idempotency keys for a mint, and its list shows no JWT. The list is
therefore compared with the intents that rotators wrote before they minted: a token that can only
come from one of them, and that no store holds, is an orphan and is revoked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from rotator.clock import minute
from rotator.errors import RotatorError
from rotator.rotation.in_flight import InFlight, InFlightMints
from rotator.rotation.inventory import FleetStores, Inventory
from rotator.stores.journal import Intent, scope_digest
from rotator.stores.port import SecretStore

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import ListedToken, ServiceTokens

# The date that a proxy puts on an answer and the one in the API's database are two clocks.
SLACK = timedelta(minutes=1)
# A rotator that we know nothing of tries a token as soon as it has it: then it is not unused.
YOUNG = timedelta(seconds=10)
_ONE_DAY = timedelta(days=1)
_ETERNITY = timedelta(days=36500)


class IntentFinding(NamedTuple):
    """What is to be said of one intent: settled or not, and which tokens are left over from it.

    `rivals` are the runs that could have left them over as well; `waiting` says that one lives.
    """

    run: str
    settled: bool = False
    left_over: tuple[str, ...] = ()
    rivals: frozenset[str] = frozenset()
    trouble: str | None = None
    waiting: bool = False


class OrphanDetection(NamedTuple):
    """All that one judgement rests on; `now` is the server's time.

    `listed` are the server's tokens, `account` is the admin's user id, `stock` what the fleet's
    stores hold; `judged` are the runs in question, `current_runs` the live ones of this process.
    """

    listed: Sequence[ListedToken]
    stock: Inventory
    current_runs: InFlight
    judged: frozenset[str]
    has_ended: Callable[[str], bool]
    account: str
    now: datetime
    timeout: timedelta

    def needs_stock(self, intents: Sequence[Intent]) -> bool:
        """Tell whether it matters what the stores hold, which takes long to find out."""
        return any(
            intent.token_id or any(self._is_suspect(row, intent) for row in self.listed)
            for intent in intents
        )

    def finding(self, intent: Intent) -> IntentFinding:
        """Judge one intent."""
        if intent.begun_at > self.now + SLACK:
            trouble = f"a record of a mint is dated {minute(intent.begun_at)}, which is yet to come"
            return IntentFinding(intent.run, settled=True, trouble=f"{trouble}: it is left out")
        if intent.token_id:
            return self._about_known(intent, intent.token_id)
        return self._about_unknown(intent)

    def _about_unknown(self, intent: Intent) -> IntentFinding:
        rows = {row.token_id: row for row in self.listed if self._is_suspect(row, intent)}
        suspects = list(rows)
        if not suspects:  # a request can be under way for as long as a rotation may take
            return IntentFinding(intent.run, settled=self.now > self._end(intent))
        if self.stock.unreachable:
            return IntentFinding(intent.run, trouble=self._untold(suspects))
        rivals = [pair for pair in self.stock.intents if self._is_rival(pair[1], intent)]
        young = any(row.created_at > self.now - YOUNG for row in rows.values())
        if young or any(self._is_alive(store, other) for store, other in rivals):
            return IntentFinding(intent.run, waiting=True)
        runs = frozenset(other.run for _, other in rivals)
        if len(suspects) > len({intent.run, *runs}):
            return IntentFinding(intent.run, trouble=_ambiguous(suspects))
        # With fewer tokens than intents, another one may still be under way.
        complete = len(suspects) == len({intent.run, *runs}) or self.now > self._end(intent)
        return IntentFinding(intent.run, settled=complete, left_over=tuple(suspects), rivals=runs)

    def _about_known(self, intent: Intent, token_id: str) -> IntentFinding:
        """Judge a mint whose answer came: its token either arrived in a store or is left over."""
        row = next((row for row in self.listed if row.token_id == token_id), None)
        if row is None or token_id in self.stock.known_ids:
            return IntentFinding(intent.run, settled=True)
        if self.stock.unreachable:
            return IntentFinding(intent.run, trouble=self._untold([token_id]))
        used_later = row.last_used_at is not None and row.last_used_at > self._end(intent)
        if used_later or not self._can_come_of(row, intent):
            what = "is in use" if used_later else "cannot come of it"
            trouble = f"{token_id}, noted for a rotation that was cut off, {what}: left as it is"
            return IntentFinding(intent.run, settled=True, trouble=trouble)
        return IntentFinding(intent.run, settled=True, left_over=(token_id,))

    def _is_suspect(self, row: ListedToken, intent: Intent) -> bool:
        return (
            self._can_come_of(row, intent)
            and row.last_used_at is None
            and row.expires_at > self.now
            and row.token_id not in self.stock.known_ids
            and row.token_id not in self._named_ids
            and row.token_id not in self.current_runs.token_ids
        )

    def _can_come_of(self, row: ListedToken, intent: Intent) -> bool:
        """Tell whether a token is what was wished, made by our account, and at that time.

        A journal can be forged by whoever may write the store: it must not revoke just any token.
        """
        return (
            row.user_id == self.account
            and intent.begun_at - SLACK <= row.created_at <= self._end(intent)
            and scope_digest(row.scope) == intent.scope
            and _has_life(row, intent.days)
        )

    @property
    def _named_ids(self) -> frozenset[str | None]:
        """The tokens of which it is known whose they are: each belongs to an intent of its own."""
        return frozenset(other.token_id for _, other in self.stock.intents)

    def _is_rival(self, other: Intent, intent: Intent) -> bool:
        """Tell whether the other's mint could have made a token that this one is suspected of."""
        return (
            other.token_id is None
            and other.run not in self.current_runs.runs
            and (other.days, other.scope) == (intent.days, intent.scope)
            and abs(other.begun_at - intent.begun_at) <= self.timeout + 2 * SLACK
        )

    def _is_alive(self, store: SecretStore, other: Intent) -> bool:
        if other.run in self.judged or self.has_ended(other.run):
            return False
        return self.now <= self._end(other) and store.held_elsewhere() is not False

    def _end(self, intent: Intent) -> datetime:
        return intent.begun_at + self.timeout + SLACK

    def _untold(self, suspects: Collection[str]) -> str:
        unreachable = ", ".join(self.stock.unreachable)
        return (
            f"{', '.join(suspects)} may be left over from a mint that was cut off, which cannot be"
            f" told while {unreachable} does not answer: run again when it does"
        )


def _has_life(row: ListedToken, days: int | None) -> bool:
    wanted = _ETERNITY if days is None else days * _ONE_DAY
    # The server computes the two dates one after the other.
    return abs(row.expires_at - row.created_at - wanted) < SLACK


def _ambiguous(suspects: Collection[str]) -> str:
    return (
        f"one of {', '.join(suspects)} is left over from a mint that was cut off, and it cannot be"
        " told which: none was revoked; revoke at the API those that nobody uses"
    )


POLL_SECONDS = 1.0  # seconds between two looks while another rotator is at work


class ReconcileResult(NamedTuple):
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

    def __init__(
        self, in_flight: InFlightMints, fleet: FleetStores, sleep: Callable[[float], object]
    ) -> None:
        self._ledger = in_flight
        self._fleet = fleet
        self._sleep = sleep

    def settle(
        self, api: ServiceTokens, intents: Sequence[Intent], timeout: timedelta
    ) -> ReconcileResult:
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
                return ReconcileResult(settled, revoked, trouble)
            settled |= judgement.settled
            revoked += judgement.revoked
            if not judgement.waiting:
                return ReconcileResult(settled, revoked, judgement.trouble)
            self._sleep(POLL_SECONDS)

    def _judge(
        self, api: ServiceTokens, intents: Sequence[Intent], timeout: timedelta
    ) -> ReconcileResult:
        with self._ledger.reconciling():
            # In this order: who minds a listed token is known, or it stands in a store by now.
            current_runs = self._ledger.current_runs()
            listed = api.list_tokens()
            case = OrphanDetection(
                listed=listed,
                stock=Inventory(),
                current_runs=current_runs,
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
                    return ReconcileResult(waiting=True)
            revoked: dict[str, None] = {}
            for token_id in (each for finding in findings for each in finding.left_over):
                if token_id not in revoked:
                    api.ensure_revoked(token_id, "left-over")
                    revoked[token_id] = None
        return ReconcileResult(
            settled=frozenset(f.run for f in findings if f.settled),
            revoked=tuple(revoked),
            trouble="; ".join(dict.fromkeys(f.trouble for f in findings if f.trouble)) or None,
            waiting=any(finding.waiting for finding in findings),
        )
