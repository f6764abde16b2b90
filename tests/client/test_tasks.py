"""Tasks of asyncio: none of them blocks the loop, and none keeps its pool of threads busy."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from rotator.errors import ApiFaultError
from tests.client.support import EXCHANGE, STALE, Bot
from tests.support.clock import FakeClock
from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import PATIENCE


@pytest.fixture
def bot(timed_api: Sandbox) -> Bot:
    return Bot(timed_api, timed_api.issue(days=30))


class CountingPool(ThreadPoolExecutor):
    """The pool of a loop, which counts what it is given to do."""

    given = 0

    def submit(self, call: Callable[..., Any], *args: Any, **options: Any) -> Future[Any]:  # type: ignore[override] # noqa: ANN401 - (its own)
        self.given += 1
        return super().submit(call, *args, **options)


def test_many_tasks_take_one_thread_and_none_during_a_pause(bot: Bot) -> None:
    async def work() -> list[int]:
        pool = CountingPool()
        given: list[int] = []
        asyncio.get_running_loop().set_default_executor(pool)
        for later in (0, STALE, 0.5):
            bot.stopwatch.seconds += later
            await asyncio.gather(*(bot.manager.get_access_token_async() for _ in range(100)))
            await asyncio.to_thread(bot.manager._lock.acquire)  # noqa: SLF001 - when the call is over
            bot.manager._lock.release()  # noqa: SLF001 - (the same)
            await asyncio.sleep(0.01)
            given.append(pool.given - len(given) - 1)  # less the waiting of this test itself
        return given

    bot.api.misbehave(Fault(), EXCHANGE)
    bot.api.misbehave(Fault.html(502), EXCHANGE)
    assert asyncio.run(work()) == [1, 2, 2]


def test_a_task_does_not_join_a_call_that_began_before_its_token_was_refused(bot: Bot) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        asked.set()
        assert go_on.wait(PATIENCE)

    async def work() -> None:
        old = await bot.manager.get_access_token_async()
        bot.stopwatch.seconds += STALE
        bot.api.misbehave(Fault(work=False, error="plain", before=hold), EXCHANGE)
        assert await bot.manager.get_access_token_async() == old
        await asyncio.to_thread(asked.wait, PATIENCE)
        bot.manager.invalidate(old)
        later = asyncio.ensure_future(bot.manager.get_access_token_async())
        await asyncio.sleep(0.01)
        go_on.set()
        with pytest.raises(ApiFaultError):  # instead of the refused token
            await later

    asyncio.run(work())


def test_a_loop_goes_on_while_an_exchange_takes_its_time(bot: Bot) -> None:
    go_on = threading.Event()

    async def work() -> str:
        token = asyncio.ensure_future(bot.manager.get_access_token_async())
        for _ in range(10):
            await asyncio.sleep(0.001)
        assert not token.done()
        go_on.set()
        return await token

    bot.api.misbehave(Fault.meanwhile(lambda: go_on.wait(PATIENCE), "before"), EXCHANGE)
    assert asyncio.run(work())


def test_a_stale_token_costs_tasks_no_waiting_and_is_renewed_behind_their_backs(
    bot: Bot, clock: FakeClock
) -> None:
    old = bot.manager.get_access_token()
    clock.advance(timedelta(seconds=1))
    bot.stopwatch.seconds += STALE

    async def work() -> str:
        assert await bot.manager.get_access_token_async() == old
        while bot.manager.get_access_token() == old:  # noqa: ASYNC110 - a thread brings the next
            await asyncio.sleep(0.001)
        return await bot.manager.get_access_token_async()

    assert asyncio.run(work()) != old
    assert bot.exchanges == 2


def test_a_task_that_is_cancelled_takes_nothing_from_the_others(bot: Bot) -> None:
    async def work() -> str:
        tasks = [asyncio.ensure_future(bot.manager.get_access_token_async()) for _ in range(3)]
        await asyncio.sleep(0.01)
        tasks[0].cancel()
        return await tasks[1] + await tasks[2]

    bot.api.misbehave(Fault.delay(0.05), EXCHANGE)
    assert asyncio.run(work()) == 2 * bot.manager.get_access_token()
    assert bot.exchanges == 1


def test_a_failure_reaches_every_task_and_is_not_repeated(bot: Bot) -> None:
    async def work() -> list[object]:
        calls = (bot.manager.get_access_token_async() for _ in range(200))
        return list(await asyncio.gather(*calls, return_exceptions=True))

    bot.api.misbehave(Fault.html(502), EXCHANGE, times=None)
    assert {type(each) for each in asyncio.run(work()) + asyncio.run(work())} == {ApiFaultError}
    assert bot.exchanges == 1
