from datetime import timedelta

import pytest

from tests.client.support import Bot
from tests.support.clock import FakeClock
from tests.support.sandbox import Sandbox


@pytest.fixture
def bot(timed_api: Sandbox) -> Bot:
    return Bot(timed_api, timed_api.issue(days=30))


def refused_once(bot: Bot) -> str:
    """Have a manager drop its token, and return that."""
    token = bot.manager.get_access_token()
    bot.manager.invalidate(token)
    return token


def test_a_refused_token_is_replaced(bot: Bot) -> None:
    refused_once(bot)
    bot.manager.get_access_token()
    assert bot.exchanges == 2


def test_a_401_that_comes_late_does_not_drop_the_new_token(bot: Bot, clock: FakeClock) -> None:
    old = refused_once(bot)
    clock.advance(timedelta(seconds=1))
    new = bot.manager.get_access_token()
    bot.manager.invalidate(old)
    assert bot.manager.get_access_token() == new != old
    assert bot.exchanges == 2


def test_a_401_that_comes_late_does_not_drop_a_new_token_of_the_same_text(bot: Bot) -> None:
    old = refused_once(bot)
    for _ in range(10):
        assert bot.manager.get_access_token() == old  # made within a second, so it is equal
        bot.manager.invalidate(old)
    assert bot.exchanges == 2


@pytest.mark.parametrize("token", ["", "another", "eyJ0.eyJ1.x"])
def test_what_is_not_the_current_token_drops_nothing(bot: Bot, token: str) -> None:
    bot.manager.invalidate(token)
    bot.manager.get_access_token()
    bot.manager.invalidate(token)
    bot.manager.get_access_token()
    assert bot.exchanges == 1


def test_a_server_that_refuses_every_token_is_asked_for_one_ever_more_rarely(
    bot: Bot, clock: FakeClock
) -> None:
    for _ in range(600):
        clock.advance(timedelta(seconds=1))
        refused_once(bot)
        bot.stopwatch.seconds += 1
    assert 10 < bot.exchanges < 20


def test_refusals_an_hour_apart_are_an_exchange_each(bot: Bot, clock: FakeClock) -> None:
    for _ in range(5):
        clock.advance(timedelta(hours=1))
        refused_once(bot)
        bot.stopwatch.seconds += 3600
    assert bot.exchanges == 5
