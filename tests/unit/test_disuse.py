"""When an old token ends that ends when nobody uses it: a table, and whatever may happen."""

from datetime import datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.config.settings import Unused
from rotator.nocturna.service_tokens import ListedToken, UsageList
from rotator.rotation.disuse import (
    Fate,
    Ruling,
    begin,
    due_at,
    is_used,
    judge,
    owe,
    recall,
)
from rotator.stores.journal import FAR, Disuse, PendingRevocation
from rotator.tokens import ServiceToken
from tests.support.clock import NOON

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SINCE = NOON - 3 * DAY  # every store shows the new token since then
MADE = NOON - 80 * DAY
END = NOON + 10 * DAY
OLD = "1b2d"


def ago(span: timedelta) -> datetime:
    return NOON - span


def row(
    used_at: datetime | None = None, *, made: datetime = MADE, end: datetime = END
) -> ListedToken:
    return ListedToken(OLD, "admin", "calculations", made, end, used_at)


def ruling(
    disuse: Disuse,
    *rows: ListedToken,
    due: datetime = END,
    now: datetime = NOON,
    dated: bool = True,
) -> Ruling:
    usage = UsageList({OLD: rows} if rows else {}, now, dated)
    return judge(PendingRevocation(OLD, due, disuse), disuse, usage, now)


class Case(NamedTuple):
    """A sentence, its fate, and what the list shows at noon of a token with a quiet of a day."""

    sentence: str
    fate: Fate
    rows: tuple[ListedToken, ...]
    disuse: Disuse = Disuse(DAY, since=SINCE)
    due: datetime = END
    dated: bool = True
    odd: bool = False


AT_MOST = Disuse(DAY, is_bounded=True, since=SINCE)
SEEN = Disuse(DAY, since=SINCE, used_at=ago(5 * HOUR))
YOUNG = Disuse(DAY, since=ago(5 * HOUR))
CASES = [
    Case("revokes a token that was never used", Fate.UNUSED, (row(),)),
    Case("revokes one last used before the move", Fate.UNUSED, (row(ago(4 * DAY)),)),
    Case("revokes one quiet for more than its time", Fate.UNUSED, (row(ago(DAY + 2 * SECOND)),)),
    Case("keeps one that is a second short of it", Fate.IN_USE, (row(ago(DAY - SECOND)),)),
    Case("keeps one that is in use", Fate.IN_USE, (row(ago(SECOND)),)),
    Case("keeps one whose use is dated a moment ahead", Fate.IN_USE, (row(NOON + 59 * SECOND),)),
    Case("waits from the move on, however long ago the use", Fate.QUIET, (row(MADE),), YOUNG),
    Case("waits where nobody ever used it", Fate.QUIET, (row(),), YOUNG),
    Case(
        "counts a use in the minute of the move as one before",
        Fate.QUIET,
        (row(ago(5 * HOUR)),),
        YOUNG,
    ),
    Case(
        "knows nothing of a token that the list has twice", Fate.UNKNOWN, (row(), row()), odd=True
    ),
    Case(
        "knows nothing by a list without right dates", Fate.UNKNOWN, (row(),), dated=False, odd=True
    ),
    Case("knows nothing by a use yet to come", Fate.UNKNOWN, (row(NOON + 2 * MINUTE),), odd=True),
    Case(
        "knows nothing by a use before the mint", Fate.UNKNOWN, (row(MADE - 2 * MINUTE),), odd=True
    ),
    Case(
        "knows nothing by a use that moved back", Fate.UNKNOWN, (row(ago(2 * DAY)),), SEEN, odd=True
    ),
    Case("knows nothing by a use that is gone", Fate.UNKNOWN, (row(),), SEEN, odd=True),
    Case("lets two clocks differ by a minute", Fate.IN_USE, (row(ago(5 * HOUR + MINUTE)),), SEEN),
    Case("is done with one that is revoked already", Fate.GONE, ()),
    Case("does not take a false list's word for it", Fate.UNKNOWN, (), dated=False, odd=True),
    Case(
        "does not miss one in a list from before the move",
        Fate.QUIET,
        (),
        Disuse(DAY, since=NOON + SECOND),
    ),
    Case("is done with one that has ended", Fate.ENDED, (), due=NOON),
    Case("is done at its end, whatever the list says", Fate.ENDED, (row(NOON),), due=NOON),
    Case("revokes one in use at its at most", Fate.OVERDUE, (row(NOON),), AT_MOST, due=NOON),
    Case(
        "revokes an odd one at its at most",
        Fate.OVERDUE,
        (row(NOON + DAY),),
        AT_MOST,
        NOON,
        odd=True,
    ),
    Case(
        "revokes none by a wrong clock",
        Fate.UNKNOWN,
        (row(NOON),),
        AT_MOST,
        NOON,
        dated=False,
        odd=True,
    ),
    Case("revokes an unused one before its at most", Fate.UNUSED, (row(),), AT_MOST),
    Case("keeps one in use before its at most", Fate.IN_USE, (row(NOON),), AT_MOST, NOON + HOUR),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sentence)
