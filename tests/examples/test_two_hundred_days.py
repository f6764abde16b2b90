"""The example bots, their own code, through 200 days of rotations, outages and a revocation.

Beside them a third bot wakes once a week.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import httpx
import pytest
import requests

from examples import httpx_bot, requests_bot
from rotator.client import TokenManager
from rotator.config.settings import Unused
from rotator.rotation.model import Action
from tests.examples.life import DAY, MINUTE, Call, Diary, EndOfTimeError, Life, Span, at
from tests.examples.weekly import WeeklyBot
from tests.nocturna.support import QUICK
from tests.support.clock import FakeClock
from tests.support.sandbox import Fault, Sandbox
from tests.support.transcript import Transcript
from tests.support.waiting import PATIENCE
from tests.support.world import World

DAYS = 200
ACCESS_LIFE = 15 * MINUTE
RENEWED_AFTER = ACCESS_LIFE - 5 * MINUTE  # in its last five minutes a token is stale
OUTAGES = [
    (Span(at(20, 10), at(20, 10, 4)), Fault.unavailable()),
    (Span(at(47, 12, 20), at(47, 12, 40)), Fault.html(502)),
    # The rotator comes at 03:07, and on this day for the first time to a token that is due.
    (Span(at(84, 2), at(84, 4)), Fault.reset_before()),
    (Span(at(130, 9), at(130, 11)), Fault.server_error()),
    (Span(at(160, 11, 50), at(160, 13)), Fault.too_many(None)),
]
REVOKED, RENEWED = at(185, 14, 2), at(185, 14, 42)
ROTATIONS = [at(85, 3, 7), at(169, 3, 7), RENEWED]
WEEKS = [at(day, 9, 30) for day in range(3, DAYS, 7)]
UNUSED = Unused(8 * DAY)


@pytest.fixture
def life(
    tmp_path: Path, clock: FakeClock, transcript: Transcript, caplog: pytest.LogCaptureFixture
) -> Iterator[Life]:
    for chatty in ("urllib3", "httpx", "httpcore", "rotator"):
        caplog.set_level(logging.WARNING, chatty)
    with Sandbox(clock=clock, access_lifetime=int(ACCESS_LIFE.total_seconds())) as api:
        world = World(tmp_path, api, clock)
        world.put(api.issue(days=90))
        life = Life(world, end=at(DAYS, 12), daily=10 * MINUTE)
        for day in range(1, DAYS + 1):
            life.plan(at(day, 3, 7), life.rotate)
        for outage, fault in OUTAGES:
            life.plan_outage(outage, fault)
        life.plan(REVOKED, lambda: api.revoke(world.token().token_id or ""))
        life.plan(RENEWED, life.rotate)
        life.busy += [Span(each, each + DAY / 24).with_hours_around() for each in ROTATIONS]
        yield life
    # Of the access tokens there are thousands; that no JWT is written is looked for anyway.
    transcript.secrets |= {row.secret for row in api.tokens} | {api.admin_password}


@pytest.fixture
def weekly(life: Life) -> WeeklyBot:
    bot = WeeklyBot(life.world)
    for week in WEEKS:
        life.plan(week, bot.wake)
    return bot


def with_requests(manager: TokenManager, life: Life) -> None:
    with requests.Session() as session:
        session.trust_env = False
        requests_bot.run(manager, session, life.sleep)


def with_httpx(manager: TokenManager, life: Life) -> None:
    async def sleep(seconds: float) -> None:
        # With one thread in the pool this comes after a renewal that is under way: without it a
        # thousandth of a real second would be five minutes.
        await asyncio.to_thread(lambda: None)
        life.sleep(seconds)

    async def run() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            await httpx_bot.run(manager, client, sleep)

    asyncio.run(run())


def ideal(moments: list[datetime]) -> int:
    """Return how many exchanges these calls need at least.

    One is needed for the first call, and one whenever the last token is stale.
    """
    count, stale_at = 0, datetime.min.replace(tzinfo=moments[0].tzinfo)
    for moment in moments:
        if moment >= stale_at:
            count, stale_at = count + 1, moment + RENEWED_AFTER
    return count


def is_forced(call: Call) -> bool:
    """Tell whether no bot could have got an answer at that moment."""
    without_token = Span(REVOKED, RENEWED)
    return any(call.moment in outage for outage, _ in OUTAGES) or call.moment in without_token


def cut_off(weekly: WeeklyBot) -> list[datetime]:
    """Return when the weekly bot failed, though nobody had revoked its token by hand."""
    by_hand = Span(REVOKED, REVOKED + 7 * DAY)
    return [
        each.moment for each in weekly.calls if not each.answered and each.moment not in by_hand
    ]


@pytest.mark.parametrize("bot", [with_requests, pytest.param(with_httpx, marks=pytest.mark.long)])
def test_no_call_fails_that_the_api_did_not_force_and_no_exchange_is_wasted(
    life: Life, weekly: WeeklyBot, bot: Callable[[TokenManager, Life], None]
) -> None:
    life.retire = UNUSED
    clock = life.world.clock
    diary = Diary(clock)
    manager = TokenManager(
        life.world.api.url,
        f"dotenv:{life.world.folder}/.env",
        limits=QUICK,
        now=lambda: clock().timestamp(),
        clock=clock,
    )
    logging.getLogger("bot").addHandler(diary)
    try:
        with pytest.raises(EndOfTimeError):
            bot(manager, life)
    finally:
        logging.getLogger("bot").removeHandler(diary)

    failed = [call for call in diary.calls if not call.answered]
    assert [call for call in failed if not is_forced(call)] == []
    for outage, _ in OUTAGES:
        assert any(call.moment in outage for call in failed), outage

    # What was there when the token was revoked works to its end, five minutes later at the least.
    after = [call.moment for call in failed if call.moment in Span(REVOKED, RENEWED)]
    assert after
    assert min(after) >= REVOKED + 5 * MINUTE

    rotated = [moment for moment, report in life.reports if report.action is Action.ROTATED]
    assert rotated == ROTATIONS
    troubled = [moment for moment, report in life.reports if report.error]
    assert troubled == [at(84, 3, 7)]

    needed = ideal([call.moment for call in diary.calls if call.answered])
    assert life.exchanges() - weekly.exchanges == pytest.approx(needed, rel=0.1)

    assert len(weekly.calls) == len(WEEKS)
    assert cut_off(weekly) == []
    laggards = [moment for moment, report in life.reports for o in report.old_tokens if o.is_in_use]
    # Until the old tokens end by themselves, a week after they were replaced.
    assert laggards == [at(day, 3, 7) for day in (88, 89, 90, 172, 173, 174)]
    # And yet no old token is left over.
    assert [row.secret for row in life.world.api.live_tokens()] == [life.world.secret()]


def test_a_timer_cuts_off_the_bot_that_wakes_once_a_week(life: Life, weekly: WeeklyBot) -> None:
    life.retire = DAY
    with suppress(EndOfTimeError):
        while True:
            life.sleep(DAY.total_seconds())
    assert len(weekly.calls) == len(WEEKS)
    assert cut_off(weekly) == [at(87, 9, 30), at(171, 9, 30)]
