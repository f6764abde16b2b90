"""What the page says about each token: pure arithmetic over its state."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from rotator.clock import in_words
from rotator.config.settings import TokenSettings
from rotator.rotation.model import Report
from rotator.rotation.policy import Status
from rotator.rotation.severity import Severity
from rotator.rotation.states import TokenState

# A look this late is overdue: it neither waits for a free thread nor is still in hand.
LATE = timedelta(minutes=5)
_ZERO = timedelta()
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_NO_EXPIRY: dict[Status, str] = {
    Status.ETERNAL: "never expires",
    Status.MISSING: "no token",
    Status.INVALID: "no token",
}


class Tone(StrEnum):
    """How bad a state is, the worst first; the page gives each a colour and a sign."""

    BAD = "bad"
    WARN = "warn"
    IDLE = "idle"
    GOOD = "good"


class Bar(NamedTuple):
    """The remaining life, and the life below which a token is renewed, as shares of the bar."""

    life: float
    boundary: float


@dataclass(frozen=True, slots=True)
class StatusRow:
    """One token as the page shows it at `now`; `state` is None before its first look."""

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
        if report.status in (Status.DUE, Status.UNKNOWN):
            return report.status, Tone.WARN
        if report.status not in (Status.OK, Status.ETERNAL):
            return report.status, Tone.BAD
        if next_at and self.now - next_at > LATE:
            return "overdue", Tone.WARN
        return report.status, Tone.GOOD

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

    def describe_life(self) -> str:
        if self.left is None:
            return _NO_EXPIRY.get(self.report.status, "not known") if self.report else "not known"
        words = in_words(self.left)
        return f"{words} left" if self.left > _ZERO else f"expired {words} ago"

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
