"""Checks about the API's list of service tokens, beside what the stores hold."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from rotator.clock import in_words, minute
from rotator.doctor.contact import Listing
from rotator.doctor.examined import Examined
from rotator.doctor.findings import Check, Finding, Result, Topic
from rotator.rotation.inventory import RowStatus, Stock, ends_at, rows
from rotator.rotation.reconcile import SLACK

_MOST_NAMED = 5


class ListFacts(NamedTuple):
    """The list, and all that was seen before it was asked for, from `begun` on (server's time).

    `stock` is None where only some tokens were looked at, so that nobody can tell orphans.
    `account` is the admin's user id, and `under_way` how long a token may take to its store.
    """

    listing: Listing
    begun: datetime
    account: str
    seen: Sequence[Examined]
    stock: Stock | None
    under_way: timedelta


def _list(facts: ListFacts) -> Iterator[Finding]:
    if facts.listing.trouble:
        yield Finding(Topic.LIST, Result.PROBLEM, facts.listing.trouble)
    else:
        count = len(facts.listing.rows)
        message = f"the API lists its service tokens ({count})"
        yield Finding(Topic.LIST, Result.OK, message)


def _list_time(facts: ListFacts) -> Iterator[Finding]:
    """Compare the clock of the API's database, by a token just exchanged, with that of its Date."""
    probed = {e.seen.current.token_id for e in facts.seen if e.probed and e.seen.current}
    used = [row.last_used_at for row in facts.listing.rows if row.token_id in probed]
    latest = max((moment for moment in used if moment), default=None)
    if latest is None:
        return
    off = max(facts.begun - latest, latest - facts.listing.now)
    if off > SLACK:
        message = (
            f"the API's list and the Date of its answers are {in_words(off)} apart, so a mint that"
            " is cut off could not be told by its time: set the clocks of the API right"
        )
        yield Finding(Topic.CLOCK, Result.WARNING, message)


def _unlisted(facts: ListFacts) -> Iterator[Finding]:
    """Find revoked tokens where the settings do not want the API to be asked for each."""
    if facts.listing.trouble:
        return
    listed = {row.token_id for row in facts.listing.rows}
    for each in facts.seen:
        token = each.seen.current
        if each.probed or token is None or token.token_id in listed:
            continue
        message = (
            f"token {token.name} is not in the API's list, so it was revoked: rotator rotate"
            f" {each.token.name} --force replaces it"
        )
        yield Finding(Topic.TOKEN, Result.PROBLEM, message, each.token.name)


def _early_ends(facts: ListFacts) -> Iterator[Finding]:
    by_id = {row.token_id: row for row in facts.listing.rows}
    for each in facts.seen:
        token = each.seen.current
        row = by_id.get(token.token_id or "") if token else None
        end = ends_at(row) if row else None
        if token is None or end is None:
            continue
        if token.expires_at is None or token.expires_at - end > SLACK:
            message = (
                f"the API's list ends token {token.name} at {minute(end)}, before the token itself"
                f" does: rotator rotate {each.token.name} --force replaces it"
            )
            yield Finding(Topic.TOKEN, Result.WARNING, message, each.token.name)


def _orphans(facts: ListFacts) -> Iterator[Finding]:
    if facts.stock is None or facts.listing.trouble:
        return
    if facts.stock.silent:
        message = (
            "while a store does not answer, nobody can tell which tokens of the API are in no"
            " store: look again when it does"
        )
        yield Finding(Topic.ORPHANS, Result.WARNING, message)
        return
    listing = facts.listing
    found = rows(listing.rows, facts.stock, facts.account, listing.now, facts.under_way)
    orphans = [row for row in found if row.status is RowStatus.ORPHAN]
    own = [row.token_id for row in orphans if row.own]
    if others := len(orphans) - len(own):
        which = "1 live token" if others == 1 else f"{others} live tokens"
        message = f"{which} of other admins in no store of the config, which is their own affair"
        yield Finding(Topic.ORPHANS, Result.OK, message)
    if own:
        yield Finding(Topic.ORPHANS, Result.WARNING, _own(own))
    else:
        message = "no live token of this admin was found that no store knows"
        yield Finding(Topic.ORPHANS, Result.OK, message)


def _own(ids: Sequence[str]) -> str:
    named = ", ".join(ids[:_MOST_NAMED]) + (", …" if len(ids) > _MOST_NAMED else "")
    which, them = ("1 live token", "it") if len(ids) == 1 else (f"{len(ids)} live tokens", "them")
    return (
        f"{which} of this admin in no store of the config: {named}; somebody else may use {them},"
        f" unless the account is the rotator's own: then revoke {them} (rotator tokens revoke ID)"
    )


LIST_CHECKS: tuple[Check[ListFacts], ...] = (
    _list,
    _list_time,  # recovery compares it with the Date of answers
    _unlisted,
    _early_ends,  # a server may shorten lives
    _orphans,
)
