import pytest

from rotator.errors import ApiUnreachableError, TokenRefusedError
from rotator.nocturna.service_tokens import PAUSE_AFTER_SILENCE
from tests.nocturna.support import QUICK, client_of
from tests.support.sandbox import Fault, Sandbox

EXCHANGE = "/auth/service-token/refresh"
TRIES = QUICK.retries + 1


def test_an_accepted_token_is_no_error(api: Sandbox) -> None:
    client_of(api).tokens.probe(api.issue())
    assert api.calls == [("POST", EXCHANGE, 200)]


def test_a_refused_token_is_told_each_time(api: Sandbox) -> None:
    client = client_of(api)
    for _ in range(2):
        with pytest.raises(TokenRefusedError):
            client.tokens.probe("nonsense")
    assert len(api.calls) == 2


def test_a_server_that_is_silent_to_one_is_not_asked_for_the_whole_fleet(api: Sandbox) -> None:
    client = client_of(api)
    secret = api.issue()
    api.misbehave(Fault.reset_before(), f"POST {EXCHANGE}", times=TRIES)
    for _ in range(50):
        with pytest.raises(ApiUnreachableError):
            client.tokens.probe(secret)
    assert len(api.calls) == TRIES
    client.stopwatch.seconds += PAUSE_AFTER_SILENCE
    client.tokens.probe(secret)


def test_the_proof_of_a_new_token_is_never_spared(api: Sandbox) -> None:
    client = client_of(api)
    secret = api.issue()
    api.misbehave(Fault.reset_before(), f"POST {EXCHANGE}", times=TRIES)
    with pytest.raises(ApiUnreachableError):
        client.tokens.probe(secret)
    assert client.tokens.exchange(secret).secret
