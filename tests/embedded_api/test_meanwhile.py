"""What happens elsewhere at an exact moment of a call: races, and clients that die."""

import os
import signal
import subprocess
import sys
from threading import Event, Thread
from typing import Literal

import pytest

from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import PATIENCE, wait_until

from .client import LIST, MINT, Client

Moment = Literal["before", "after"]
CLIENT = """
import sys
from urllib.request import Request, urlopen
url, token = sys.argv[1:]
headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
urlopen(Request(url, b"{}", headers))
print("answered")
"""


@pytest.mark.parametrize(("moment", "made"), [("before", 0), ("after", 1)])
def test_the_action_sees_a_call_before_or_after_its_work(
    api: Sandbox, client: Client, admin: str, moment: Moment, made: int
) -> None:
    seen: list[tuple[int, int]] = []

    def look() -> None:
        seen.append((len(api.tokens), len(api.calls)))

    fault = Fault.meanwhile(look, moment)
    api.misbehave(fault, call=MINT)
    reply = client.call(MINT, bearer=admin, order={})
    assert (reply.status, reply.json["token_id"]) == (200, api.tokens[0].id)
    assert seen == [(made, 0)]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_the_action_may_call_the_api_itself(
    api: Sandbox, client: Client, admin: str, moment: Moment
) -> None:
    def mint_another() -> None:
        other = Client(api.url)
        assert other.call(MINT, bearer=admin, order={}).status == 200
        other.close()

    fault = Fault.meanwhile(mint_another, moment)
    api.misbehave(fault, call=MINT)
    ours = client.call(MINT, bearer=admin, order={}).json["token_id"]
    assert [row.id == ours for row in api.tokens] == [moment == "after", moment == "before"]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_other_calls_are_served_while_the_action_takes_its_time(
    api: Sandbox, client: Client, admin: str, moment: Moment
) -> None:
    reached, go_on = Event(), Event()

    def wait() -> None:
        reached.set()
        assert go_on.wait(PATIENCE)

    api.misbehave(Fault.meanwhile(wait, moment), call=MINT)
    slow = Client(api.url)
    thread = Thread(target=slow.call, args=[MINT], kwargs={"bearer": admin, "order": {}})
    thread.start()
    assert reached.wait(PATIENCE)
    assert len(client.call(LIST, bearer=admin).json) == (moment == "after")
    go_on.set()
    thread.join()
    slow.close()
    assert len(api.tokens) == 1


@pytest.mark.parametrize(("moment", "made"), [("before", 0), ("after", 1)])
def test_a_client_can_be_killed_at_that_moment(
    api: Sandbox, client: Client, admin: str, moment: Moment, made: int
) -> None:
    children: list[subprocess.Popen[str]] = []
    started = Event()
    at_the_kill: list[int] = []

    def kill() -> None:
        started.wait(PATIENCE)
        children[0].send_signal(signal.SIGKILL)
        children[0].wait(PATIENCE)
        at_the_kill.append(len(api.tokens))

    api.misbehave(Fault.meanwhile(kill, moment), call=MINT)
    url = f"{api.url}/auth/admin/service-tokens"
    children.append(
        subprocess.Popen(
            [sys.executable, "-c", CLIENT, url, admin],
            env={"PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            text=True,
        )
    )
    started.set()
    out, _ = children[0].communicate(timeout=PATIENCE)
    assert (out, children[0].returncode) == ("", -signal.SIGKILL)
    wait_until(lambda: api.calls)
    assert at_the_kill == [made]
    assert len(api.live_tokens()) == 1
    assert client.call("GET /health").status == 200


def test_an_action_that_raises_ends_the_connection(
    api: Sandbox, client: Client, admin: str
) -> None:
    def fail() -> None:
        raise ValueError("mine")

    api.misbehave(Fault.meanwhile(fail, "before"), call=MINT)
    with pytest.raises(ConnectionError):
        client.call(MINT, bearer=admin, order={})
    assert api.tokens == []
    assert client.call("GET /health").status == 200
