"""What is shown of a fleet and of each token in it: pure arithmetic over their states.

The page renders it, `GET /api/v1/status` and `rotator status --json` print it as one object.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from rotator.clock import in_words, minute, rfc3339, rfc3339_or_none
from rotator.config.settings import TokenSettings
from rotator.rotation.model import OldTokenState, StoreReport, StoreState
from rotator.rotation.policy import Status
from rotator.rotation.report import Report
from rotator.rotation.severity import Severity
from rotator.rotation.states import HistoryEntry, TokenState

# A look this late is overdue: it neither waits for a free thread nor is still in hand.
LATE = timedelta(minutes=5)
_ZERO = timedelta()
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_HELD = (StoreState.CURRENT, StoreState.WRITTEN)
_FINE = (Status.OK, Status.ETERNAL)
_RENEWED = (Status.DUE, Status.EXPIRED, Status.MISSING, Status.INVALID, Status.REFUSED)
_NO_EXPIRY: dict[Status, str] = {
    Status.ETERNAL: "never expires",
    Status.MISSING: "no token",
    Status.INVALID: "no token",
}


class Tone(StrEnum):
    """How bad a state is, the worst first; each has a colour and a sign."""

    BAD = "bad"
    WARN = "warn"
    IDLE = "idle"
    GOOD = "good"


class Bar(NamedTuple):
    """The remaining life, and the life below which a token is renewed, as shares of the bar."""

    life: float
    boundary: float


class NextStep(StrEnum):
    """What a run does next with a token, or time does, as the JSON shows it."""

    LOOK = "look"
    SETTLEMENT = "settlement"
    COPY = "copy"
    RENEWAL = "renewal"
    HOOKS = "hooks"
    REVOCATION = "revocation"
    EXPIRY = "expiry"


class PlannedStep(NamedTuple):
    """A step and its time (aware UTC), None with the next run; `token_id` is a token to revoke."""

    step: NextStep
    at: datetime | None = None
    token_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {**self._asdict(), "at": rfc3339_or_none(self.at)}


@dataclass(frozen=True, slots=True)
class StatusRow:
    """One token as it is shown at `now`; `state` is None before its first look."""

    name: str
    state: TokenState | None
    settings: TokenSettings
    now: datetime

    @property
    def report(self) -> Report | None:
        return self.state.last.report if self.state else None

    @property
    def badge(self) -> tuple[str, Tone]:
        """The token's state in a word, and how bad it is."""
        if self.state is None:
            return "waiting", Tone.IDLE
        report, next_at = self.state.last.report, self.state.last.next_at
        if report.error:
            return "failing", Tone.WARN if report.level == Severity.WARNING else Tone.BAD
        if report.status not in _FINE:
            is_mild = report.status in (Status.DUE, Status.UNKNOWN)
            return report.status, Tone.WARN if is_mild else Tone.BAD
        if self.describe_debts():
            return "unfinished", Tone.WARN
        if next_at and self.now - next_at > LATE:
            return "overdue", Tone.WARN
        return report.status, Tone.GOOD

    @property
    def complaint(self) -> str | None:
        """What is wrong in a sentence, None where all is well."""
        if self.report is None or self.badge[1] is Tone.GOOD:
            return None
        debts = self.describe_debts()
        is_fine = self.report.status in _FINE and debts
        parts = debts if is_fine else [self.report.message, *debts]
        return self.report.error or "; ".join(parts)

    @property
    def stores_in_need(self) -> list[StoreReport]:
        """The stores that do not show the current token, as far as is known."""
        reports = self.report.stores if self.report else ()
        return [store for store in reports if store.status not in _HELD]

    @property
    def last_failure(self) -> HistoryEntry | None:
        """The last look that failed, as far back as the history goes."""
        history = self.state.history if self.state else ()
        return next((entry for entry in history if entry.error), None)

    @property
    def left(self) -> timedelta | None:
        """The remaining life, negative after the expiry; None without a known expiry."""
        expires_at = self.report.expires_at if self.report else None
        return expires_at - self.now if expires_at else None

    @property
    def renews_at(self) -> datetime | None:
        """When the token becomes due; None without a known expiry."""
        if not self.report or not self.report.expires_at:
            return None
        # A forged expiry may be in the year 1, and there is no time before that.
        renew_before = self.settings.renew_before
        return max(self.report.expires_at, _EARLIEST + renew_before) - renew_before

    @property
    def bar(self) -> Bar:
        """The remaining life as a share of `validity`."""
        if self.left is None:
            eternal = self.report is not None and self.report.status is Status.ETERNAL
            return Bar(1.0 if eternal else 0.0, 0.0)
        # A token that was minted by hand may live longer than `validity`.
        whole = max(self.settings.validity, self.left)
        return Bar(max(self.left, _ZERO) / whole, min(self.settings.renew_before / whole, 1.0))

    def plan(self) -> list[PlannedStep]:
        """Return what comes next, in its order; what a person has to do is in the message."""
        report = self.report
        if report is None or self.state is None:
            return [PlannedStep(NextStep.LOOK)]
        steps = []
        if report.unsettled:
            steps.append(PlannedStep(NextStep.SETTLEMENT))
        if report.reason == "behind":
            steps.append(PlannedStep(NextStep.COPY))
        elif report.status in _RENEWED and report.reason != "put_back":
            steps.append(PlannedStep(NextStep.RENEWAL))
        if report.hooks_left:
            steps.append(PlannedStep(NextStep.HOOKS))
        dated = [
            PlannedStep(NextStep.REVOCATION, old.due_at, old.token_id)
            for old in report.old_tokens
            if old.is_pending
        ]
        if self.state.last.next_at:
            dated.append(PlannedStep(NextStep.LOOK, self.state.last.next_at))
        if report.status in (Status.OK, Status.DUE) and self.renews_at and self.left:
            if self.renews_at > self.now:
                dated.append(PlannedStep(NextStep.RENEWAL, self.renews_at))
            dated.append(PlannedStep(NextStep.EXPIRY, report.expires_at))
        return [*steps, *sorted(dated, key=lambda step: step.at or self.now)]

    def to_json(self) -> dict[str, Any]:
        """Return the token's object, with stable keys (docs/daemon.md)."""
        state = self.state
        report = self.report or Report(self.name, Status.UNKNOWN, "waiting", "not looked at yet")
        left = self.left.total_seconds() if self.left is not None else None
        word, tone = self.badge
        last, failure = state.last if state else None, self.last_failure
        return {
            **report._replace(seconds_left=left).to_json(),
            "state": word,
            "tone": tone,
            "life": round(self.bar.life, 4),
            "boundary": round(self.bar.boundary, 4),
            "renews_at": rfc3339_or_none(self.renews_at),
            "looked_at": rfc3339_or_none(last.ended_at if last else None),
            "next_look_at": rfc3339_or_none(last.next_at if last else None),
            "succeeded_at": rfc3339_or_none(state.succeeded_at if state else None),
            "rotated_at": rfc3339_or_none(state.rotated_at if state else None),
            "rotations": dict(state.rotations) if state else {},
            "failures": dict(state.failures) if state else {},
            "last_failure": failure.to_json() if failure else None,
            "history": [entry.to_json() for entry in state.history] if state else [],
            "next": [step.to_json() for step in self.plan()],
        }

    def describe_life(self) -> str:
        if self.left is None:
            return _NO_EXPIRY.get(self.report.status, "not known") if self.report else "not known"
        words = in_words(self.left)
        return f"{words} left" if self.left > _ZERO else f"expired {words} ago"

    def describe_debts(self) -> list[str]:
        """Tell what an earlier run left to do that should be done by now."""
        report, debts = self.report, []
        if report is None:
            return []
        failed = sum(old.state is OldTokenState.FAILED for old in report.old_tokens)
        if count := report.unsettled - failed:
            debts.append(f"{_count(count, 'mint')} not settled: run rotator rotate {self.name}")
        if count := report.hooks_left:
            debts.append(f"{_count(count, 'hook')} to be repeated")
        debts += [
            f"the old token {old.token_id} was to be revoked from {minute(old.due_at)} on"
            for old in report.old_tokens
            if old.state is OldTokenState.WAITING and self.now - old.due_at > LATE
        ]
        return debts

    def describe_laggards(self) -> list[str]:
        """Tell which old tokens somebody still uses."""
        return [
            f"the old token {old.token_id} is still in use, last"
            f" {describe_moment(old.last_used_at or self.now, self.now)}"
            for old in (self.report.old_tokens if self.report else ())
            if old.is_in_use
        ]

    def describe_next_look(self) -> str:
        next_at = self.state.last.next_at if self.state else self.now
        if next_at is None:
            return "none is planned"
        late = self.now - next_at
        if late > LATE:
            return f"overdue for {in_words(late)}"
        return "now" if late >= _ZERO else describe_moment(next_at, self.now)

    def urgency(self) -> tuple[int, timedelta, str]:
        """Return a key that sorts the most urgent tokens to the top."""
        _, tone = self.badge
        # Without an expiry: eternal where all is well, else no token at all.
        no_expiry = timedelta.max if tone is Tone.GOOD else timedelta.min
        return list(Tone).index(tone), no_expiry if self.left is None else self.left, self.name