def test_the_table(case: Case) -> None:
    found = ruling(case.disuse, *case.rows, due=case.due, dated=case.dated)
    assert (found.fate, found.is_odd) == (case.fate, case.odd)
    assert (found.why is not None) == case.odd


def test_a_use_is_noted_and_never_an_earlier_one() -> None:
    used = ago(5 * HOUR) + timedelta(milliseconds=7)
    assert ruling(Disuse(DAY, since=SINCE), row(used)).disuse.used_at == ago(5 * HOUR)
    assert ruling(SEEN, row(ago(5 * HOUR + 30 * SECOND))).disuse == SEEN
    assert ruling(SEEN, row(ago(HOUR)), dated=False).disuse == SEEN


def test_after_a_use_that_moved_back_the_whole_time_begins_anew() -> None:
    restored = row(ago(2 * DAY))
    first = ruling(SEEN, restored)
    assert "1 day without use begin anew" in str(first.why)
    assert first.disuse == begin(SEEN, NOON)._replace(used_at=ago(2 * DAY))
    later = ruling(first.disuse, restored, now=NOON + DAY)
    assert (later.fate, later.is_odd) == (Fate.QUIET, False)
    assert ruling(first.disuse, restored, now=NOON + DAY + SECOND).fate is Fate.UNUSED


@pytest.mark.parametrize(
    ("retire", "end", "due", "bounded"),
    [
        (Unused(DAY), END, END, False),
        (Unused(DAY, 5 * DAY), END, NOON + 5 * DAY, True),
        (Unused(DAY, 30 * DAY), END, END, False),
        (Unused(DAY), None, FAR, False),
        (Unused(DAY, 30 * DAY), None, NOON + 30 * DAY, True),
    ],
    ids=["its own end", "at most", "its own end before that", "no end", "eternal, but at most"],
)
def test_it_is_owed_until_its_end_or_the_most_time(
    retire: Unused, end: datetime | None, due: datetime, *, bounded: bool
) -> None:
    owed = owe(ServiceToken("x", OLD, None, end), retire, NOON + timedelta(milliseconds=3))
    assert owed == PendingRevocation(OLD, due, Disuse(DAY, is_bounded=bounded))


def test_the_journal_alone_tells_who_used_it_and_revokes_nothing() -> None:
    owed = PendingRevocation(OLD, END, SEEN)
    assert recall(owed, SEEN, NOON).fate is Fate.IN_USE
    assert recall(owed, YOUNG, NOON + 9 * DAY).fate is Fate.QUIET
    assert recall(owed, SEEN, END).fate is Fate.ENDED
    assert recall(owed, AT_MOST, END).fate is Fate.OVERDUE
    assert due_at(owed, SEEN) == ago(5 * HOUR) + DAY + 2 * SECOND
    assert due_at(owed, Disuse(DAY)) == END
    assert due_at(PendingRevocation(OLD, NOON, SEEN), SEEN) == NOON


spans = st.integers(1, 40 * 3600).map(lambda seconds: timedelta(seconds=seconds))


