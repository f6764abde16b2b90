"""Checks about one token: its settings, its stores, and what an earlier run left beside it."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from rotator.clock import in_words, minute
from rotator.config.section import shown
from rotator.doctor.examined import Examined
from rotator.doctor.findings import Check, Finding, Result, Topic
from rotator.rotation.observe import Reading, Silence
from rotator.rotation.policy import Need, Status, Verdict
from rotator.rotation.reconcile import SLACK
from rotator.rotation.severity import DAILY, FEW

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
            f"hook {number} ({shown(hooks[number - 1][0])}) was not found, or may not be executed:"
            " install it or correct the hook"
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
        if isinstance(answer, Silence):
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


def _content(reading: Reading) -> str:
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
    for owed in facts.seen.seen.owed:
        if owed.due_at < facts.now:
            message = (
                f"the old token {owed.token_id} was to be revoked from {minute(owed.due_at)} on:"
                " rotator rotate does it, or tells what is in the way"
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
