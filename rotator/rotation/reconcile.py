"""Reconcile mints whose outcome is unknown.

The API has neither labels nor idempotency keys for a mint, and its list shows no JWT. So the list
is compared with the intents that rotators wrote before they minted: a token that can only come from
one of them, and that no store holds, is an orphan and is revoked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from rotator.clock import ONE_DAY, SLACK, minute
from rotator.errors import ConflictError, RotatorError
from rotator.rotation.inventory import Inventory
from rotator.rotation.listing import ETERNITY
from rotator.rotation.model import RotationContext
from rotator.rotation.observe import (
    ATTEMPTS,
    Observation,
    Snapshot,
    Unreachable,
    observe_store,
    snapshot_of,
)
from rotator.stores.journal import Intent, is_taken_over, scope_digest, taken_over_id
from rotator.stores.port import SecretStore

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import ListedToken

POLL_SECONDS = 1.0  # between two looks while another rotator is at work
LONGEST_PAUSE = 5.0  # the API's list is long, and most of these looks find nothing new
# A rotator exchanges its new token as soon as it has it. Until then the token looks unused.
YOUNG = timedelta(seconds=10)


class ReconcileResult(NamedTuple):
    """The ids of the mints that are settled, the tokens revoked, what went wrong.

    `guessed` are those of the revoked tokens that no answer and no journal named: they came of the
    mints only if nobody else uses the admin account. `is_waiting` says that another rotator's mint
    has to end before anything can be said.
    """

    settled: frozenset[str] = frozenset()
    revoked: tuple[str, ...] = ()
    guessed: frozenset[str] = frozenset()
    trouble: str | None = None
    is_waiting: bool = False

    @property
    def summary(self) -> str | None:
        """A clause about the tokens that came of the mints, None where there are none so far."""
        if self.revoked:
            unless = _UNLESS if self.guessed else ""
            return f"{', '.join(self.revoked)}, which came of it{unless}, was revoked; run again"
        return self.trouble

    @property
    def remarks(self) -> tuple[str, ...]:
        """A sentence about each token that was revoked."""
        revoked = [(each, _UNLESS if each in self.guessed else "") for each in self.revoked]
        return tuple(
            f"{each}, left over from a mint that was cut off{unless}, was revoked"
            for each, unless in revoked
        )


_UNLESS = " unless others mint with this admin account"
Fence = Callable[[Collection[str]], None]


def reconcile(
    context: RotationContext,
    intents: Sequence[Intent],
    timeout: timedelta,
    fence: Fence = lambda _: None,
    was_there: Callable[[str], bool] = lambda _: False,
) -> ReconcileResult:
    """Settle what can be settled of these intents, all of dead rotators; one thread at a time.

    `timeout` bounds a rotation: a live rotator that could have minted a suspect is waited for. A
    rotator that is taken for dead may only sleep, with a token in its hands that is about to be
    revoked. So `fence` is called with the ids of the mints that left an orphan; after it, none of
    their rotators can write any more, and one look at the stores tells whether it wrote before.
    `was_there` tells which tokens were there before the mints. A failure becomes the result's
    `trouble`, and its intents stay open.
    """
    total = ReconcileResult()
    account, pause, search = None, POLL_SECONDS, _Search(timeout, fence, was_there)
    while True:
        open_intents = [intent for intent in intents if intent.mint_id not in total.settled]
        try:
            account = account or context.api().account()
            result = _reconcile_once(context, account, open_intents, search)
        except RotatorError as error:
            trouble = f"a mint that was cut off is not cleared up: {error}"
            return total._replace(trouble=trouble)
        total = total._replace(
            settled=total.settled | result.settled,
            revoked=total.revoked + result.revoked,
            guessed=total.guessed | result.guessed,
        )
        if not result.is_waiting:
            return total._replace(trouble=result.trouble)
        context.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


class _Search(NamedTuple):
    """The parameters of `reconcile`."""

    timeout: timedelta
    fence: Fence
    was_there: Callable[[str], bool]


def _reconcile_once(
    context: RotationContext, account: str, intents: Sequence[Intent], search: _Search
) -> ReconcileResult:
    api = context.api()
    with context.in_flight.searching():
        detection = OrphanDetection(
            # In this order: a listed token then is in flight, or stands in a store by now.
            in_flight=context.in_flight.current(),
            listed=[row for row in api.list_tokens() if not search.was_there(row.token_id)],
            inventory=Inventory(),
            examined=frozenset(taken_over_id(intent.mint_id) for intent in intents),
            has_ended=context.in_flight.has_ended,
            account=account,
            now=api.time.now(),
            timeout=search.timeout,
            is_own=context.is_own,
        )
        if detection.needs_inventory(intents):
            detection = detection._replace(inventory=context.fleet_stores.take_inventory())
        findings = [detection.examine(intent) for intent in intents]
        if orphaned := [finding.mint_id for finding in findings if finding.orphans]:
            search.fence(orphaned)
            # Another rotator may have written between the look and the fence, or have ended between
            # the look and the question whether it lives.
            again = detection._replace(inventory=context.fleet_stores.take_inventory())
            if [again.examine(intent) for intent in intents] != findings:
                return ReconcileResult(is_waiting=True)
        orphans = tuple(dict.fromkeys(orphan for f in findings for orphan in f.orphans))
        for token_id in orphans:
            api.ensure_revoked(token_id, "left-over")
    return ReconcileResult(
        settled=frozenset(f.mint_id for f in findings if f.is_settled),
        revoked=orphans,
        guessed=frozenset(orphans) - {intent.token_id for intent in intents},
        trouble="; ".join(dict.fromkeys(f.trouble for f in findings if f.trouble)) or None,
        is_waiting=any(finding.is_waiting for finding in findings),
    )


class Fences:
    """Keeps rotators that are taken for dead, and may only sleep, from writing one token's stores.

    Rotator S sleeps in the middle of a write, and rotator R revokes the token of S:

        S: looks at the version           (S sleeps)           writes, if the version still fits
        R:                     takes the intent over, bumps the version, looks again, revokes

    Either the write comes first, and R sees the token in the store; or the version does not fit any
    more. Where R has written the store (`written` are the URLs), or holds its lock, that is so
    already.
    """

    def __init__(self, snapshot: Snapshot, written: Collection[str]) -> None:
        self.snapshot = snapshot
        self._fenced_off = set(written)

    def put_up(self, mint_ids: Collection[str]) -> None:
        """Fence off each store with an intent of these mints; raises `StoreError`."""
        names = {taken_over_id(mint_id) for mint_id in mint_ids}
        answers = [
            each if isinstance(each, Unreachable) else self._put_up_at(each, names)
            for each in self.snapshot.answers
        ]
        self.snapshot = snapshot_of(answers, self.snapshot.taken_at)

    def _put_up_at(self, observation: Observation, names: Collection[str]) -> Observation:
        store = observation.store
        for _ in range(ATTEMPTS):
            intents = observation.journal.intents
            mint_ids = {
                intent.mint_id for intent in intents if taken_over_id(intent.mint_id) in names
            }
            if not mint_ids or store.url in self._fenced_off or store.held_elsewhere() is not None:
                return observation
            try:
                fenced = observation.fence(mint_ids)
            except ConflictError:
                latest = observe_store(store)
                if isinstance(latest, Unreachable):
                    raise latest.error from None
                observation = latest
            else:
                self._fenced_off.add(store.url)
                return fenced
        raise ConflictError(f"{store.url}: it keeps changing: run again")


class IntentFinding(NamedTuple):
    """What became of one intent: whether it is settled, and which orphans it left.

    `rivals` are the mints that could have left them as well, by the ids under which they are or
    would be taken over: where these change between two looks, the findings differ. `is_waiting`
    says that one lives.
    """

    mint_id: str
    is_settled: bool = False
    orphans: tuple[str, ...] = ()
    rivals: frozenset[str] = frozenset()
    trouble: str | None = None
    is_waiting: bool = False


class OrphanDetection(NamedTuple):
    """Finds the orphans of intents. All was read before, but whether the owner of an intent lives.

    `listed` are the API's tokens, `account` is the admin's user id, `now` the server's time,
    `inventory` what the fleet's stores hold. `examined` are the mints in question. Mints are
    compared by the ids under which they are taken over, so that one counts once, before and after.
    `is_own` tells by its name whether a token is one of this API.
    """

    listed: Sequence[ListedToken]
    inventory: Inventory
    in_flight: Mapping[str, str | None]
    examined: frozenset[str]
    has_ended: Callable[[str], bool]
    account: str
    now: datetime
    timeout: timedelta
    is_own: Callable[[str], bool]

    def needs_inventory(self, intents: Sequence[Intent]) -> bool:
        """Tell whether it matters what the stores hold, which takes long to read."""
        return any(
            intent.token_id or any(self._is_stray(row, intent) for row in self.listed)
            for intent in intents
        )

    def examine(self, intent: Intent) -> IntentFinding:
        if intent.begun_at > self.now + SLACK:
            trouble = f"a record of a mint is dated {minute(intent.begun_at)}, which is yet to come"
            return IntentFinding(
                intent.mint_id, is_settled=True, trouble=f"{trouble}: it is left out"
            )
        if intent.token_id:
            return self._examine_answered(intent, intent.token_id)
        return self._examine_unanswered(intent)

    def _examine_unanswered(self, intent: Intent) -> IntentFinding:
        """Look for the token of a mint whose answer nobody noted."""
        rows = self._find_suspects(intent)
        suspects = tuple(dict.fromkeys(row.token_id for row in rows))
        if not suspects:
            return self._examine_lost(intent)
        if self.inventory.unreachable:
            return IntentFinding(intent.mint_id, trouble=self._describe_unknown(suspects))
        rivals = self._find_rivals(intent)
        if self._has_young(rows) or any(self._is_alive(store, o) for _, store, o in rivals):
            return IntentFinding(intent.mint_id, is_waiting=True)
        others = self._count(rivals)
        mints = len({taken_over_id(intent.mint_id), *others})
        if len(suspects) > mints:
            return IntentFinding(intent.mint_id, trouble=_describe_ambiguous(suspects))
        # With fewer tokens than intents, another one may still be under way.
        is_complete = len(suspects) == mints or self.now > self._end(intent)
        return IntentFinding(
            intent.mint_id, is_settled=is_complete, orphans=suspects, rivals=others
        )

    def _examine_lost(self, intent: Intent) -> IntentFinding:
        """Settle a mint of which no token is found, once none can come any more.

        Where the clock that dates the API's answers and the one that dates its rows differ, the
        token is there with another date. It is named for a day, and nothing is revoked.
        """
        if self.now <= self._end(intent):
            return IntentFinding(intent.mint_id)
        strays = [row.token_id for row in self.listed if self._is_stray(row, intent)]
        if not strays:
            return IntentFinding(intent.mint_id, is_settled=True)
        if self.inventory.unreachable:
            return IntentFinding(intent.mint_id, trouble=self._describe_unknown(strays))
        trouble = (
            f"{', '.join(strays)} may be left over from the mint of {minute(intent.begun_at)} that"
            " was cut off, though the API's list has another date: revoke at the API what nobody"
            " uses; rotator doctor compares the API's clocks"
        )
        is_over = self.now > intent.begun_at + ONE_DAY
        return IntentFinding(intent.mint_id, is_settled=is_over, trouble=trouble)

    def _examine_answered(self, intent: Intent, token_id: str) -> IntentFinding:
        """Find out whether the token of a mint reached a store, or is an orphan."""
        row = next((row for row in self.listed if row.token_id == token_id), None)
        if row is None or token_id in self.inventory.known_ids:
            return IntentFinding(intent.mint_id, is_settled=True)
        if self.inventory.unreachable:
            return IntentFinding(intent.mint_id, trouble=self._describe_unknown([token_id]))
        is_used = row.last_used_at is not None and row.last_used_at > self._end(intent)
        if is_used or not can_come_of(row, intent, self.account, self.timeout):
            what = "is in use" if is_used else "cannot come of it"
            lost = self._examine_unanswered(intent._replace(token_id=None))
            if not is_used and (lost.orphans or lost.trouble or lost.is_waiting):
                return lost  # the answer named another one's token
            trouble = f"{token_id}, noted for a rotation that was cut off, {what}: left as it is"
            return IntentFinding(intent.mint_id, is_settled=True, trouble=trouble)
        return self._examine_named(intent, token_id)

    def _examine_named(self, intent: Intent, token_id: str) -> IntentFinding:
        """Call the token that an answer named an orphan, unless the answer can be another one's.

        Then the token of this mint is one more, for which no other intent accounts.
        """
        rows, rivals = self._find_suspects(intent), self._find_rivals(intent)
        others = self._count(rivals)
        if len(rows) > len(others - {taken_over_id(intent.mint_id)}):
            if self._has_young(rows):
                return IntentFinding(intent.mint_id, is_waiting=True)
            suspects = dict.fromkeys((token_id, *(row.token_id for row in rows)))
            return IntentFinding(intent.mint_id, trouble=_describe_ambiguous(suspects))
        return IntentFinding(intent.mint_id, is_settled=True, orphans=(token_id,))

    def _find_suspects(self, intent: Intent) -> list[ListedToken]:
        """Return the tokens that can have come of this mint, but for one that an answer named."""
        return [row for row in self.listed if self._is_suspect(row, intent)]

    def _find_rivals(self, intent: Intent) -> list[tuple[str, SecretStore, Intent]]:
        return [each for each in self.inventory.intents if self._is_rival(each[2], intent)]

    def _count(self, rivals: Iterable[tuple[str, SecretStore, Intent]]) -> frozenset[str]:
        """Return the ids under which the mints at this API are taken over.

        One at another API left nothing here, and accounts for no token. It is waited for all the
        same: two names may turn out to be one API.
        """
        return frozenset(taken_over_id(o.mint_id) for name, _, o in rivals if self.is_own(name))

    def _has_young(self, rows: Sequence[ListedToken]) -> bool:
        return any(row.created_at > self.now - YOUNG for row in rows)

    def _is_suspect(self, row: ListedToken, intent: Intent) -> bool:
        return can_come_of(row, intent, self.account, self.timeout) and self._is_nobodys(row)

    def _is_stray(self, row: ListedToken, intent: Intent) -> bool:
        return (
            abs(row.created_at - intent.begun_at) <= ONE_DAY
            and row.user_id == self.account
            and is_as_wished(row, intent)
            and self._is_nobodys(row)
        )

    def _is_nobodys(self, row: ListedToken) -> bool:
        """Tell whether a token lives that nobody has used, and that no store knows."""
        return (
            row.last_used_at is None
            and row.expires_at > self.now
            and row.token_id not in self.inventory.known_ids
            and all(row.token_id != other.token_id for _, _, other in self.inventory.intents)
            and row.token_id not in self.in_flight.values()
        )

    def _is_rival(self, other: Intent, intent: Intent) -> bool:
        """Tell whether the other's mint could have made a suspect of this one."""
        return (
            other.token_id is None
            and other.mint_id not in self.in_flight
            and (other.days, other.scope) == (intent.days, intent.scope)
            and abs(other.begun_at - intent.begun_at) <= self.timeout + 2 * SLACK
        )

    def _is_alive(self, store: SecretStore, other: Intent) -> bool:
        if taken_over_id(other.mint_id) in self.examined or is_taken_over(other.mint_id):
            return False
        if self.has_ended(other.mint_id):
            return False
        return self.now <= self._end(other) and store.held_elsewhere() is not False

    def _end(self, intent: Intent) -> datetime:
        return end_of_mint(intent, self.timeout)

    def _describe_unknown(self, suspects: Collection[str]) -> str:
        unreachable = ", ".join(self.inventory.unreachable_urls)
        return (
            f"{', '.join(suspects)} may be left over from a mint that was cut off, which cannot be"
            f" told while {unreachable} does not answer: run again when it does"
        )


