"""The checks: each is a pure function from facts, which `gather` collects, to findings."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from rotator.cli.doctor.findings import Check, Finding, Result, Topic
from rotator.clock import SLACK, describe_skew, in_words, minute
from rotator.config.settings import TokenSettings
from rotator.http.urls import is_readable_on_the_way, parse_http_url
from rotator.rotation.former_stores import Copy
from rotator.rotation.model import StoreReport, StoreState
from rotator.rotation.observe import Snapshot, Unreachable
from rotator.rotation.policy import Need, Status, Verdict, earlier
from rotator.rotation.rehearsal_leftovers import Cleared
from rotator.rotation.rehearsal_report import RehearsalReport
from rotator.rotation.severity import FEW, FOUR_A_DAY

OPEN_TO_ALL = "is readable by every user of this machine: chmod o-r it"
_AGAIN = "rotator rotate takes it up again"
_KEEP_LONGER = "let the store keep what is written for longer than validity"


class ApiFacts(NamedTuple):
    """How far we got with the API at `url`, None where none is configured.

    `silence` is why it did not answer, and `refusal` why we may not manage its tokens. `account` is
    the admin's user id. `skew` is how far this machine's clock is ahead, None where no answer had a
    time; beyond `tolerance` no new token is accepted.
    """

    url: str | None
    tolerance: timedelta
    silence: str | None = None
    refusal: str | None = None
    account: str | None = None
    skew: timedelta | None = None

    @property
    def answers(self) -> bool:
        return self.url is not None and self.silence is None

    def server_time(self, now: datetime) -> datetime:
        """Return the server's time, as far as it is known, by this machine's `now`."""
        return now - (self.skew or timedelta())


class TokenFacts(NamedTuple):
    """One token at `now`, the server's time; `verdict` is about its current token.

    `is_probed` tells whether the API was asked if it accepts that, `no_answer` why it did not say.
    `write_faults` says by URL why a store cannot be written, `foreign_folders` which folder on the
    way to a file belongs to another user, with that user's id, if this is root. `open_files` are
    the URLs of files that every user may read. `broken_hooks`
    names the hooks that could not be started. `restarts` says by workload what prevents its
    restart. `failed_hooks` names the hooks, restarts and notices of the settings that have not
    worked since the last rotation. `owners` says by URL what keeps the secret of a store as it
    wants it. `mirrors` is what is known of them. `copies` are tokens in stores that journals name,
    and the config does not. `cleared` is what became of what a killed rehearsal left, and
    `rehearsed` what a rehearsal came to, if one was wanted.
    """

    settings: TokenSettings
    now: datetime
    snapshot: Snapshot
    verdict: Verdict
    is_probed: bool
    no_answer: str | None
    write_faults: Mapping[str, str | None]
    foreign_folders: Mapping[str, tuple[str, int]]
    open_files: Collection[str]
    broken_hooks: Sequence[str]
    restarts: Mapping[str, str | None]
    failed_hooks: Sequence[str]
    owners: Mapping[str, str | None]
    cleared: Cleared
    mirrors: Sequence[StoreReport] = ()
    copies: Sequence[Copy] = ()
    rehearsed: RehearsalReport | None = None


def _api(facts: ApiFacts) -> Iterator[Finding]:
    url = parse_http_url(facts.url or "")
    if url is None:
        return
    if facts.silence:
        yield Finding(Topic.API, Result.PROBLEM, f"{facts.silence} ({facts.url})")
    elif is_readable_on_the_way(url):
        message = f"{facts.url} shows the admin's password to the network: use https"
        yield Finding(Topic.API, Result.WARNING, message)
    else:
        yield Finding(Topic.API, Result.OK, f"{facts.url} answers")


def _login(facts: ApiFacts) -> Iterator[Finding]:
    if facts.refusal:
        yield Finding(Topic.LOGIN, Result.PROBLEM, facts.refusal)
    elif facts.account:
        yield Finding(Topic.LOGIN, Result.OK, "the admin can log in and manage service tokens")


def _clock(facts: ApiFacts) -> Iterator[Finding]:
    if not facts.answers:
        return
    if facts.skew is None:
        message = (
            "the API's answers have no usable Date, so the rotator goes by this machine's clock:"
            " let the API, or the proxy before it, send one"
        )
        yield Finding(Topic.CLOCK, Result.WARNING, message)
    elif wrong := describe_skew(facts.skew, SLACK):
        if abs(facts.skew) > facts.tolerance - timedelta(seconds=1):
            message = f"{wrong}, or no new token will be accepted"
            yield Finding(Topic.CLOCK, Result.PROBLEM, message)
        else:
            message = f"{wrong}, as it decides when a token is due or expired"
            yield Finding(Topic.CLOCK, Result.WARNING, message)
    else:
        yield Finding(Topic.CLOCK, Result.OK, "this machine's clock agrees with the API's")


API_CHECKS: tuple[Check[ApiFacts], ...] = (
    _api,  # name, connection, TLS
    _login,  # e-mail, password, an admin's rights
    _clock,
)


def _margin(facts: TokenFacts) -> Iterator[Finding]:
    margin = facts.settings.renew_before
    attempts = FOUR_A_DAY.attempts(margin)
    if attempts < FEW:
        message = (
            f"renew_before is {in_words(margin)}, which leaves {attempts or 'no'}"
            f" attempt{'' if attempts == 1 else 's'} {FOUR_A_DAY.text}: raise it, or run more often"
        )
        yield Finding(Topic.SETTINGS, Result.WARNING, message)


def _mirrors(facts: TokenFacts) -> Iterator[Finding]:
    for mirror in facts.mirrors:
        message, result = mirror.message or "it shows the current token", Result.OK
        if mirror.status is StoreState.UNREACHABLE:
            result = Result.PROBLEM
        elif mirror.status is not StoreState.CURRENT:
            result = Result.WARNING
        shown = message if message.startswith(mirror.store) else f"{mirror.store}: {message}"
        yield Finding(Topic.MIRROR, result, shown, store=mirror.store)


def _hooks(facts: TokenFacts) -> Iterator[Finding]:
    for name in facts.broken_hooks:
        message = f"{name} was not found, or is not executable: install it or correct the hook"
        yield Finding(Topic.HOOKS, Result.PROBLEM, message)
    if facts.settings.hooks and not facts.broken_hooks:
        yield Finding(Topic.HOOKS, Result.OK, "the programs of its hooks are there")


def _restarts(facts: TokenFacts) -> Iterator[Finding]:
    for workload, fault in facts.restarts.items():
        result = Result.PROBLEM if fault else Result.OK
        yield Finding(Topic.RESTARTS, result, fault or f"{workload} can be restarted")


def _stores(facts: TokenFacts) -> Iterator[Finding]:
    for answer in facts.snapshot.answers:
        url = answer.store.url
        unreachable = str(answer.error) if isinstance(answer, Unreachable) else None
        fault = unreachable or facts.write_faults.get(url)
        result = Result.PROBLEM if fault else Result.OK
        message = fault or f"{url} can be read and written"
        yield Finding(Topic.STORE, result, message, store=url)
        if url in facts.foreign_folders:
            folder, owner = facts.foreign_folders[url]
            message = (
                f"{url}: this is root, and user {owner} owns {folder!r} and could lead a"
                " write to any file: run the rotator as that user"
            )
            yield Finding(Topic.STORE, Result.WARNING, message, store=url)
        if url in facts.open_files:
            message = f"{url} {OPEN_TO_ALL}"
            yield Finding(Topic.STORE, Result.WARNING, message, store=url)


def _owners(facts: TokenFacts) -> Iterator[Finding]:
    """Tell of secrets that somebody else keeps as they are, before that undoes a rotation."""
    put_back = {each.store.url for each in facts.snapshot.put_back}  # told with the token
    for url, owner in facts.owners.items():
        if owner and url not in put_back:
            message = (
                f"{url}: {owner} owns this secret, and may put the old token back after a rotation:"
                " let it leave this key alone, or use a secret of your own"
            )
            yield Finding(Topic.STORE, Result.WARNING, message, store=url)
    if (since := facts.snapshot.journal.put_back_at) and not put_back:
        message = (
            f"an old token was put back {minute(since)}, and replaced since: find what did so, and"
            " let it leave this value alone"
        )
        yield Finding(Topic.JOURNAL, Result.WARNING, message)


def _contents(facts: TokenFacts) -> Iterator[Finding]:
    for behind in facts.snapshot.lacking:
        if behind.is_put_back:  # told with the token
            continue
        url, result = behind.store.url, Result.WARNING
        if behind.fault:
            content = str(behind.fault)
            result = Result.WARNING if facts.snapshot.current else Result.PROBLEM
        else:
            content = "another token than the current one" if behind.token else "no token yet"
        message = f"{url}: {content}; rotator rotate repairs it"
        yield Finding(Topic.STORE, result, message, store=url)


def _copies(facts: TokenFacts) -> Iterator[Finding]:
    for url, token in facts.copies:
        message = (
            f"{url} is not in the config any more, and still holds the token {token.name}, which"
            " nobody renews there: delete it once no bot reads it, or add the store to stores again"
        )
        yield Finding(Topic.STORE, Result.WARNING, message, store=url)


def _token(facts: TokenFacts) -> Iterator[Finding]:
    if facts.snapshot.current is None:
        return
    verdict = facts.verdict
    if verdict.reason == "put_back":
        is_mild = verdict.status is Status.DUE and verdict.need is not Need.HELP
        result = Result.WARNING if is_mild else Result.PROBLEM
        yield Finding(Topic.TOKEN, result, verdict.message)
        return
    descriptions = {
        "refused": "is not accepted by the API (revoked, or signed with another key)",
        "scope": "has another scope than configured",
    }
    description = descriptions.get(verdict.reason, verdict.message)
    message = f"token {facts.snapshot.current.name} {description}"
    if verdict.status not in (Status.OK, Status.ETERNAL):
        if verdict.need is Need.MINT:
            message = f"{message}: rotator rotate renews it"
            if _ends_in_store(facts.snapshot):
                message = f"{message}; {_KEEP_LONGER}"
            elif verdict.reason in ("expiring", "last_day"):
                message = f"{message}; is it run often enough?"
        result = Result.WARNING if verdict.status is Status.DUE else Result.PROBLEM
        yield Finding(Topic.TOKEN, result, message)
    elif _ends_in_store(facts.snapshot):
        yield Finding(Topic.TOKEN, Result.WARNING, f"{message}: {_KEEP_LONGER}")
    elif facts.no_answer:
        message = f"{message}; it is not known whether the API accepts it: {facts.no_answer}"
        yield Finding(Topic.TOKEN, Result.WARNING, message)
    else:
        accepted = "; the API accepts it" if facts.is_probed else ""
        yield Finding(Topic.TOKEN, Result.OK, f"{message}{accepted}")


def _ends_in_store(snapshot: Snapshot) -> bool:
    """Tell whether a store deletes the current token before it expires."""
    current, end = snapshot.current, snapshot.ends_at(snapshot.current)
    return current is not None and earlier(current.expires_at, end) != current.expires_at


def _mints(facts: TokenFacts) -> Iterator[Finding]:
    for intent in dict.fromkeys(facts.snapshot.intents):
        begun = minute(intent.begun_at)
        end = intent.begun_at + facts.settings.rotation_timeout + SLACK
        if intent.begun_at - SLACK <= facts.now <= end:
            message = f"a rotation that began {begun} may still be under way: look again later"
        else:
            message = f"a mint that began {begun} was cut off: {_AGAIN}"
        yield Finding(Topic.JOURNAL, Result.WARNING, message)


def _overdue_revocations(facts: TokenFacts) -> Iterator[Finding]:
    for pending in facts.snapshot.pending:
        if pending.due_at < facts.now:
            message = (
                f"the old token {pending.token_id} was to be revoked from"
                f" {minute(pending.due_at)} on: rotator rotate does it, or says what prevents it"
            )
            yield Finding(Topic.JOURNAL, Result.WARNING, message)


def _failed_hooks(facts: TokenFacts) -> Iterator[Finding]:
    since = "not worked since the last rotation"
    for name in facts.failed_hooks:
        yield Finding(Topic.JOURNAL, Result.WARNING, f"{name} has {since}: {_AGAIN}")
    if count := len(facts.snapshot.hooks) - len(facts.failed_hooks):
        what = "1 hook, restart or notice" if count == 1 else f"{count} hooks, restarts or notices"
        message = (
            f"{what} that the settings no longer have {'has' if count == 1 else 'have'} {since}:"
            " rotator rotate runs all that they have now"
        )
        yield Finding(Topic.JOURNAL, Result.WARNING, message)


def _rehearsals(facts: TokenFacts) -> Iterator[Finding]:
    for remark in facts.cleared.remarks:
        yield Finding(Topic.REHEARSAL, Result.OK, remark)
    for note in facts.cleared.noted:
        yield Finding(Topic.REHEARSAL, Result.WARNING, str(note))
    for trouble in facts.cleared.troubles:
        yield Finding(Topic.REHEARSAL, Result.WARNING, trouble)
    if report := facts.rehearsed:
        result = Result.PROBLEM if report.error else Result.OK
        yield Finding(Topic.REHEARSAL, result, report.error or report.summary)


TOKEN_CHECKS: tuple[Check[TokenFacts], ...] = (
    _margin,  # time for a failure to be noticed and repaired
    _hooks,
    _restarts,  # the right to, and workloads that follow
    _stores,  # reachable, with the rights to write
    _owners,  # other writers
    _contents,  # each store holds the current token
    _copies,  # and none that the token was moved from holds one
    _mirrors,  # and each mirror, as far as it tells
    _token,  # and the API accepts it
    _mints,  # what runs left behind that died or failed
    _overdue_revocations,
    _failed_hooks,
    _rehearsals,
)
