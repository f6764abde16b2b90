import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from rotator.client.access_tokens import BOOT_SECONDS, CachedAccessToken
from rotator.errors import ApiError, ApiFaultError, ApiUnreachableError
from rotator.http.client import Limits
from rotator.nocturna.api import AccessToken, NotDoneError
from tests.client.support import EXCHANGE, LIFE, OVER, STALE, Bot
from tests.support.clock import FakeClock
from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import PATIENCE


def test_one_exchange_serves_many_calls(bot: Bot) -> None:
    assert len({bot.manager.get_access_token() for _ in range(100)}) == 1
    assert bot.exchanges == 1


def test_the_service_token_that_comes_back_is_not_taken_for_an_access_token(
    api: Sandbox, bot: Bot
) -> None:
    [row] = api.tokens
    assert bot.manager.get_access_token() != row.secret


@pytest.mark.parametrize(
    ("seconds", "exchanges"), [(0, 1), (LIFE - 301, 1), (STALE, 2), (OVER, 2)], ids=str
)
def test_a_token_is_renewed_five_minutes_before_its_end(
    bot: Bot, seconds: float, exchanges: int
) -> None:
    bot.manager.get_access_token()
    bot.stopwatch.seconds += seconds
    bot.manager.get_access_token()
    assert bot.exchanges == exchanges


@pytest.mark.parametrize(
    ("expires_in", "advisory", "mandatory"),
    [
        (1800, 1500, 1800),
        (900, 600, 900),
        (90, 60, 90),
        (0.001, 2 / 3, 1),
        ("soon", 600, 900),
        (None, 600, 900),
        (True, 600, 900),
        (0, 600, 900),
        (-5, 600, 900),
        (float("nan"), 600, 900),
        (1e300, 600, 900),
        (10**400, 600, 900),
    ],
    ids=str,
)
def test_lifetimes_that_make_no_sense_are_bounded(
    bot: Bot, expires_in: object, advisory: float, mandatory: float
) -> None:
    answer = {"access_token": "a", "expires_in": expires_in}
    bot.api.misbehave(Fault.json_of(answer), EXCHANGE, times=2)
    for seconds, exchanges in ((advisory - 0.01, 1), (0.02, 2)):
        bot.manager.get_access_token()
        bot.stopwatch.seconds += seconds
        bot.manager.get_access_token()
        assert bot.exchanges == exchanges
    life = AccessToken("a", mandatory, None)
    assert CachedAccessToken.requested_at(0.0, life).mandatory_at == max(1, mandatory)


def test_a_missing_lifetime_means_fifteen_minutes(bot: Bot) -> None:
    bot.api.misbehave(Fault.json_of({"access_token": "a"}), EXCHANGE)
    bot.manager.get_access_token()
    bot.stopwatch.seconds += 599
    assert bot.manager.get_access_token() == "a"
    bot.stopwatch.seconds += 2
    assert bot.manager.get_access_token() != "a"


def test_a_life_counts_from_before_the_exchange_was_sent(bot: Bot) -> None:
    def slow() -> None:
        bot.stopwatch.seconds += 100

    bot.api.misbehave(Fault.meanwhile(slow, "before"), EXCHANGE)
    bot.manager.get_access_token()
    bot.stopwatch.seconds += STALE - 100
    bot.manager.get_access_token()
    assert bot.exchanges == 2


def test_a_wrong_wall_clock_harms_nothing(timed_api: Sandbox, clock: FakeClock) -> None:
    bot = Bot(timed_api, timed_api.issue(days=30))  # years away from this machine's clock
    token = bot.manager.get_access_token()
    clock.advance(timedelta(days=-10))
    assert bot.manager.get_access_token() == token
    assert bot.exchanges == 1


def test_the_usual_clock_counts_seconds_and_goes_on_while_a_machine_sleeps() -> None:
    now = BOOT_SECONDS
    assert 0 <= now() - now() + 1 <= 1
    assert "clock_gettime" in repr(now)