def _describe_ambiguous(suspects: Iterable[str]) -> str:
    return (
        f"one of {', '.join(suspects)} is left over from a mint that was cut off, and it cannot be"
        " told which: none was revoked; revoke at the API those that nobody uses"
    )


def can_come_of(row: ListedToken, intent: Intent, account: str, timeout: timedelta) -> bool:
    """Tell whether the account minted this token, as the intent says, and at that time.

    Whoever may write the store can forge a journal, and must not thereby revoke any token.
    """
    is_in_time = intent.begun_at - SLACK <= row.created_at <= end_of_mint(intent, timeout)
    return is_in_time and row.user_id == account and is_as_wished(row, intent)


def is_as_wished(row: ListedToken, intent: Intent) -> bool:
    """Tell whether a token has the scope and the life of this intent, and was not there before."""
    life = ETERNITY if intent.days is None else intent.days * ONE_DAY
    return (
        scope_digest(row.scope) == intent.scope
        and row.token_id not in intent.earlier
        # The server computes the two dates one after the other.
        and abs(row.expires_at - row.created_at - life) < SLACK
    )


def end_of_mint(intent: Intent, timeout: timedelta) -> datetime:
    """Return when no token can come of a mint any more: a request can take a whole rotation."""
    return intent.begun_at + timeout + SLACK
