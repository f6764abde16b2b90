from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rotator.config.settings import TokenSettings
from rotator.daemon.rows import Bar, StatusRow, Tone, build_rows, count_badges
from rotator.rotation.model import OldToken, OldTokenState, StoreReport, StoreState
from rotator.rotation.policy import Status
from rotator.rotation.report import Report
from rotator.rotation.severity import Severity
from rotator.rotation.states import Look, TokenStates
from tests.support.clock import NOON

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def report(name: str = "luna-bot", status: Status = Status.OK, days: float | None = 45) -> Report:
    end = None if days is None else NOON + days * DAY
    return Report(name, status, str(status), "…", expires_at=end)


def failed(found: Report, level: Severity) -> Report:
    return found._replace(error="no", level=level)


def fleet(
    *reports: Report, waiting: str | None = None, next_in: timedelta = HOUR
) -> list[StatusRow]:
    states = TokenStates()
    names = [found.name for found in reports]
    states.watch([*names, waiting] if waiting else names)
    for found in reports:
        states.record(Look(found, NOON, NOON, NOON + next_in))
    return build_rows(states.by_name(), [TokenSettings(name, "", ()) for name in names], NOON)


def test_the_most_urgent_are_on_top_and_then_those_with_the_shortest_life() -> None:
    shown = fleet(
        report("fine", days=60),
        report("eternal", Status.ETERNAL, None),
        report("fine-but-older", days=20),
        report("due", Status.DUE, 3),
        failed(report("one-store-away"), Severity.WARNING),
        failed(report("critical", Status.DUE, 0.5), Severity.CRITICAL),
        report("missing", Status.MISSING, None),
        waiting="waiting",
    )
    assert [row.name for row in shown] == [
        *("missing", "critical", "due", "one-store-away", "waiting"),
        *("fine-but-older", "fine", "eternal"),
    ]
    assert {word: count for word, (_, count) in count_badges(shown).items()} == {
        "missing": 1,
        "failing": 2,
        "due": 1,
        "waiting": 1,
        "ok": 2,
        "eternal": 1,
    }


@pytest.mark.parametrize("end", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)])
def test_a_forged_end_at_either_end_of_time_takes_nothing_from_the_others(end: datetime) -> None:
    forged = report("forged")._replace(expires_at=end)
    assert {row.name for row in fleet(forged, report())} == {"forged", "luna-bot"}


@pytest.mark.parametrize(
    ("found", "word", "tone"),
    [
        (report(), "ok", Tone.GOOD),
        (report(status=Status.ETERNAL, days=None), "eternal", Tone.GOOD),
        (report(status=Status.DUE, days=3), "due", Tone.WARN),
        (report(status=Status.UNKNOWN, days=None), "unknown", Tone.WARN),
        (report(status=Status.EXPIRED, days=-1), "expired", Tone.BAD),
        (report(status=Status.REFUSED), "refused", Tone.BAD),
        (failed(report(), Severity.WARNING), "failing", Tone.WARN),
        (failed(report(), Severity.ERROR), "failing", Tone.BAD),
        (failed(report(), Severity.CRITICAL), "failing", Tone.BAD),
    ],
)
def test_a_state_is_a_word_and_a_tone(found: Report, word: str, tone: Tone) -> None:
    (row,) = fleet(found)
    assert row.badge == (word, tone)


def test_a_look_that_does_not_come_is_noticed() -> None:
    (row,) = fleet(report(), next_in=-timedelta(minutes=12))
    assert row.badge == ("overdue", Tone.WARN)
    assert row.describe_next_look() == "overdue for 12 minutes"


OLD = OldToken("t0", OldTokenState.WAITING, NOON + HOUR)
OVERDUE = OLD._replace(due_at=NOON - HOUR)


@pytest.mark.parametrize(
    ("found", "word", "complaint"),
    [
        (report()._replace(old_tokens=(OLD,)), "ok", None),
        (report()._replace(hooks_left=1), "unfinished", "1 hook is to be repeated"),
        (
            report()._replace(unsettled=2),
            "unfinished",
            "2 mints are not settled: run rotator rotate luna-bot",
        ),
        (
            report(status=Status.ETERNAL, days=None)._replace(hooks_left=2, unsettled=1),
            "unfinished",
            "1 mint is not settled: run rotator rotate luna-bot; 2 hooks are to be repeated",
        ),
        (
            report()._replace(old_tokens=(OVERDUE,)),
            "unfinished",
            "the old token t0 was to be revoked from 2026-11-23 11:00 UTC on",
        ),
        (
            report(status=Status.DUE, days=3)._replace(hooks_left=1),
            "due",
            "…; 1 hook is to be repeated",
        ),
        (failed(report()._replace(hooks_left=1), Severity.WARNING), "failing", "no"),
    ],
)
def test_what_an_earlier_run_left_to_do_is_told(
    found: Report, word: str, complaint: str | None
) -> None:
    (row,) = fleet(found)
    assert (row.badge[0], row.complaint) == (word, complaint)


