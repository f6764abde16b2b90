"""Assessment: which tokens of one name have leaked, and whether they are replaced already.

Whoever calls for help names a bot. Its stores show what leaked, but only until a new token has
taken its place: a run that was killed right then would find the new one, and replace that as well.
So the journal of a token that was minted for a leak says so (`rotator.stores.journal.Leak`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from rotator.rotation.listing import ends_at
from rotator.rotation.observe import Snapshot
from rotator.rotation.policy import TOO_YOUNG
from rotator.stores.journal import Leak, ReplacedToken
from rotator.tokens import LONGEST_VALIDITY, ServiceToken, is_token_id

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import ListedToken

    Rows = Mapping[str, ListedToken]

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)  # no token is older
_MOST_NOTED = 8  # tokens, in the journal


class LeakedToken(NamedTuple):
    """A token that leaked, or may have: the one in the stores, and those before it that live.

    Times are aware UTC: `made_at` is None where the API does not list it, `ends_at` for an eternal
    one. `stores` show it.
    """

    token_id: str
    made_at: datetime | None
    ends_at: datetime | None
    stores: tuple[str, ...] = ()


class Assessment(NamedTuple):
    """What leaked of the token `name`.

    `answer` is the token in the stores if it was minted for this very leak, at `answered_at`: it is
    not replaced again. `leak` is what the journal of a new token is to say. `owners` are the
    accounts that made the leaked tokens, as far as the API lists them. `is_unknown` tells that a
    token leaked of which the stores show nothing any more.
    """

    name: str
    leaked: tuple[LeakedToken, ...]
    leak: Leak
    answer: ServiceToken | None = None
    answered_at: datetime | None = None
    owners: frozenset[str] = frozenset()
    is_unknown: bool = False


class Order(NamedTuple):
    """What was asked for: `since` when other tokens may have been made with the leaked ones.

    It is None unless given. `is_again` says that what replaced the leaked tokens leaked as well,
    `is_named` that the name was given, so that its token leaked even where nothing is known of it.
    """

    since: datetime | None = None
    is_again: bool = False
    is_named: bool = True


def assess(  # noqa: PLR0913 - what is known, from three places
    name: str,
    snapshot: Snapshot,
    rows: Rows,
    now: datetime,
    order: Order,
    *,
    unlisted: Mapping[str, datetime | None] = MappingProxyType({}),
) -> Assessment:
    """Tell what leaked; `rows` are the API's list by token id, and `now` is the server's time.

    `unlisted` are tokens that may be alive all the same, with their ends.
    """
    earlier = find_answered_leak(snapshot, now)
    answered = None if order.is_again else earlier
    answer = snapshot.current if answered else None
    ends: dict[str, datetime | None] = dict(answered.tokens) if answered else {}
    if not answered:
        ends |= {
            token_id: ends_at(rows[token_id])
            for token_id in sorted(snapshot.known_ids & rows.keys())
            if rows[token_id].expires_at > now
        }
        ends |= unlisted
    shown = [each.token for each in snapshot.reachable if each.token]
    ends |= {token.name: token.expires_at for token in shown if token != answer}
    leaked = [_describe(token_id, end, snapshot, rows) for token_id, end in ends.items()]
    leaked.sort(key=lambda each: not each.stores)
    since = order.since or _find_since(leaked, earlier, now, order)
    noted = [ReplacedToken(t.token_id, t.ends_at) for t in leaked if is_token_id(t.token_id)]
    found = earlier.found if earlier else ()
    return Assessment(
        name,
        tuple(leaked),
        Leak(since.replace(microsecond=0), tuple(noted[:_MOST_NOTED]), found),
        answer,
        snapshot.journal.minted_at if answered else None,
        frozenset(rows[token_id].user_id for token_id in ends.keys() & rows.keys()),
        is_unknown=not leaked and order.is_named and bool(snapshot.reachable),
    )


def find_answered_leak(snapshot: Snapshot, now: datetime) -> Leak | None:
    """Return the leak for which the current token was minted, if it is the one that is in hand.

    It is while a leaked token is yet to be revoked, and for an hour after the mint. Later the
    current token may well have leaked itself. `now` is the server's time.
    """
    leak, minted_at = snapshot.journal.leak, snapshot.journal.minted_at
    if leak is None or snapshot.current is None:
        return None
    leaked = {token.token_id for token in leak.tokens}
    is_in_hand = any(pending.token_id in leaked for pending in snapshot.pending)
    is_fresh = minted_at is not None and timedelta() <= now - minted_at < TOO_YOUNG
    return leak if is_in_hand or is_fresh else None


def _describe(token_id: str, end: datetime | None, snapshot: Snapshot, rows: Rows) -> LeakedToken:
    row = rows.get(token_id)
    stores = tuple(
        each.store.url for each in snapshot.reachable if each.token and each.token.name == token_id
    )
    return LeakedToken(token_id, row.created_at if row else None, end, stores)


def _find_since(
    leaked: Collection[LeakedToken], earlier: Leak | None, now: datetime, order: Order
) -> datetime:
    """Return a moment before which none of them was made; those of the leak in hand are known.

    The API makes no token that lives longer than a year, unless it is eternal.
    """
    known = {token.token_id for token in earlier.tokens} if earlier else set()
    made = [
        each.made_at or (each.ends_at - LONGEST_VALIDITY if each.ends_at else BEGINNING)
        for each in leaked
        if each.token_id not in known
    ]
    if earlier:
        made.append(earlier.since)
    if not made:
        return BEGINNING if order.is_named else now
    return max(BEGINNING, min(made))


def find_since(assessments: Iterable[Assessment]) -> datetime:
    """Return since when other tokens can have been made with any of the leaked ones."""
    return min(each.leak.since for each in assessments)
