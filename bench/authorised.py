"""Part d: what authorising a call costs while the token is fresh, beside google-auth."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

from bench.api import Api
from bench.table import Row

TURNS = 21
CALLS = 32_000  # in each turn, by all threads together
THREADS = 32
AT_MOST = 1.0
MICROSECONDS = 5.0
METHOD = f"""\
Threads of this very process, no network: a new dict of headers that gets the bearer of
`TokenManager.get_access_token`, and one that google-auth's `Credentials.before_request` gets, with
a valid token. "auth=" is our whole class for requests, with its look at the URL and its hook for a
401, on a prepared request. Each less the same with a constant for a bearer. {TURNS} turns of
{CALLS:,} calls; microseconds by the call. Ours has to be below {MICROSECONDS:.0f} us, too.
"""
_URL = "https://your-api-server.com/api/stateless/natal-chart"

Step = Callable[[], object]


class _Way(NamedTuple):
    """Something to measure, and what is taken off: the same with a constant for a bearer."""

    step: Step
    bare: Step


def measure(folder: Path) -> list[Row]:
    """Compare with one thread and with many."""
    del folder  # nothing is written
    # Only here: the benchmark's own process is to stay small for the other parts.
    from rotator.client import NocturnaAuth, TokenManager  # noqa: PLC0415

    with Api(call_delay=0, login_cpu=0) as api:
        manager = TokenManager(api.variables["NOCTURNA_API_URL"], *api.issue(1))
        manager.get_access_token()
    header = _header(manager.get_access_token)
    whole = _whole(NocturnaAuth(manager), manager.api_url)
    theirs = _theirs()
    return [
        _compared(f"(d) {name}, {count} thread{'s' * (count > 1)}", way, theirs, count)
        for name, way in (("bearer", header), ("auth=", whole))
        for count in (1, THREADS)
    ]


def _header(get_access_token: Callable[[], str]) -> _Way:
    def step() -> None:
        headers: dict[str, str] = {}
        headers["Authorization"] = "Bearer " + get_access_token()

    return _Way(step, _constant)


def _constant() -> None:
    headers: dict[str, str] = {}
    headers["Authorization"] = "Bearer constant"


def _whole(auth: Callable[..., object], url: str) -> _Way:
    import requests  # noqa: PLC0415 - (the same)
    from requests.structures import CaseInsensitiveDict  # noqa: PLC0415 - (the same)

    local = threading.local()

    def request() -> requests.PreparedRequest:
        if not hasattr(local, "request"):
            local.request = requests.Request("GET", url).prepare()
        prepared: requests.PreparedRequest = local.request
        prepared.hooks = {"response": []}
        prepared.headers = CaseInsensitiveDict()
        return prepared

    def step() -> None:
        auth(request())

    def bare() -> None:
        request().headers["Authorization"] = "Bearer constant"

    return _Way(step, bare)


def _theirs() -> _Way:
    from google.auth.credentials import Credentials  # noqa: PLC0415 - (the same)

    class Valid(Credentials):
        def refresh(self, request: object) -> None:
            raise NotImplementedError

    credentials = Valid()  # type: ignore[no-untyped-call] # google-auth has few types
    credentials.token = "x" * 300
    credentials.expiry = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1)

    def step() -> None:
        headers: dict[str, str] = {}
        credentials.before_request(None, "GET", _URL, headers)  # type: ignore[no-untyped-call] # (the same)

    return _Way(step, _constant)


def _compared(what: str, ours: _Way, theirs: _Way, threads: int) -> Row:
    turns = [(_cost(ours, threads), _cost(theirs, threads)) for _ in range(TURNS + 1)][1:]
    mine, other = (median(turn[who] for turn in turns) for who in (0, 1))
    low, _, high = quantiles([turn[0] / turn[1] for turn in turns], n=4)
    return Row(
        what=what,
        ours=f"{mine:.2f} us",
        theirs=f"{other:.2f} us",
        ratio=f"{mine / other:.2f}",
        quartiles=f"{low:.2f}-{high:.2f}",
        target=f"<= {AT_MOST:.2f}",
        met=mine / other <= AT_MOST and mine < MICROSECONDS,
    )


def _cost(way: _Way, threads: int) -> float:
    """Return the microseconds that one call adds to one with a constant."""
    return _microseconds(way.step, threads) - _microseconds(way.bare, threads)


def _microseconds(step: Step, threads: int) -> float:
    calls = range(CALLS // threads)
    begin = threading.Barrier(threads + 1)

    def work() -> None:
        begin.wait()
        for _ in calls:
            step()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    begin.wait()
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    return (time.perf_counter() - began) / CALLS * 1e6
