"""Nothing that the library says, shows, logs or lets be copied holds a secret."""

import asyncio
import logging
import pickle
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple

import httpx
import pytest
import requests

from rotator.client import NocturnaAuth, TokenManager, UserSession
from rotator.client.access_tokens import AccessTokens
from rotator.client.bearers import Mode
from rotator.client.httpx import NocturnaAuth as HttpxAuth
from rotator.embedded_api.api import ApiResponse
from rotator.errors import ApiUnreachableError, RotatorError
from rotator.http.client import Limits
from tests.client.support import CHART, EXCHANGE, LOGIN, ONCE, REFRESH, STALE, Bot, no_jitter
from tests.nocturna.support import Stopwatch
from tests.support.sandbox import BIRTH, Fault, Sandbox
from tests.support.waiting import PATIENCE

HASTY = Limits(read=0.1, total=1.0, retries=0)
FAULTS = {
    "fine": Fault(),
    "500 with a live token": Fault.server_error(),
    "502": Fault.html(502),
    "429": Fault.too_many(),
    "401 echo": Fault.status(401),
    "404 echo": Fault.status(404),
    "422 echo": Fault.status(422),
    "200 echo": Fault.status(200),
    "redirect echo": Fault.redirect("/"),
    "reset": Fault.reset_after(),
    "truncated": Fault.truncated(),
    "dropped": Fault.drop_idle(),
    "no answer": Fault.delay(0.2),
}


def echoing(fault: Fault, secrets: set[str]) -> Fault:
    """Put every secret into the answer of a fault that has one of its own."""
    if fault.answer is None:
        return fault
    echo = " ".join(sorted(secrets))
    headers = tuple((name, f"/{echo}") for name, _ in fault.answer.headers)
    body = f'{{"detail": "{echo}"}}'.encode()
    return Fault(work=fault.work, answer=ApiResponse(fault.answer.status, body, None, headers))


def use(tokens: AccessTokens, url: str) -> None:
    requests.post(url, json=BIRTH, auth=NocturnaAuth(tokens), timeout=PATIENCE)


def use_httpx(tokens: AccessTokens, url: str) -> None:
    httpx.post(url, json=BIRTH, auth=HttpxAuth(tokens), timeout=PATIENCE)


def use_async_httpx(tokens: AccessTokens, url: str) -> None:
    async def post() -> None:
        async with httpx.AsyncClient(auth=HttpxAuth(tokens), timeout=PATIENCE) as client:
            await client.post(url, json=BIRTH)

    asyncio.run(post())


def has_token(tokens: AccessTokens) -> bool:
    with suppress(ApiUnreachableError):
        return bool(tokens.get_access_token())
    return False


@pytest.mark.sample(16)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize(
    ("used", "later"), [(use, 0), (use, STALE), (use_httpx, 0), (use_async_httpx, 0)]
)
def test_no_log_line_repr_or_error_holds_a_secret(
    api: Sandbox,
    caplog: pytest.LogCaptureFixture,
    fault: Fault,
    used: Callable[[AccessTokens, str], None],
    later: float,
) -> None:
    caplog.set_level(logging.DEBUG)
    chart = f"{api.url}/stateless/natal-chart"
    bot = Bot(api, api.issue(), HASTY)
    user = UserSession(
        api.url, api.admin_email, api.admin_password, limits=HASTY, now=bot.stopwatch
    )
    said: list[str] = []
    for tokens in (bot.manager, user):
        if later:
            while not has_token(tokens):  # the limits are short for a busy machine
                bot.stopwatch.seconds += 3600
            bot.stopwatch.seconds += later
        for call in (EXCHANGE, LOGIN, REFRESH):
            api.misbehave(echoing(fault, api.secrets), call)
        api.misbehave(Fault.status(401), CHART)
        try:
            used(tokens, chart)
        except RotatorError as error:
            said += [repr(error), *traceback.format_exception(error), str(pickle.dumps(error))]
        said += [repr(tokens), repr(NocturnaAuth(tokens)), repr(HttpxAuth(tokens))]
        said += [repr(tokens._cached), str(tokens._failure)]  # noqa: SLF001 - what a debugger shows
        api.behave()
    said += [*caplog.messages, caplog.text]
    assert any("127.0.0.1" in text for text in caplog.messages), "urllib3's lines are among them"
    assert not [text for text in said for secret in api.secrets if secret in text]


def test_the_service_token_that_an_exchange_sends_back_is_not_kept(bot: Bot) -> None:
    answer = {"access_token": "sent", "refresh_token": "sent-back", "expires_in": 900}
    bot.api.misbehave(Fault.json_of(answer), EXCHANGE)
    assert bot.manager.get_access_token() == "sent"
    held = vars(bot.manager) | {"held": astuple(bot.manager._cached)}  # noqa: SLF001 - all that there is
    assert "'sent'" in str(held)
    assert "sent-back" not in str(held)


@pytest.mark.parametrize("mode", ["exchange", "direct"])
def test_nothing_with_a_secret_in_it_can_be_pickled(api: Sandbox, mode: Mode) -> None:
    token = api.issue()
    manager = TokenManager(api.url, token, limits=ONCE, now=Stopwatch(), jitter=no_jitter)
    user = UserSession(api.url, api.admin_email, api.admin_password)
    manager.get_access_token()
    session = requests.Session()
    session.auth = NocturnaAuth(manager, mode)
    for each in (manager, user, session, HttpxAuth(manager, mode)):
        with pytest.raises((TypeError, AttributeError, pickle.PicklingError)) as caught:
            pickle.dumps(each)
        assert token not in str(caught.value)
