"""Each kind of source, rotated under a bot that runs."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from rotator.client import (
    ServiceTokenRefusedError,
    ServiceTokenUnavailableError,
)
from rotator.client.service_token import CachedServiceToken
from rotator.client.sources import open_source
from rotator.errors import ApiFaultError
from tests.client.support import EXCHANGE, OVER, STALE, Bot, no_jitter, statuses
from tests.nocturna.support import Stopwatch
from tests.support.sandbox import Fault, Sandbox


class Place(NamedTuple):
    source: str | Callable[[], str]
    put: Callable[[str], None]
    name: str


@pytest.fixture(params=["file", "file with a newline", "env", "dotenv", "callable"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    file = tmp_path / "token"
    match request.param:
        case "file":
            return Place(f"file:{file}", lambda text: _write(file, text), f"file://{file}")
        case "file with a newline":
            monkeypatch.chdir(tmp_path)
            return Place("file:token", lambda text: _write(file, f"{text}\n"), f"file://{file}")
        case "env":
            return Place("env:BOT", lambda text: monkeypatch.setenv("BOT", text), "env:BOT")
        case "dotenv":
            url = f"dotenv://{file}#BOT"
            return Place(url, lambda text: _write(file, f"A=1\nBOT={text}\n"), url)
        case _:
            held: list[str] = []

            def newest() -> str:
                return held[-1]

            return Place(newest, held.append, "newest")


def _write(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o600)


@pytest.fixture
def bot(api: Sandbox, place: Place) -> Bot:
    place.put(api.issue(days=30))
    return Bot(api, place.source)


def rotate(bot: Bot, place: Place) -> None:
    """Replace the token, and revoke the old one."""
    old = bot.api.live_tokens()
    place.put(bot.api.issue(days=60))
    for row in old:
        bot.api.revoke(row.id)


def until_the_next_look(place: Place) -> float:
    """Return seconds: what may be on the network is not asked at every call."""
    return 5.01 if place.name == "newest" else 0


def test_a_token_is_read_from_each_kind_of_source(bot: Bot, place: Place) -> None:
    assert bot.manager.get_service_token() == bot.api.tokens[0].secret
    assert place.name in repr(bot.manager)
    assert bot.manager.get_access_token()


def test_a_rotated_token_is_taken_up_before_the_old_one_is_refused_where_that_costs_little(
    bot: Bot, place: Place
) -> None:
    bot.manager.get_access_token()
    place.put(bot.api.issue(days=60))
    bot.stopwatch.seconds += STALE
    bot.manager.get_access_token()
    newest = 0 if place.name == "newest" else 1
    assert bot.manager.get_service_token() == bot.api.tokens[newest].secret
    assert statuses(bot.api, EXCHANGE) == [200, 200]


@pytest.mark.parametrize("later", [STALE, OVER])
def test_a_rotated_token_is_taken_up_with_the_next_exchange(
    bot: Bot, place: Place, later: float
) -> None:
    bot.manager.get_access_token()
    rotate(bot, place)
    bot.stopwatch.seconds += later
    bot.manager.get_access_token()
    assert statuses(bot.api, EXCHANGE)[-1] == 200
    assert bot.manager.get_service_token() == bot.api.tokens[1].secret


def test_a_rotated_token_is_taken_up_after_a_401(bot: Bot, place: Place) -> None:
    token = bot.manager.get_access_token()
    rotate(bot, place)
    bot.manager.invalidate(token)
    bot.manager.get_access_token()
    assert statuses(bot.api, EXCHANGE) == [200, 200]


def test_a_refused_token_fails_at_once_and_the_message_says_what_to_do(
    bot: Bot, place: Place
) -> None:
    [row] = bot.api.tokens
    bot.api.revoke(row.id)
    with pytest.raises(ServiceTokenRefusedError) as caught:
        bot.manager.get_access_token()
    message = str(caught.value)
    assert not caught.value.retryable
    assert f"does not accept service token {row.id} (401)" in message
    assert place.name in message
    assert message.endswith("renew it: rotator rotate")
    for _ in range(100):
        with pytest.raises(ServiceTokenRefusedError, match=row.id):
            bot.manager.get_access_token()
    assert bot.exchanges == 1


def test_a_rotated_token_ends_the_pause_of_a_refused_one(bot: Bot, place: Place) -> None:
    bot.api.revoke(bot.api.tokens[0].id)
    for _ in range(10):  # so that the pause has grown to a minute
        bot.stopwatch.seconds += 61
        with pytest.raises(ServiceTokenRefusedError):
            bot.manager.get_access_token()
    place.put(bot.api.issue())
    bot.stopwatch.seconds += until_the_next_look(place)
    assert bot.manager.get_access_token()


def test_a_rotated_token_does_not_end_the_pause_of_a_server_that_is_down(
    bot: Bot, place: Place
) -> None:
    bot.api.misbehave(Fault.html(502), EXCHANGE)
    with pytest.raises(ApiFaultError):
        bot.manager.get_access_token()
    place.put(bot.api.issue())
    with pytest.raises(ApiFaultError):
        bot.manager.get_access_token()
    assert bot.exchanges == 1


def test_what_is_no_token_is_told_with_its_place_and_mended_at_once(bot: Bot, place: Place) -> None:
    good = bot.api.tokens[0].secret
    place.put("x" * 40)
    with pytest.raises(ServiceTokenUnavailableError, match="the value is not a JWT") as caught:
        bot.manager.get_access_token()
    assert place.name in str(caught.value)
    assert "xxx" not in str(caught.value)
    assert bot.exchanges == 0
    place.put(good)
    bot.stopwatch.seconds += until_the_next_look(place)
    assert bot.manager.get_access_token()


def test_a_source_that_breaks_later_is_no_harm_while_the_token_of_before_works(
    bot: Bot, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    bot.manager.get_access_token()
    place.put("x" * 40)
    bot.manager.invalidate(bot.manager.get_access_token())
    assert bot.manager.get_access_token()
    assert "the token that was read last is used" in caplog.text


def test_a_token_that_is_refused_and_whose_source_is_broken_is_refused(
    bot: Bot, place: Place
) -> None:
    bot.manager.get_access_token()
    bot.api.revoke(bot.api.tokens[0].id)
    place.put("x" * 40)
    bot.stopwatch.seconds += OVER
    with pytest.raises(ServiceTokenRefusedError):
        bot.manager.get_access_token()


def test_another_token_that_is_refused_as_well_is_not_tried_for_ever(
    bot: Bot, place: Place
) -> None:
    bot.manager.get_access_token()
    second = bot.api.issue()
    for row in bot.api.tokens:
        bot.api.revoke(row.id)
    bot.api.misbehave(Fault.meanwhile(lambda: place.put(second), "before"), EXCHANGE)
    bot.stopwatch.seconds += OVER
    for _ in range(10):
        with pytest.raises(ServiceTokenRefusedError, match=bot.api.tokens[1].id):
            bot.manager.get_access_token()
    assert statuses(bot.api, EXCHANGE) == [200, 401, 401]


def test_a_source_on_the_network_is_not_asked_at_every_failed_call(api: Sandbox) -> None:
    token, asked = api.issue(), []

    def store() -> str:
        asked.append(1)
        return token

    stopwatch = Stopwatch()
    cached = CachedServiceToken(open_source(store, Path()), stopwatch, no_jitter)
    cached.get()
    for _ in range(6000):
        assert cached.newer_than(token) is None
        stopwatch.seconds += 0.01
    assert 10 < len(asked) < 20  # in a minute
    token = api.issue(days=60)
    stopwatch.seconds += 5.01
    before = len(asked)
    for _ in range(64):  # threads, all with the same refused token
        newer = cached.newer_than(api.tokens[0].secret)
        assert newer
        assert newer.secret == token
    assert len(asked) == before + 1
