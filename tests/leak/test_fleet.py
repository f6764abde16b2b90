"""A fleet of thirty after a leak, and an API with one worker, which the bots need as well."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from threading import Event, Lock, Thread

import pytest
import requests

from rotator.embedded_api.api import ApiRequest, ApiResponse
from rotator.embedded_api.server import Serve
from tests.status.fleet import put, write_config
from tests.support.process import Runner
from tests.support.sandbox import Sandbox
from tests.support.transcript import Transcript
from tests.support.world import EXCHANGE, LOGIN, MINT, VARIABLE

NAMES = [f"bot-{number}" for number in range(30)]


class BusyApi(Sandbox):
    """Counts the calls of the rotator that it has to do at the same time."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.most = 0
        self._busy = 0
        self._counting = Lock()
        self._serve_one = self.middleware
        self.middleware = self._count

    def _count(self, request: ApiRequest, call_next: Serve) -> ApiResponse:
        assert self._serve_one
        if request.path.endswith(EXCHANGE):  # the bots' call, too
            return self._serve_one(request, call_next)
        with self._counting:
            self._busy += 1
            self.most = max(self.most, self._busy)
        try:
            return self._serve_one(request, call_next)
        finally:
            with self._counting:
                self._busy -= 1


@pytest.fixture
def api(transcript: Transcript) -> Iterator[BusyApi]:
    with BusyApi(call_delay=0.002, login_cpu=0.24) as api:
        yield api
    transcript.secrets |= api.secrets


class Bots:
    """Exchange the token that their file shows, one after the other, again and again."""

    def __init__(self, rotator: Runner, api: Sandbox) -> None:
        self._folder = rotator.folder
        self._url = f"{api.url}{EXCHANGE}"
        self.served = 0
        self.refused: list[str] = []

    @contextmanager
    def at_work(self) -> Iterator[None]:
        done = Event()
        thread = Thread(target=self._work, args=(done,))
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _work(self, done: Event) -> None:
        with requests.Session() as session:
            for name in cycle(NAMES):
                if not self._is_served(session, name):
                    self.refused.append(name)
                if done.wait(0.01):
                    return

    def _is_served(self, session: requests.Session, name: str) -> bool:
        for _ in range(2):  # the token may be revoked after it was read
            found = VARIABLE.search((self._folder / f"{name}.env").read_text())
            headers = {"Authorization": f"Bearer {found[1] if found else ''}"}
            if session.post(self._url, headers=headers).status_code == 200:
                self.served += 1
                return True
        return False


def test_every_token_is_replaced_while_the_bots_are_served(rotator: Runner, api: BusyApi) -> None:
    write_config(rotator, {name: [f"dotenv:{name}.env"] for name in NAMES})
    for name in NAMES:
        put(rotator.folder, f"{name}.env", api.issue(days=60))
    leaked = {row.id for row in api.tokens}
    bots = Bots(rotator, api)
    with bots.at_work():
        result = rotator("leaked", "--all", "--yes", "--json", "--report", "incident.md")
    assert (result.status, result.json["state"]) == (0, "done")
    assert (api.calls.count(LOGIN), api.calls.count(MINT), api.most) == (1, 30, 1)
    assert not leaked & {row.id for row in api.live_tokens()}
    assert len(api.live_tokens()) == 30
    assert bots.served > 0
    assert bots.refused == []
    text = (rotator.folder / "incident.md").read_text()
    rotator.transcript.add("the report", text)
    assert text.replace("\n  ", " ").count(": revoked: it is no longer exchanged;") == 30
