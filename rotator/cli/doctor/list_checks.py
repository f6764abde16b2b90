"""The checks of the API's list of service tokens: pure functions, as those in `checks`."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from rotator.cli.doctor.checks import TokenFacts
from rotator.cli.doctor.findings import Check, Finding, Result, Topic
from rotator.clock import SLACK, in_words, minute
from rotator.config.settings import Unused
from rotator.nocturna.service_tokens import ListedToken
from rotator.rotation.inventory import Inventory
from rotator.rotation.listing import RowStatus, count_live, describe_young, ends_at, list_rows

_MOST_NAMED = 5  # orphans
_MORE = ", … (rotator tokens list shows all)"


class ListFacts(NamedTuple):
    """The API's list of service tokens at `now`.

    It was asked for after the `tokens` were looked at, from `begun` on; times are the server's.
    `inventory` is None unless all tokens were looked at: orphans are unknown then. `account` is the
    admin's user id, and `under_way` how long a new token may take to reach its store.
    """

    now: datetime
    rows: Sequence[ListedToken]
    begun: datetime
    tokens: Sequence[TokenFacts]
    inventory: Inventory | None
    account: str
    under_way: timedelta


def _list(facts: ListFacts) -> Iterator[Finding]:
    message = f"the API lists its service tokens ({len(facts.rows)})"
    yield Finding(Topic.LIST, Result.OK, message)


def _list_time(facts: ListFacts) -> Iterator[Finding]:
    """Compare the clock of the API's database, which dates its rows, with that of its Date."""
    off = max(_differences(facts), default=timedelta())
    if off > SLACK:
        message = (
            f"the API's list and the Date of its answers are {in_words(off)} apart, so a mint that"
            " was cut off could not be recognised by its time: set the clocks of the API right"
        )
        yield Finding(Topic.CLOCK, Result.WARNING, message)


def _differences(facts: ListFacts) -> Iterator[timedelta]:
    """Yield how far dates of the list are from where they must be, negative within.

    A token that was just exchanged tells most; without one, those tell that were minted by a
    rotator, which noted the Date.
    """
    rows = {row.token_id: row for row in facts.rows}
    yield from (row.created_at - facts.now for row in facts.rows)
    probed = {
        t.snapshot.current.token_id for t in facts.tokens if t.is_probed and t.snapshot.current
    }
    used = [row.last_used_at for row in facts.rows if row.token_id in probed and row.last_used_at]
    if used:
        yield max(facts.begun - max(used), max(used) - facts.now)
        return
    for each in facts.tokens:
        journal = each.snapshot.journal
        row = rows.get(journal.token_id or "")
        if row and journal.minted_at:
            yield journal.minted_at - row.created_at
            yield row.created_at - journal.minted_at - each.settings.rotation_timeout


def _listed_tokens(facts: ListFacts) -> Iterator[Finding]:
    """Compare each current token with its row, which one that was just probed need not have."""
    rows = {row.token_id: row for row in facts.rows}
    for each in facts.tokens:
        current, name = each.snapshot.current, each.settings.name
        if current is None:
            continue
        row = rows.get(current.token_id or "")
        end = ends_at(row) if row else None
        replace = f"rotator rotate {name} --force replaces it"
        if row is None and not each.is_probed:
            message = f"token {current.name} is not in the API's list, so it was revoked: {replace}"
            yield Finding(Topic.TOKEN, Result.PROBLEM, message, name)
        elif end and (current.expires_at is None or current.expires_at - end > SLACK):
            message = (
                f"the API's list ends token {current.name} at {minute(end)}, before the token"
                f" itself does: {replace}"
            )
            yield Finding(Topic.TOKEN, Result.WARNING, message, name)


