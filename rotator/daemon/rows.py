"""What the page says of each token: pure arithmetic over its card, with the worst on top."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from rotator.clock import in_words
from rotator.config.settings import TokenSettings
from rotator.rotation.policy import Status
from rotator.rotation.severity import Severity
from rotator.rotation.states import TokenState

# A look that is this late is not just waiting for its turn, or in hand.
LATE = timedelta(minutes=5)
_NOTHING = timedelta()
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_ENDLESS: dict[Status | None, str] = {
    Status.ETERNAL: "never expires",
    Status.MISSING: "no token",
    Status.INVALID: "no token",
}


class Tone(StrEnum):
    """How bad it is, the worst first; the page shows each with a colour and a sign."""

    BAD = "bad"
    WARN = "warn"
    IDLE = "idle"
    GOOD = "good"


class Bar(NamedTuple):
    """Remaining life, and the life below which a token is renewed, as shares of the whole bar."""

    life: float
    boundary: float


class Row(NamedTuple):
    """A token, its card (None before its first look), its state in a word, and its remaining life.

    `left` is None where there is no end or it is not known; negative when it is over. `renews_at`
    is None where that will never be, or is not known.
    """

    name: str
    card: TokenState | None
    word: str
    tone: Tone
    left: timedelta | None
    bar: Bar
    renews_at: datetime | None


class Fleet(NamedTuple):
    """The cards of all watched tokens, and the settings that are known of them, at a moment."""

    cards: Mapping[str, TokenState | None]
    tokens: Mapping[str, TokenSettings]
    now: datetime


def rows(fleet: Fleet) -> list[Row]:
    """Return a row for each token: the most urgent ones first, then by what is left."""
    return sorted((_row(name, fleet) for name in fleet.cards), key=_urgency)


def counted(rows: list[Row]) -> dict[str, tuple[Tone, int]]:
    """Return how many are in each state, in the order in which the states first appear."""
    counts: dict[str, tuple[Tone, int]] = {}
    for row in rows:
        tone, count = counts.get(row.word, (row.tone, 0))
        counts[row.word] = tone, count + 1
    return counts


def remaining(row: Row) -> str:
    """Return the remaining life in words."""
    if row.left is None:
        status = row.card.last.report.status if row.card else None
        return _ENDLESS.get(status, "not known")
    return f"{in_words(row.left)} left" if row.left > _NOTHING else f"over for {in_words(row.left)}"


def moment(at: datetime, now: datetime) -> str:
    """Return a moment as people say it: `in 3 hours`, `2 days ago`."""
    if abs(at - now) < timedelta(seconds=1):
        return "now"
    return f"in {in_words(at - now)}" if at > now else f"{in_words(now - at)} ago"


def next_look(card: TokenState | None, now: datetime) -> str:
    """Return when the token is looked at again."""
    if card is None:
        return "now"
    if card.last.next_at is None:
        return "none is planned"
    late = now - card.last.next_at
    if late > LATE:
        return f"overdue for {in_words(late)}"
    return "now" if late >= _NOTHING else moment(card.last.next_at, now)


def _row(name: str, fleet: Fleet) -> Row:
    card, token = fleet.cards[name], fleet.tokens.get(name, TokenSettings(name, "", ()))
    word, tone = _state(card, fleet.now)
    expires_at = card.last.report.expires_at if card else None
    left = expires_at - fleet.now if expires_at else None
    eternal = card is not None and card.last.report.status is Status.ETERNAL
    return Row(
        name=name,
        card=card,
        word=word,
        tone=tone,
        left=left,
        bar=_bar(left, token, eternal=eternal),
        renews_at=_renewal(expires_at, token.renew_before) if expires_at else None,
    )


def _renewal(expires_at: datetime, renew_before: timedelta) -> datetime:
    # Anybody can write any `exp` into a token, and there is nothing before the year 1.
    return max(expires_at, _EARLIEST + renew_before) - renew_before


def _state(card: TokenState | None, now: datetime) -> tuple[str, Tone]:
    if card is None:
        return "waiting", Tone.IDLE
    report = card.last.report
    if report.error:
        return "failing", Tone.WARN if report.level == Severity.WARNING else Tone.BAD
    if report.status in (Status.DUE, Status.UNKNOWN):
        return report.status, Tone.WARN
    if report.status not in (Status.OK, Status.ETERNAL):
        return report.status, Tone.BAD
    if card.last.next_at and now - card.last.next_at > LATE:
        return "overdue", Tone.WARN
    return report.status, Tone.GOOD


def _bar(left: timedelta | None, token: TokenSettings, *, eternal: bool) -> Bar:
    if left is None:
        return Bar(1.0 if eternal else 0.0, 0.0)
    # A token that was made by hand may live longer than those that the rotator makes.
    whole = max(token.validity, left)
    return Bar(max(left, _NOTHING) / whole, min(token.renew_before / whole, 1.0))


def _urgency(row: Row) -> tuple[int, timedelta, str]:
    unknown = timedelta.max if row.tone is Tone.GOOD else timedelta.min  # eternal, or none at all
    return list(Tone).index(row.tone), unknown if row.left is None else row.left, row.name
