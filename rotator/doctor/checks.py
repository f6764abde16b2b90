"""Checks about the API: it answers, lets us in, and has the same time."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

from rotator import wiring
from rotator.clock import ONE_DAY, Clock, in_words, minute
from rotator.config.settings import Settings, TokenSettings
from rotator.doctor.findings import Check, Finding, Result, Topic, findings
from rotator.doctor.gather import Contact, Examined, Examiner, Listing, Wired, ask_list, reach, wire
from rotator.errors import internal_error, quote_value
from rotator.rotation.inventory import (
    SLACK,
    Inventory,
    RowStatus,
    ends_at,
    list_rows,
    longest_rotation,
    map_in_threads,
)
from rotator.rotation.model import MintRequest
from rotator.rotation.observe import Observation, Unreachable
from rotator.rotation.policy import Need, Status, Verdict
from rotator.rotation.severity import DAILY, FEW
from rotator.stores.port import SecretStore
from rotator.urls import is_loopback

_SECOND = timedelta(seconds=1)


class ApiFacts(NamedTuple):
    """What was seen of the API; a new token's expiry may be off by `tolerance` at most."""

    contact: Contact
    tolerance: timedelta


def _api(facts: ApiFacts) -> Iterator[Finding]:
    url = facts.contact.url
    if url is None:
        return
    if facts.contact.silence:
        yield Finding(Topic.API, Result.PROBLEM, f"{facts.contact.silence} ({url})")
        return
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        message = f"{url} shows the admin's password to the network: use https"
        yield Finding(Topic.API, Result.WARNING, message)
    else:
        yield Finding(Topic.API, Result.OK, f"{url} answers")


def _login(facts: ApiFacts) -> Iterator[Finding]:
    if facts.contact.refusal:
        yield Finding(Topic.LOGIN, Result.PROBLEM, facts.contact.refusal)
    elif facts.contact.account:
        yield Finding(Topic.LOGIN, Result.OK, "the API lets the admin in")


def _clock(facts: ApiFacts) -> Iterator[Finding]:
    skew = facts.contact.skew
    if not facts.contact.answers:
        return
    if skew is None:
        message = (
            "the API's answers have no usable Date, so this machine's clock counts in its place:"
            " let the API, or the proxy before it, send one"
        )
        yield Finding(Topic.CLOCK, Result.WARNING, message)
    elif abs(skew) < SLACK:
        yield Finding(Topic.CLOCK, Result.OK, "this machine's clock agrees with the API's")
    else:
        side = "ahead of" if skew > timedelta() else "behind"
        off = f"this machine's clock is {in_words(skew)} {side} the API's"
        if abs(skew) > facts.tolerance - _SECOND:
            message = f"{off}: set it right, or no new token will be accepted"
            yield Finding(Topic.CLOCK, Result.PROBLEM, message)
        else:
            message = f"{off}: set it right, as it tells when a token is due or over"
            yield Finding(Topic.CLOCK, Result.WARNING, message)


API_CHECKS: tuple[Check[ApiFacts], ...] = (
    _api,  # name, connection, TLS
    _login,  # e-mail, password, an admin's rights
    _clock,
)


_MOST_NAMED = 5


class ListFacts(NamedTuple):
    """The list, and all that was seen before it was asked for, from `begun` on (server's time).

    `inventory` is None where only some tokens were looked at, so that nobody can tell orphans.
    `account` is the admin's user id, and `under_way` how long a token may take to its store.
    """

    listing: Listing
    begun: datetime
    account: str
    seen: Sequence[Examined]
    inventory: Inventory | None
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
    if facts.inventory is None or facts.listing.trouble:
        return
    if facts.inventory.unreachable:
        message = (
            "while a store does not answer, nobody can tell which tokens of the API are in no"
            " store: look again when it does"
        )
        yield Finding(Topic.ORPHANS, Result.WARNING, message)
        return
    listing = facts.listing
    found = list_rows(listing.rows, facts.inventory, facts.account, listing.now, facts.under_way)
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


_AGAIN = "rotator rotate takes it up again"


class TokenFacts(NamedTuple):
    """What was seen of one token; `now` is the server's time as far as it is known."""

    seen: Examined
    now: datetime