def _laggards(facts: ListFacts) -> Iterator[Finding]:
    """Look who still exchanges a token that was replaced; the rotator itself never does."""
    for each in facts.tokens:
        journal, settings = each.snapshot.journal, each.settings
        if journal.minted_at is None:
            continue
        moved_at = _moved_at(each, journal.minted_at)
        for row in facts.rows:
            used_at = row.last_used_at
            if row.token_id not in journal.old_ids or not used_at or used_at <= moved_at:
                continue
            if isinstance(settings.retire, Unused):
                fate, result = "it is revoked once nobody does", Result.OK
            elif settings.retire is None:
                fate = 'it lives until its end; with retire = "unused 24h", until nobody uses it'
                result = Result.OK
            else:
                fate = 'its user is cut off when its time is over; not with retire = "unused 24h"'
                result = Result.WARNING
            message = (
                f"somebody still uses {row.token_id}, which was replaced, last"
                f" {minute(used_at)}: {fate}; restart a bot that reads it only when it starts"
            )
            yield Finding(Topic.OLD_TOKENS, result, message, settings.name)


def _exchanges(facts: ListFacts) -> Iterator[Finding]:
    """Recommend to end old tokens where bots exchange theirs, so far as that can be told.

    Where the rotator asks the API about a token, the last use may be its own.
    """
    rows = {row.token_id: row for row in facts.rows}
    for each in facts.tokens:
        minted_at, settings = each.snapshot.journal.minted_at, each.settings
        row = rows.get(each.snapshot.journal.token_id or "")
        if settings.retire is not None or settings.probe or each.is_probed:
            continue
        if minted_at and row and row.last_used_at and row.last_used_at > _moved_at(each, minted_at):
            message = (
                f"its bot exchanges it, last {minute(row.last_used_at)}, so the token that it"
                ' replaces can end when nobody uses it any more: retire = "unused 24h"'
            )
            yield Finding(Topic.OLD_TOKENS, Result.OK, message, settings.name)


def _moved_at(token: TokenFacts, minted_at: datetime) -> datetime:
    """Return from when on no use of an old token, and one of the new by a bot only, is usual."""
    return minted_at + token.settings.rotation_timeout + SLACK


def _orphans(facts: ListFacts) -> Iterator[Finding]:
    if facts.inventory is None:
        return
    if facts.inventory.unreachable:
        message = (
            "which tokens of the API are in no store is unknown while a store does not answer: run"
            " the doctor again when it does"
        )
        yield Finding(Topic.ORPHANS, Result.WARNING, message)
        return
    rows = list_rows(facts.rows, facts.inventory, facts.account, facts.now, facts.under_way)
    orphans = [row for row in rows if row.status is RowStatus.ORPHAN]
    own = [row.token_id for row in orphans if row.own]
    young = describe_young(rows)
    if used := sum(row.own and row.last_used_at is not None for row in orphans):
        message = (
            f"somebody has used {count_live(used)} of this admin that no store of the config holds,"
            " so the account seems to be shared: give the rotator an admin account of its own,"
            " whose unused tokens can only be left over from a mint of its own"
        )
        yield Finding(Topic.LOGIN, Result.WARNING, message)
    if others := len(orphans) - len(own):
        message = (
            f"{count_live(others)} of other admins in no store of the config, which is their affair"
        )
        yield Finding(Topic.ORPHANS, Result.OK, message)
    if own:
        ids = ", ".join(own[:_MOST_NAMED]) + (_MORE if len(own) > _MOST_NAMED else "")
        them = "it" if len(own) == 1 else "them"
        message = (
            f"{count_live(len(own))} of this admin in no store of the config: {ids}; if the account"
            f" is the rotator's own, revoke {them} (rotator tokens revoke ID); if others mint with"
            " it, give the rotator one of its own, as it would revoke what fits a mint of which it"
            " got no answer"
        )
        yield Finding(Topic.ORPHANS, Result.WARNING, message)
    elif young:
        message = f"{young}; no other is missing from the stores of the config"
        yield Finding(Topic.ORPHANS, Result.OK, message)
    else:
        message = "no live token of this admin is missing from the stores of the config"
        yield Finding(Topic.ORPHANS, Result.OK, message)


LIST_CHECKS: tuple[Check[ListFacts], ...] = (
    _list,
    _list_time,  # reconciliation compares it with the Date of answers
    _laggards,
    _exchanges,
    _listed_tokens,  # revoked, where it was not probed; or with a shorter life than it says
    _orphans,
)
