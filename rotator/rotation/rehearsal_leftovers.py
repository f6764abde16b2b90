"""What a rehearsal left that was killed: its canary, and the scratch places that tell of it.

A scratch place has a journal of its own, in which the canary's mint is noted like any other. So the
next run knows what to look for. Whoever may write a store can forge it: only a token is revoked of
which the API's list says that the rotator's own account made it then, for one day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from rotator.audit import Event, trace
from rotator.clock import ONE_DAY, SLACK, minute
from rotator.errors import ConflictError, RotatorError, StoreError
from rotator.rotation.model import RotationContext
from rotator.rotation.observe import Observation, Unreachable, observe_store
from rotator.rotation.reconcile import end_of_mint, reconcile
from rotator.stores.journal import Intent, Journal, is_taken_over, new_mint_id, scope_digest
from rotator.stores.port import Rehearsable, ScratchStore, SecretStore

CANARY_LIFE = ONE_DAY


class ScratchPlace(NamedTuple):
    """A scratch place, and what it showed."""

    store: ScratchStore
    seen: Observation

    @property
    def is_vacant(self) -> bool:
        """Whether no canary is there, and no mint of one is open."""
        return self.is_free and not self.seen.journal.intents

    @property
    def is_free(self) -> bool:
        """Whether a rehearsal may begin here: of earlier ones there are dead mints at most."""
        has_live = any(not is_taken_over(each.mint_id) for each in self.seen.journal.intents)
        return self.seen.secret is None and not self.seen.journal.token_id and not has_live

    @property
    def token_ids(self) -> frozenset[str]:
        """The ids of the canaries that are there, or were by the journal."""
        written = {
            self.seen.token.token_id if self.seen.token else None,
            self.seen.journal.token_id,
        }
        return frozenset(token_id for token_id in written if token_id)

    def is_foreign(self, now: datetime) -> bool:
        """Tell whether something is there that is no canary, and must not be touched."""
        token = self.seen.token
        if token is None or token.expires_at is None:
            return self.seen.secret is not None
        return token.expires_at > now + CANARY_LIFE + SLACK

    def may_be_in_use(self, now: datetime, timeout: timedelta) -> bool:
        """Tell whether a rehearsal may be at work here at this moment, by the server's `now`.

        Raises a `StoreError` when the store does not tell who holds it.
        """
        journal = self.seen.journal
        begun = [each.begun_at for each in journal.intents if not is_taken_over(each.mint_id)]
        if journal.token_id and journal.minted_at:
            begun.append(journal.minted_at)
        if not any(now - timeout <= each <= now + SLACK for each in begun):
            return False
        return self.store.held_elsewhere() is not False


class NotedMint(NamedTuple):
    """The note of a mint whose answer nobody has, and that can make a canary until then (UTC)."""

    url: str
    until: datetime

    @classmethod
    def of(cls, url: str, journal: Journal, timeout: timedelta) -> NotedMint | None:
        """Return what this journal says, None where it has no such note."""
        ends = [end_of_mint(intent, timeout) for intent in journal.intents]
        return cls(url, max(ends)) if ends else None

    def __str__(self) -> str:
        return (
            f"{self.url}: a mint that was cut off stays noted, as the API can make its canary until"
            f" {minute(self.until)}; a later run removes the note"
        )


class Cleared(NamedTuple):
    """What became of leftovers: the scratch places that are free again, and what went wrong.

    `noted` are places where nothing but the note of a mint is left.
    """

    urls: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()
    noted: tuple[NotedMint, ...] = ()

    @property
    def remarks(self) -> tuple[str, ...]:
        """A sentence about each place."""
        return tuple(f"what a rehearsal left in {url} was removed" for url in self.urls)


def scratch_of(context: RotationContext, store: SecretStore) -> ScratchStore:
    """Return the scratch place beside a secret; raises `StoreError` where there is none."""
    scratch = store.scratch() if isinstance(store, Rehearsable) else None
    if scratch is None:
        raise StoreError(
            f"{store.url}: cannot be rehearsed: it has no scratch place; rotator doctor looks at it"
        )
    if context.fleet_stores.has(scratch.url):
        raise StoreError(
            f"{store.url}: cannot be rehearsed: {scratch.url}, where the canary would be, holds a"
            " token of the config: rename one of the two"
        )
    return scratch


def look_at(scratch: ScratchStore) -> ScratchPlace:
    """Look at a scratch place; raises what the store raises."""
    seen = observe_store(scratch)
    if isinstance(seen, Unreachable):
        raise seen.error
    return ScratchPlace(scratch, seen)


def clear_up_beside(
    context: RotationContext, timeout: timedelta, observations: Iterable[Observation]
) -> Cleared:
    """Revoke and remove what a killed rehearsal left beside these secrets, all of one token.

    A rehearsal that may still be at work is left alone. Every failure becomes a trouble.
    """
    places: list[ScratchPlace] = []
    troubles: list[str] = []
    for observation in observations:
        if not observation.has_scratch:
            continue
        try:
            places.append(look_at(scratch_of(context, observation.store)))
        except StoreError as error:
            troubles.append(f"what a rehearsal left is still there: {error}")
    if not places:
        return Cleared(troubles=tuple(troubles))
    try:
        context.api().log_in()  # tells the server's time
        now = context.api().time.now()
        if any(place.may_be_in_use(now, timeout) for place in places):
            return Cleared(troubles=tuple(troubles))
        ours = [place for place in places if not place.is_foreign(now)]
        cleared = clear_up(context, timeout, ours)
    except RotatorError as error:
        troubles.append(f"what a rehearsal left is still there: {error}")
        return Cleared(troubles=tuple(troubles))
    return cleared._replace(troubles=(*troubles, *cleared.troubles))


def clear_up(
    context: RotationContext, timeout: timedelta, places: Sequence[ScratchPlace]
) -> Cleared:
    """Revoke the canaries of these places, of which nobody is at work, and make them free again.

    Where it is not known yet whether a mint made a canary, its intent stays. Raises `RotatorError`.
    """
    intents = list(_open_mints(context, places))
    result = reconcile(context, intents, timeout) if intents else None
    settled = result.settled if result else frozenset()
    if result and result.trouble and not settled:
        return Cleared(troubles=(f"what a rehearsal left is still there: {result.trouble}",))
    still_open = {each.mint_id: each.token_id for each in intents if each.mint_id not in settled}
    freed: list[str] = []
    noted: list[NotedMint] = []
    for place in places:
        if place.token_ids & set(still_open.values()):
            continue
        intents = [each for each in place.seen.journal.intents if each.mint_id in still_open]
        left = Journal(intents=tuple(each.taken_over() for each in intents))
        with suppress(ConflictError):  # another run does the same
            remove(place, left)
            if note := NotedMint.of(place.store.url, left, timeout):
                noted.append(note)
            else:
                freed.append(place.store.url)
    troubles = (result.trouble,) if result and result.trouble else ()
    return Cleared(tuple(freed), troubles, tuple(noted))


def remove(place: ScratchPlace, left: Journal) -> None:
    """Remove a canary, and leave this journal; raises what the store raises."""
    url = place.store.url
    if place.seen.secret is None and place.seen.journal == left:
        return
    rest = ", but for the note of a mint" if left.intents else ""
    with trace(Event.REMOVED, f"what a rehearsal wrote was removed from {url}{rest}", store=url):
        place.store.remove(left, expected=place.seen.version)


def _open_mints(context: RotationContext, places: Sequence[ScratchPlace]) -> Iterator[Intent]:
    """Yield the mints whose token may be alive, as intents: that of a written canary, too."""
    known: set[str | None] = set()
    for intent in dict.fromkeys(i for place in places for i in place.seen.journal.intents):
        if intent.days == CANARY_LIFE.days:
            known.add(intent.token_id)
            yield intent
    if not any(place.token_ids for place in places):
        return
    listed = {row.token_id: row for row in context.api().list_tokens()}
    for place in places:
        for row in (listed[token_id] for token_id in place.token_ids - known if token_id in listed):
            known.add(row.token_id)
            begun_at = place.seen.journal.minted_at or row.created_at
            scope = scope_digest(row.scope)
            yield Intent(new_mint_id(), begun_at, CANARY_LIFE.days, scope, row.token_id)
