"""The daemon watches the tokens of both APIs, with a session at each."""

import re
import signal

import pytest
import requests

from tests.apis.pair import LOGIN, Pair
from tests.support.sandbox import Fault
from tests.support.waiting import PATIENCE

LOGOUT = ("POST", "/auth/logout", 200)


def test_the_daemon_renews_at_each_api_and_logs_out_of_each(pair: Pair) -> None:
    pair.put_all(days=3)
    with pair.run.started("daemon", "--listen", "127.0.0.1:0") as running:
        line = running.wait_for("the status page is at ")
        for name in pair.tokens:
            running.wait_for(f"{name}: rotated (expiring)")
        [url] = re.findall(r"http://\S+", line)
        metrics = requests.get(f"{url}metrics", timeout=PATIENCE).text
        assert running.stop(signal.SIGTERM) == 0
    for token, api in pair.tokens.items():
        assert f'nocturna_rotator_token_info{{api="{api}",token="{token}"}} 1.0' in metrics
    for name in pair.apis:
        assert (pair.count(name, LOGIN), pair.count(name, LOGOUT)) == (1, 1)


@pytest.mark.long
def test_an_api_that_is_away_is_named_and_holds_nobody_up(pair: Pair) -> None:
    pair.put_all(days=3)
    pair.apis["us"].misbehave(Fault.status(502), times=None)
    with pair.run.started("daemon") as running:
        for name, api in pair.tokens.items():
            said = "rotated (expiring)" if api == "eu" else "API us: log in: the API is not able"
            running.wait_for(f"{name}: {said}")
        assert running.stop(signal.SIGTERM) == 0