class FleetStatus(NamedTuple):
    """A fleet at `now`, the most urgent token first.

    `phase` is that of the daemon which looked at it, None where a command did; `reload_error` says
    why the daemon could not read its settings again.
    """

    rows: list[StatusRow]
    now: datetime
    phase: str | None = None
    reload_error: str | None = None

    @property
    def needy(self) -> list[StatusRow]:
        """The tokens that need attention."""
        return [row for row in self.rows if row.badge[1] in (Tone.BAD, Tone.WARN)]

    @property
    def is_well(self) -> bool:
        """Whether nothing needs attention, nor the daemon's settings."""
        return not self.needy and self.reload_error is None

    def to_json(self, rows: list[StatusRow] | None = None) -> dict[str, Any]:
        """Return the one object, with stable keys (docs/daemon.md); without `rows`, of all."""
        return {
            "as_of": rfc3339(self.now),
            "source": "daemon" if self.phase else "stores",
            "phase": self.phase,
            "reload_error": self.reload_error,
            "counts": {word: count for word, (_, count) in count_badges(self.rows).items()},
            "tokens": [row.to_json() for row in (self.rows if rows is None else rows)],
        }


def _count(count: int, thing: str) -> str:
    return f"1 {thing} is" if count == 1 else f"{count} {thing}s are"


