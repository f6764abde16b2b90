"""The policy of a token, as an audit asks for it: rules over what the API and the stores showed.

Each rule looks at the same facts and says whether it is kept. What cannot be told is not proven,
and so counts as little as what is broken.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from rotator.clock import ONE_DAY, in_words, minute
from rotator.config.settings import TokenSettings, Unused
from rotator.rotation.disuse import due_at
from rotator.rotation.listing import TokenRow
from rotator.rotation.model import StoreState
from rotator.rotation.observe import Snapshot
from rotator.rotation.policy import Status
from rotator.rotation.report import Report
from rotator.stores.journal import PendingRevocation

# Bots read the new token within minutes, or are restarted; and a revocation waits for the next run.
_PATIENCE = ONE_DAY
_BY_AGE = ("expiring", "last_day")


class RuleName(StrEnum):
    """What is asked of a token, as `--json` shows it."""

    RENEWED = "renewed"
    AGE = "age"
    END = "end"
    STORES = "stores"
    FINISHED = "finished"
    RETIRED = "retired"
    MOVED = "moved"


class RuleState(StrEnum):
    """Whether it is so, as `--json` shows it; an unset rule asks for nothing."""

    KEPT = "kept"
    BROKEN = "broken"
    UNKNOWN = "unknown"
    UNSET = "unset"


class RuleResult(NamedTuple):
    """A rule, whether it is kept, and a clause that says why."""

    rule: RuleName
    state: RuleState
    message: str


def worst_of(states: Collection[RuleState]) -> RuleState:
    """Return what several rules come to: kept, unless one is broken or unknown."""
    worst_first = (RuleState.BROKEN, RuleState.UNKNOWN)
    return next((state for state in worst_first if state in states), RuleState.KEPT)


class Audited(NamedTuple):
    """What an audit knows of one token; all times are aware UTC.

    `rows` are the API's list by token id, `report` is what `rotator check` says by the server's
    time `now`.
    """

    settings: TokenSettings
    snapshot: Snapshot
    report: Report
    rows: Mapping[str, TokenRow]
    now: datetime

    @property
    def row(self) -> TokenRow | None:
        """The current token in the API's list."""
        return self.rows.get(self.report.token_id or "")

    @property
    def made_at(self) -> datetime | None:
        """When the current token was made, by the API's list or the journal."""
        return self.row.created_at if self.row else self.snapshot.journal.minted_at

    @property
    def age(self) -> timedelta | None:
        return self.now - self.made_at if self.made_at else None

    @property
    def is_young(self) -> bool:
        """Whether it may have been minted after the list was read."""
        minted_at = self.snapshot.journal.minted_at
        return minted_at is not None and self.now - minted_at < self.settings.rotation_timeout

    @property
    def old(self) -> list[TokenRow]:
        """The tokens that the current one has replaced, and that are alive."""
        ids = self.snapshot.known_ids - {self.report.token_id}
        rows = (self.rows[token_id] for token_id in sorted(ids & self.rows.keys()))
        return [row for row in rows if row.left is None or row.left > timedelta()]

    def examine(self) -> list[RuleResult]:
        """Return the result of each rule, in the order of `RULES`."""
        return [RuleResult(name, *rule(self)) for name, rule in RULES]


_Answer = tuple[RuleState, str]


def _renewed(token: Audited) -> _Answer:
    report = token.report
    if report.status is Status.UNKNOWN:
        return RuleState.UNKNOWN, report.message
    if report.status in (Status.OK, Status.ETERNAL) or report.reason == "behind":
        if token.row is None and not token.is_young:
            return RuleState.BROKEN, "the API does not list the token, so it was revoked"
        return RuleState.KEPT, report.message
    left = timedelta(seconds=report.seconds_left or 0)
    if report.reason in _BY_AGE and left >= token.settings.renew_before / 2:
        return RuleState.KEPT, report.message  # the next runs renew it
    return RuleState.BROKEN, report.message


def _age(token: Audited) -> _Answer:
    most = token.settings.max_age
    if most is None:
        return RuleState.UNSET, "no max_age is configured"
    if token.age is None:
        return RuleState.UNKNOWN, "neither the API's list nor a journal knows when it was made"
    state = RuleState.KEPT if token.age <= most else RuleState.BROKEN
    return state, f"{in_words(token.age)} old, {in_words(most)} are allowed"


def _end(token: Audited) -> _Answer:
    current = token.snapshot.current
    if token.settings.allow_eternal:
        return RuleState.UNSET, "it may be one that never expires"
    if current is None:
        return RuleState.UNKNOWN, "no store shows a token"
    if current.expires_at is None:
        name = token.settings.name
        return RuleState.BROKEN, f"never expires; rotator mint {name} makes one that does"
    return RuleState.KEPT, "it expires"