@pytest.mark.parametrize(
    ("found", "steps"),
    [
        (report(), ["look +1", "renewal +912", "expiry +1080"]),
        (report(status=Status.ETERNAL, days=None), ["look +1"]),
        (report(status=Status.DUE, days=3), ["renewal", "look +1", "expiry +72"]),
        (report(status=Status.EXPIRED, days=-1), ["renewal", "look +1"]),
        (report(status=Status.MISSING, days=None), ["renewal", "look +1"]),
        (report(status=Status.UNKNOWN, days=None), ["look +1"]),
        (
            report(status=Status.DUE)._replace(reason="behind"),
            ["copy", "look +1", "renewal +912", "expiry +1080"],
        ),
        (report(status=Status.DUE, days=3)._replace(reason="put_back"), ["look +1", "expiry +72"]),
        (
            report()._replace(
                unsettled=1,
                hooks_left=1,
                old_tokens=(OLD._replace(due_at=NOON + 2 * HOUR, state=OldTokenState.FAILED),),
            ),
            ["settlement", "hooks", "look +1", "revocation +2", "renewal +912", "expiry +1080"],
        ),
        (
            report()._replace(old_tokens=(OLD._replace(state=OldTokenState.REVOKED),)),
            ["look +1", "renewal +912", "expiry +1080"],
        ),
        (
            report()._replace(
                old_tokens=(
                    OLD._replace(state=OldTokenState.EXPIRED),
                    OLD._replace(state=OldTokenState.IN_USE, due_at=NOON + 3 * HOUR),
                )
            ),
            ["look +1", "revocation +3", "renewal +912", "expiry +1080"],
        ),
    ],
)
def test_what_comes_next_is_planned(found: Report, steps: list[str]) -> None:
    (row,) = fleet(found)
    assert [
        f"{step.step} +{(step.at - NOON) / HOUR:.0f}" if step.at else str(step.step)
        for step in row.plan()
    ] == steps


IN_USE = OldToken("t0", OldTokenState.IN_USE, NOON + 20 * HOUR, "…", NOON - 3 * HOUR)


def test_who_uses_an_old_token_is_told_and_nothing_is_wrong_with_that() -> None:
    (row,) = fleet(report()._replace(old_tokens=(IN_USE,)))
    assert (row.badge, row.complaint) == (("ok", Tone.GOOD), None)
    assert row.describe_laggards() == ["the old token t0 is still in use, last 3 hours ago"]


def test_before_the_first_look_nothing_is_known_but_that_it_comes() -> None:
    (row,) = fleet(waiting="luna-bot")
    shown = row.to_json()
    assert (shown["name"], shown["state"], shown["status"]) == ("luna-bot", "waiting", "unknown")
    assert shown["next"] == [{"step": "look", "at": None, "token_id": None}]
    assert (shown["expires_at"], shown["looked_at"], shown["history"]) == (None, None, [])
    (known,) = fleet(report())
    assert list(shown) == list(known.to_json())


def test_the_stores_that_lack_the_token_are_told() -> None:
    states = [StoreState.CURRENT, StoreState.BEHIND, StoreState.UNREACHABLE, StoreState.ABSENT]
    stores = tuple(StoreReport(f"{state}:", state) for state in (*states, StoreState.WRITTEN))
    (row,) = fleet(report()._replace(stores=stores))
    assert [store.store for store in row.stores_in_need] == ["behind:", "unreachable:", "absent:"]


@pytest.mark.parametrize(
    ("days", "bar", "words"),
    [
        (45, Bar(0.5, 7 / 90), "45 days left"),
        (90, Bar(1.0, 7 / 90), "90 days left"),
        (0.5, Bar(0.5 / 90, 7 / 90), "12 hours left"),
        (-2, Bar(0.0, 7 / 90), "expired 2 days ago"),
        (0, Bar(0.0, 7 / 90), "expired 0 seconds ago"),
        (280, Bar(1.0, 7 / 280), "280 days left"),  # made by hand, with another life
    ],
)
def test_a_bar_is_a_share_of_the_validity(days: float, bar: Bar, words: str) -> None:
    (row,) = fleet(report(days=days))
    assert row.bar == pytest.approx(bar)
    assert row.describe_life() == words


def test_what_has_no_end_has_a_full_bar_and_what_is_not_there_an_empty_one() -> None:
    eternal, missing = report(status=Status.ETERNAL, days=None), report("x", Status.MISSING, None)
    assert {row.name: (row.bar.life, row.describe_life()) for row in fleet(eternal, missing)} == {
        "luna-bot": (1.0, "never expires"),
        "x": (0.0, "no token"),
    }


def test_the_next_renewal_is_where_renew_before_begins() -> None:
    (row,) = fleet(report(days=45))
    assert row.renews_at == NOON + 38 * DAY


@pytest.mark.parametrize(
    ("next_in", "words"),
    [
        (timedelta(minutes=54), "in 54 minutes"),
        (timedelta(), "now"),
        (timedelta(minutes=-3), "now"),
        (None, "none is planned"),
    ],
)
def test_the_next_look_is_described_in_words(next_in: timedelta | None, words: str) -> None:
    look = Look(report(), NOON, NOON, None if next_in is None else NOON + next_in)
    (row,) = fleet(report())
    assert row.state
    row = replace(row, state=row.state._replace(last=look))
    assert row.describe_next_look() == words