def build_rows(
    states: Mapping[str, TokenState | None], tokens: Iterable[TokenSettings], now: datetime
) -> list[StatusRow]:
    """Return a row for each watched token, the most urgent first; `tokens` are the settings."""
    by_name = {token.name: token for token in tokens}
    rows = [
        StatusRow(name, state, by_name.get(name) or TokenSettings(name, "", ()), now)
        for name, state in states.items()
    ]
    return sorted(rows, key=StatusRow.urgency)


def count_badges(rows: list[StatusRow]) -> dict[str, tuple[Tone, int]]:
    """Return how many rows have each badge, with the tone of the first, in the rows' order."""
    counts: dict[str, tuple[Tone, int]] = {}
    for row in rows:
        word, tone = row.badge
        first, count = counts.get(word, (tone, 0))
        counts[word] = first, count + 1
    return counts


def describe_moment(at: datetime, now: datetime) -> str:
    """Return a moment relative to `now`: `in 3 hours`, `2 days ago`."""
    if abs(at - now) < timedelta(seconds=1):
        return "now"
    return f"in {in_words(at - now)}" if at > now else f"{in_words(now - at)} ago"


def describe_reload(error: str) -> str:
    """Tell why a daemon goes on with old settings."""
    return f"The settings could not be read again, and the old ones stay in force: {error}"