def _stores(token: Audited) -> _Answer:
    stores = token.report.stores
    away = [each.store for each in stores if each.status is StoreState.UNREACHABLE]
    needy = [each.store for each in stores if each.status in (StoreState.BEHIND, StoreState.ABSENT)]
    if needy:
        return RuleState.BROKEN, f"{', '.join(needy)} lacks the current token"
    if away:
        return RuleState.UNKNOWN, f"{', '.join(away)} does not answer"
    return RuleState.KEPT, "every store shows the current token"


def _finished(token: Audited) -> _Answer:
    report, name = token.report, token.settings.name
    if not (report.unsettled or report.hooks_left):
        return RuleState.KEPT, "no run left anything undone"
    begun = max((each.begun_at for each in token.snapshot.intents), default=None)
    if begun and not report.hooks_left and token.now - begun < token.settings.rotation_timeout:
        return RuleState.UNKNOWN, (
            f"a mint is under way or was cut off at {minute(begun)}: look again in some minutes; if"
            f" it is still there, rotator rotate {name} settles it"
        )
    return RuleState.BROKEN, (
        f"an earlier run left something undone (mints or revocations: {report.unsettled},"
        f" hooks: {report.hooks_left}): rotator rotate {name} settles it"
    )


def _retired(token: Audited) -> _Answer:
    alive = {row.token_id: row for row in token.old}
    overdue = [
        pending.token_id
        for pending in token.snapshot.pending
        if (row := alive.get(pending.token_id)) and token.now - _end_of(pending, row) > _PATIENCE
    ]
    overdue += sorted(_kept_too_long(token) - set(overdue))
    if overdue:
        return RuleState.BROKEN, (
            f"alive, though their time is over: {', '.join(overdue)}; rotator rotate --revoke-old"
            f" {token.settings.name} revokes them"
        )
    count, bearers = len(alive), _describe_bearers(token)
    if not count:
        return RuleState.KEPT, f"no replaced token can be exchanged{bearers}"
    return RuleState.KEPT, f"{count} replaced and alive, no longer than retire says{bearers}"


def _describe_bearers(token: Audited) -> str:
    """Say how long revoked tokens work without an exchange, as far as the journal knows."""
    revoked = (
        token.snapshot.known_ids - {token.report.token_id} - {row.token_id for row in token.old}
    )
    if not revoked:
        return ""
    journal = token.snapshot.journal
    every = (*journal.replaced, *(journal.leak.tokens if journal.leak else ()))
    ends = {each.token_id: each.expires_at for each in every if each.token_id in revoked}
    known = [
        f"{token_id} {f'until {minute(end)}' if end else 'for ever'}"
        for token_id, end in sorted(ends.items())
        if end is None or end > token.now
    ]
    told = f": {', '.join(known)}" if known else ""
    return f"; as a direct bearer a revoked token works until its own end{told}"


def _end_of(pending: PendingRevocation, row: TokenRow) -> datetime:
    """Return when an old token is to be revoked, by its last use where that counts."""
    disuse = pending.disuse
    if disuse is None:
        return pending.due_at
    used_at = max(filter(None, (disuse.used_at, row.last_used_at)), default=None)
    return due_at(pending, disuse._replace(used_at=used_at))


def _kept_too_long(token: Audited) -> set[str]:
    """Return the replaced tokens that nobody revokes, though `retire` asks for it."""
    since = token.snapshot.journal.minted_at
    if since is None or token.settings.retire is None:
        return set()
    pending = {each.token_id for each in token.snapshot.pending}
    return {
        row.token_id
        for row in token.old
        if row.token_id not in pending
        and token.now - _usual_end(token.settings.retire, since, row.last_used_at) > _PATIENCE
    }


def _usual_end(
    retire: timedelta | Unused, since: datetime, last_used_at: datetime | None
) -> datetime:
    """Return when `retire` ends a token that was replaced at `since`."""
    if isinstance(retire, timedelta):
        return since + retire
    unused = max(since, last_used_at or since) + retire.quiet
    return unused if retire.at_most is None else min(unused, since + retire.at_most)


def _moved(token: Audited) -> _Answer:
    since = token.snapshot.journal.minted_at
    laggards = [
        f"{row.token_id}, last used {minute(row.last_used_at)}"
        for row in token.old
        if since and row.last_used_at and row.last_used_at - since > _PATIENCE
    ]
    if laggards:
        return RuleState.BROKEN, f"somebody still uses a replaced token: {'; '.join(laggards)}"
    return RuleState.KEPT, "nobody exchanges a replaced token"


RULES: tuple[tuple[RuleName, Callable[[Audited], _Answer]], ...] = (
    (RuleName.RENEWED, _renewed),
    (RuleName.AGE, _age),
    (RuleName.END, _end),
    (RuleName.STORES, _stores),
    (RuleName.FINISHED, _finished),
    (RuleName.RETIRED, _retired),
    (RuleName.MOVED, _moved),
)