def _margin(facts: TokenFacts) -> Iterator[Finding]:
    left = facts.seen.token.renew_before
    attempts = DAILY.attempts(left)
    if attempts < FEW:
        message = (
            f"renew_before is {in_words(left)}, which leaves {attempts or 'no'}"
            f" attempt{'' if attempts == 1 else 's'} {DAILY.text}: raise it, or run more often"
        )
        yield _of(facts, Topic.SETTINGS, Result.WARNING, message)


def _hooks(facts: TokenFacts) -> Iterator[Finding]:
    hooks = facts.seen.token.hooks
    for number in facts.seen.broken_hooks:
        message = (
            f"hook {number} ({quote_value(hooks[number - 1][0])}) was not found, or may not be"
            " executed: install it or correct the hook"
        )
        yield _of(facts, Topic.HOOKS, Result.PROBLEM, message)
    if hooks and not facts.seen.broken_hooks:
        yield _of(facts, Topic.HOOKS, Result.OK, "the programs of its hooks are there")


def _restarts(facts: TokenFacts) -> Iterator[Finding]:
    for workload, fault in facts.seen.restarts.items():
        if fault:
            yield _of(facts, Topic.RESTARTS, Result.PROBLEM, fault)
        else:
            yield _of(facts, Topic.RESTARTS, Result.OK, f"{workload} can be restarted")


def _stores(facts: TokenFacts) -> Iterator[Finding]:
    for answer in facts.seen.seen.answers:
        url = answer.store.url
        if isinstance(answer, Unreachable):
            yield _of(facts, Topic.STORE, Result.PROBLEM, str(answer.error), url)
        elif fault := facts.seen.unwritable.get(url):
            yield _of(facts, Topic.STORE, Result.PROBLEM, fault, url)
        else:
            message = f"{url} can be read and written"
            yield _of(facts, Topic.STORE, Result.OK, message, url)


def _contents(facts: TokenFacts) -> Iterator[Finding]:
    seen = facts.seen.seen
    for reading in seen.behind:
        url = reading.store.url
        message = f"{url}: {_content(reading)}; rotator rotate mends it"
        lost = reading.fault is not None and seen.current is None
        yield _of(facts, Topic.STORE, Result.PROBLEM if lost else Result.WARNING, message, url)


def _content(reading: Observation) -> str:
    if reading.fault:
        return str(reading.fault)
    return "another token than the current one" if reading.token else "there is no token yet"


def _token(facts: TokenFacts) -> Iterator[Finding]:
    current, verdict = facts.seen.seen.current, facts.seen.verdict
    if current is None:
        return
    message = f"token {current.name} {_told(facts)}"
    match verdict.status:
        case Status.OK | Status.ETERNAL if facts.seen.untold:
            told = f"{message}; whether the API accepts it is not known: {facts.seen.untold}"
            yield _of(facts, Topic.TOKEN, Result.WARNING, told)
        case Status.OK | Status.ETERNAL:
            told = f"{message}; the API accepts it" if facts.seen.probed else message
            yield _of(facts, Topic.TOKEN, Result.OK, told)
        case Status.DUE:
            yield _of(facts, Topic.TOKEN, Result.WARNING, f"{message}{_cure(verdict)}")
        case _:
            yield _of(facts, Topic.TOKEN, Result.PROBLEM, f"{message}{_cure(verdict)}")


def _told(facts: TokenFacts) -> str:
    verdict = facts.seen.verdict
    match verdict.reason:
        case "refused":
            return "is not accepted by the API (revoked, or signed with another key)"
        case "scope":
            return "has another scope than configured"
        case _:
            return verdict.message


def _cure(verdict: Verdict) -> str:
    if verdict.need is not Need.MINT:
        return ""
    often = "; is it run often enough?" if verdict.reason in ("expiring", "last_day") else ""
    return f": rotator rotate renews it{often}"


def _mints(facts: TokenFacts) -> Iterator[Finding]:
    for intent in dict.fromkeys(facts.seen.seen.intents):
        begun = minute(intent.begun_at)
        end = intent.begun_at + facts.seen.token.rotation_timeout + SLACK
        if intent.begun_at - SLACK <= facts.now <= end:
            message = f"a rotation that began {begun} may still be under way: look again later"
        else:
            message = f"a mint that began {begun} was cut off: {_AGAIN}"
        yield _of(facts, Topic.JOURNAL, Result.WARNING, message)