@given(uses=st.lists(spans, max_size=12), looks=st.lists(spans, min_size=1, max_size=40))
def test_no_token_is_revoked_before_its_time_and_each_quiet_one_is_in_the_end(
    uses: list[timedelta], looks: list[timedelta]
) -> None:
    moments, now = [], SINCE
    for pause in uses:
        now += pause
        moments.append(now)
    disuse, now = begin(Disuse(DAY), SINCE), SINCE
    for pause in (*looks, sum(uses, start=timedelta()), DAY + 3 * SECOND):
        now += pause
        used = max((moment for moment in moments if moment <= now), default=None)
        found = ruling(disuse, row(used, end=FAR), due=FAR, now=now)
        quiet = now - max(used or SINCE, SINCE)
        assert (found.fate is Fate.UNUSED) <= (quiet >= DAY)
        assert (found.fate is Fate.UNUSED) >= (quiet >= DAY + 2 * SECOND)
        assert (found.fate is Fate.IN_USE) == (
            found.fate is not Fate.UNUSED and is_used(found.disuse)
        )
        disuse = found.disuse
        if found.fate is Fate.UNUSED:
            return
    pytest.fail("it is quiet, and was not revoked")


def alarms(quiet: timedelta, uses: list[timedelta], looks: list[timedelta]) -> list[timedelta]:
    """Return the silences of which looks tell; both are times since every store shows the new one.

    At one moment, a use comes before a look.
    """
    disuse, told = begin(Disuse(quiet), SINCE), []
    for look in sorted(looks):
        used = max((SINCE + use for use in uses if use <= look), default=None)
        found = ruling(disuse, row(used, end=FAR), due=FAR, now=SINCE + look)
        disuse = found.disuse
        told += [found.silence] if found.silence else []
    return told


HOURLY = [number * HOUR for number in range(1, 20 * 24)]


@pytest.mark.parametrize(
    ("uses", "silences"),
    [
        pytest.param([], [], id="tells nothing of one that nobody uses"),
        pytest.param([3 * HOUR], [], id="tells nothing of a bot that is slow to move"),
        pytest.param([90 * HOUR], [90 * HOUR], id="tells of a first use after half of its time"),
        pytest.param(
            [HOUR, 2 * HOUR, 4 * HOUR], [], id="lets a pause be twice as long as any before"
        ),
        pytest.param([HOUR, 2 * HOUR, 9 * HOUR], [7 * HOUR], id="tells of one much longer"),
        pytest.param(
            [HOUR, 2 * HOUR, 9 * HOUR, 17 * HOUR, 47 * HOUR],
            [7 * HOUR],
            id="tells of a token no more than once a day",
        ),
        pytest.param(
            [HOUR, 2 * HOUR, 9 * HOUR, 69 * HOUR], [7 * HOUR, 60 * HOUR], id="tells again"
        ),
        pytest.param(
            [70 * HOUR, 140 * HOUR], [], id="tells nothing of a bot that wakes now and then"
        ),
    ],
)
def test_a_use_after_an_unusual_silence_is_an_alarm(
    uses: list[timedelta], silences: list[timedelta]
) -> None:
    told = alarms(7 * DAY, uses, HOURLY)
    assert [round(each / HOUR) for each in told] == [round(each / HOUR) for each in silences]


@given(
    pauses=st.lists(st.integers(60, 119), min_size=1, max_size=30),
    look=st.integers(5, 600).map(lambda minutes: minutes * MINUTE),
)
def test_a_bot_of_regular_habits_raises_no_alarm(pauses: list[int], look: timedelta) -> None:
    uses, now = [], timedelta()
    for minutes in pauses:
        now += minutes * MINUTE
        uses.append(now)
    looks = [number * look for number in range(1, int(now / look) + 2)]
    assert alarms(DAY, uses, looks) == []


def test_a_silence_that_nobody_looked_at_is_no_alarm() -> None:
    assert alarms(7 * DAY, [HOUR, 2 * HOUR, 90 * HOUR], [HOUR, 2 * HOUR, 91 * HOUR]) == []
