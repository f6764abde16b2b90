"""Many threads and tasks at once, and exactly one exchange for all of them."""

import asyncio
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from math import ceil
from threading import Barrier, Thread

import httpx
import pytest
import requests

from rotator.client import NocturnaAuth, ServiceTokenRefusedError
from rotator.client.httpx import NocturnaAuth as HttpxAuth
from tests.client.support import CHART, EXCHANGE, OVER, STALE, Bot, Door, statuses
from tests.support.clock import FakeClock
from tests.support.sandbox import BIRTH, Fault, Sandbox
from tests.support.waiting import PATIENCE

THREADS = 64


@pytest.fixture
def calls(long: bool) -> int:  # noqa: FBT001 - a fixture
    return 10_000 if long else 2_000


@pytest.fixture
def bot(timed_api: Sandbox) -> Bot:
    return Bot(timed_api, timed_api.issue(days=30))


def refuse_from_now_on(bot: Bot, clock: FakeClock, door: Door) -> None:
    """Refuse the bot's present token; the next one differs, for a second has passed."""
    clock.advance(timedelta(seconds=1))
    door.refused.add(bot.manager.get_access_token())


def test_thousands_of_calls_of_64_threads_with_a_401_in_the_middle_are_one_exchange(
    bot: Bot, clock: FakeClock, calls: int
) -> None:
    door, begin = Door(), Barrier(THREADS)
    share = ceil(calls / THREADS)
    bot.manager.get_access_token()
    assert bot.exchanges == 1

    def work(_: int) -> list[int]:
        session = requests.Session()
        session.trust_env = False
        session.auth = NocturnaAuth(bot.manager)
        session.mount("http://", door)
        statuses = []
        for number in range(share):
            if number == share // 2 and begin.wait(PATIENCE) == 0:
                refuse_from_now_on(bot, clock, door)
            statuses.append(session.get(f"{bot.api.url}/chart").status_code)
        return statuses

    with ThreadPoolExecutor(THREADS) as pool:
        seen = Counter(status for each in pool.map(work, range(THREADS)) for status in each)
    assert seen == {200: share * THREADS}
    assert 1 <= Counter(door.answers)[401] <= THREADS
    assert bot.exchanges == 2


def test_thousands_of_calls_of_asyncio_tasks_with_a_401_in_the_middle_are_one_exchange(
    bot: Bot, clock: FakeClock, calls: int
) -> None:
    door = Door()
    tasks, rounds = 100, calls // 100

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(door.status_for(request.headers["Authorization"]))

    async def work(client: httpx.AsyncClient) -> list[int]:
        seen = []
        for number in range(rounds):
            if number == rounds // 2 and not door.refused:
                refuse_from_now_on(bot, clock, door)
            seen.append((await client.get(f"{bot.api.url}/chart")).status_code)
            await asyncio.sleep(0)
        return seen

    async def work_together() -> list[list[int]]:
        auth, transport = HttpxAuth(bot.manager), httpx.MockTransport(answer)
        async with httpx.AsyncClient(auth=auth, transport=transport) as client:
            return await asyncio.gather(*(work(client) for _ in range(tasks)))

    seen = Counter(status for each in asyncio.run(work_together()) for status in each)
    assert seen == {200: tasks * rounds}
    assert 1 <= Counter(door.answers)[401] <= tasks
    assert bot.exchanges == 2


def test_over_real_http_64_threads_that_meet_a_401_make_one_exchange(api: Sandbox) -> None:
    api.issue()
    bot = Bot(api, lambda: api.tokens[-1].secret)
    bot.manager.get_access_token()
    begin = Barrier(THREADS)

    def work(_: int) -> list[int]:
        with requests.Session() as session:
            session.trust_env = False
            session.auth = NocturnaAuth(bot.manager)
            before = [
                session.post(f"{api.url}/stateless/natal-chart", json=BIRTH) for _ in range(3)
            ]
            if begin.wait(PATIENCE) == 0:
                api.rotate_signing_key()
                api.issue()
            begin.wait(PATIENCE)
            after = [session.post(f"{api.url}/stateless/natal-chart", json=BIRTH) for _ in range(3)]
        return [response.status_code for response in before + after]

    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(work, range(THREADS))) == [[200] * 6] * THREADS
    assert statuses(api, EXCHANGE) == [200, 200]
    assert statuses(api, CHART).count(401) <= THREADS


@pytest.mark.parametrize("later", [0, STALE, OVER], ids=["at the start", "stale", "over"])
def test_threads_and_tasks_share_one_exchange(bot: Bot, later: float) -> None:
    if later:
        bot.manager.get_access_token()
        bot.stopwatch.seconds += later
    before = bot.exchanges
    bot.api.misbehave(Fault.delay(0.05), EXCHANGE)
    begin = Barrier(9)

    def thread(_: int) -> str:
        begin.wait(PATIENCE)
        return bot.manager.get_access_token()

    async def tasks() -> set[str]:
        begin.wait(PATIENCE)
        return set(
            await asyncio.gather(*(bot.manager.get_access_token_async() for _ in range(500)))
        )

    with ThreadPoolExecutor(8) as pool:
        found = pool.map(thread, range(8))
        tokens = asyncio.run(tasks()) | set(found)
    bot.manager.get_access_token()
    assert len(tokens) == 1
    assert bot.exchanges == before + 1


def test_a_refused_service_token_is_no_storm(bot: Bot) -> None:
    bot.api.revoke(bot.api.tokens[0].id)

    def work(_: int) -> int:
        for _ in range(20):
            with pytest.raises(ServiceTokenRefusedError):
                bot.manager.get_access_token()
        return 1

    with ThreadPoolExecutor(THREADS) as pool:
        assert sum(pool.map(work, range(THREADS))) == THREADS
    assert bot.exchanges == 1


def test_threads_with_loops_of_their_own_share_a_manager(bot: Bot) -> None:
    found: list[str] = []

    def work() -> None:
        found.append(asyncio.run(bot.manager.get_access_token_async()))

    threads = [Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == bot.exchanges == 1


def test_a_child_of_a_fork_has_locks_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.client.forked"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.split() == ["child", "child", "parent"]