def _owed(facts: TokenFacts) -> Iterator[Finding]:
    for pending in facts.seen.seen.pending:
        if pending.due_at < facts.now:
            since = minute(pending.due_at)
            message = (
                f"the old token {pending.token_id} was to be revoked from {since} on: rotator"
                " rotate does it, or tells what is in the way"
            )
            yield _of(facts, Topic.JOURNAL, Result.WARNING, message)


def _failed_hooks(facts: TokenFacts) -> Iterator[Finding]:
    since = "not worked since the last rotation"
    for name in facts.seen.undone:
        message = f"{name} has {since}: {_AGAIN}"
        yield _of(facts, Topic.JOURNAL, Result.WARNING, message)
    if count := len(facts.seen.seen.hooks) - len(facts.seen.undone):
        what = "1 hook, restart or notice" if count == 1 else f"{count} hooks, restarts or notices"
        message = (
            f"{what} that the settings no longer have {'has' if count == 1 else 'have'} {since}:"
            " rotator rotate runs all that they have now"
        )
        yield _of(facts, Topic.JOURNAL, Result.WARNING, message)


def _of(
    facts: TokenFacts, topic: Topic, result: Result, message: str, store: str | None = None
) -> Finding:
    return Finding(topic, result, message, facts.seen.token.name, store)


TOKEN_CHECKS: tuple[Check[TokenFacts], ...] = (
    _margin,  # time for a failure to be noticed and mended
    _hooks,
    _restarts,  # the right to, and workloads that follow
    _stores,  # reachable, with the rights to write
    _contents,  # each store holds the current token
    _token,  # and the API accepts it
    _mints,  # left-overs of runs that died or failed
    _owed,
    _failed_hooks,
)


def examine(
    settings: Settings, names: Sequence[str], clock: Clock, environ: Mapping[str, str]
) -> list[Finding]:
    """Look at everything that a rotation of these tokens needs, and change nothing.

    Raises `ConfigError` for an unknown name, or when no token is configured.
    """
    wired = wire(settings, names)
    api = wiring.lazy_api(settings.api, clock)
    met = reach(settings.api.url, api, clock, may_log_in=wired.may_log_in)
    begun = met.server_time(clock())
    examiner = Examiner(api, met.answers, clock, environ)

    def look(each: tuple[TokenSettings, list[SecretStore]]) -> Examined | Finding:
        try:
            return examiner.look(*each)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other tokens have their turn
            message = internal_error(error)
            return Finding(Topic.INTERNAL, Result.PROBLEM, message, each[0].name)

    looks = map_in_threads(look, wired.tokens)
    seen = [each for each in looks if isinstance(each, Examined)]
    found = [*_settings(wired), *findings(API_CHECKS, ApiFacts(met, _tolerance(settings)))]
    for each in looks:
        if isinstance(each, Finding):
            found.append(each)
            continue
        of_one = TokenFacts(each, met.server_time(clock()))
        found += findings(TOKEN_CHECKS, of_one, each.token.name)
    if met.account:
        complete = not names and len(seen) == len(settings.tokens)
        inventory = Inventory(tuple((e.token.name, a) for e in seen for a in e.seen.answers))
        of_all = ListFacts(
            ask_list(api),
            begun,
            met.account,
            seen,
            inventory if complete else None,
            longest_rotation(settings),
        )
        found += findings(LIST_CHECKS, of_all)
    return found


def _settings(wired: Wired) -> Iterator[Finding]:
    for mistake in wired.wrong:
        yield Finding(Topic.SETTINGS, Result.PROBLEM, mistake)
    for doubt in wired.doubtful:
        yield Finding(Topic.SETTINGS, Result.WARNING, doubt)
    if not wired.wrong:
        yield Finding(Topic.SETTINGS, Result.OK, "the settings are complete")


def _tolerance(settings: Settings) -> timedelta:
    """Return how far a clock may be off before the new token of some setting looks wrong."""
    wishes = (MintRequest(token.validity, "", token.renew_before) for token in settings.tokens)
    return min((wish.tolerance for wish in wishes), default=ONE_DAY)