def test_a_stale_token_is_used_while_one_thread_gets_the_next(bot: Bot) -> None:
    old = bot.manager.get_access_token()
    bot.stopwatch.seconds += STALE
    asked, answered = threading.Event(), threading.Event()

    def hold() -> None:
        asked.set()
        assert answered.wait(PATIENCE)

    bot.api.misbehave(Fault.meanwhile(hold, "before"), EXCHANGE)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(bot.manager.get_access_token)
        assert asked.wait(PATIENCE)
        assert {bot.manager.get_access_token() for _ in range(100)} == {old}
        answered.set()
        first.result(PATIENCE)
    assert bot.exchanges == 2


@pytest.mark.parametrize(
    "fault",
    [Fault.html(502), Fault.reset_before(), Fault.too_many(), Fault.status(401), Fault.status(404)],
    ids=["502", "reset", "429", "401", "404"],
)
def test_nobody_notices_a_failed_exchange_while_the_token_works(
    bot: Bot, caplog: pytest.LogCaptureFixture, fault: Fault
) -> None:
    old = bot.manager.get_access_token()
    bot.stopwatch.seconds += STALE
    bot.api.misbehave(fault, EXCHANGE, times=None)
    for _ in range(100):
        assert bot.manager.get_access_token() == old
    assert bot.exchanges == 2
    [line] = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert (
        "the cached access token is valid for another 5 minutes, the next try is in 1.0 s" in line
    )
    bot.stopwatch.seconds += 1.01
    bot.manager.get_access_token()
    assert bot.exchanges == 3
    bot.api.behave()
    bot.stopwatch.seconds += 2.01
    bot.manager.get_access_token()
    bot.manager.get_access_token()
    assert bot.exchanges == 4


def test_a_stale_token_is_not_worth_several_attempts(api: Sandbox) -> None:
    bot = Bot(api, api.issue(), Limits(retries=2, backoff=0.0))
    bot.manager.get_access_token()
    bot.stopwatch.seconds += STALE
    api.misbehave(Fault.html(502), EXCHANGE, times=2)
    bot.manager.get_access_token()
    assert bot.exchanges == 2
    bot.stopwatch.seconds += OVER
    bot.manager.get_access_token()
    assert bot.exchanges == 4


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.html(502), ApiFaultError),
        (Fault.json_of([]), ApiFaultError),
        (Fault.reset_before(), ApiUnreachableError),
        (Fault.too_many(), NotDoneError),
        (Fault.status(404), ApiError),
    ],
    ids=["502", "nonsense", "reset", "429", "404"],
)
def test_without_a_usable_token_a_failure_is_raised_again_until_its_pause_is_over(
    bot: Bot, fault: Fault, kind: type[ApiError]
) -> None:
    bot.api.misbehave(fault, EXCHANGE, times=None)
    pauses = [1, 2, 4, 8, 16, 32, 60, 60]
    for number, pause in enumerate(pauses, 1):
        with pytest.raises(kind) as first:
            bot.manager.get_access_token()
        bot.stopwatch.seconds += pause - 0.01
        with pytest.raises(kind) as second:
            bot.manager.get_access_token()
        assert (type(first.value), str(first.value)) == (type(second.value), str(second.value))
        assert bot.exchanges == number
        bot.stopwatch.seconds += 0.02
    bot.api.behave()
    assert bot.manager.get_access_token()


def test_a_success_makes_the_next_pause_a_first_one_again(bot: Bot) -> None:
    bot.api.misbehave(Fault.html(502), EXCHANGE, times=3)
    for pause in (1.01, 2.01, 4.01):
        with pytest.raises(ApiFaultError):
            bot.manager.get_access_token()
        bot.stopwatch.seconds += pause
    bot.manager.get_access_token()
    bot.stopwatch.seconds += OVER
    bot.api.misbehave(Fault.html(502), EXCHANGE)
    with pytest.raises(ApiFaultError):
        bot.manager.get_access_token()
    bot.stopwatch.seconds += 1.01
    assert bot.manager.get_access_token()


def test_a_token_that_is_over_is_not_used_however_the_exchange_fails(bot: Bot) -> None:
    bot.manager.get_access_token()
    bot.stopwatch.seconds += OVER
    bot.api.misbehave(Fault.html(502), EXCHANGE)
    with pytest.raises(ApiFaultError, match=r"exchange the service token: .*\(502\)"):
        bot.manager.get_access_token()
