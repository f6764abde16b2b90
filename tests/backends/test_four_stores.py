"""One token in a file and behind three servers, one of which is away for a while."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.backends.conftest import KINDS
from tests.backends.kinds import Site
from tests.support.process import Runner
from tests.support.relay import Relay
from tests.support.sandbox import Sandbox
from tests.support.world import MINT

CONFIG = '[[token]]\nname = "luna-bot"\nstores = {}\n'


@pytest.fixture
def sites(new_site: Callable[[str], Site]) -> list[Site]:
    return [new_site(kind) for kind in KINDS]


@pytest.fixture
def relays(sites: list[Site], rotator: Runner, api: Sandbox) -> Iterator[list[Relay]]:
    """Put the due token into all four, and a relay before each server."""
    old = api.issue(days=3)
    rotator.write_env(old)
    stores = ["dotenv:.env", *(site.store_url for site in sites)]
    (rotator.folder / "rotator.toml").write_text(CONFIG.format(json.dumps(stores)))
    del rotator.env["ROTATOR_STORE"]
    opened = [Relay(site.upstream) for site in sites]
    for site, relay in zip(sites, opened, strict=True):
        site.put(old)
        relay.__enter__()
        rotator.env |= site.variables(relay.url)
    yield opened
    for relay in opened:
        relay.__exit__()


def held(rotator: Runner, sites: list[Site]) -> list[str | None]:
    lines = rotator.env_file.read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("NOCTURNA_SERVICE_TOKEN="))
    return [line.partition("=")[2], *(site.secret() for site in sites)]


def test_one_run_writes_the_same_new_token_to_all(
    rotator: Runner, api: Sandbox, sites: list[Site], relays: list[Relay]
) -> None:
    assert all(relay.moments == [] for relay in relays)
    result = rotator("rotate", "--json")
    (report,) = result.json
    assert (result.status, report["action"], report["error"]) == (0, "rotated", None)
    assert [store["status"] for store in report["stores"]] == ["written"] * 4
    (secret,) = set(held(rotator, sites))
    assert secret
    assert api.accepts(secret)


@pytest.mark.sample(1)
@pytest.mark.parametrize("number", range(len(KINDS)), ids=KINDS)
def test_one_that_was_away_is_caught_up_without_a_second_mint(
    rotator: Runner, api: Sandbox, sites: list[Site], relays: list[Relay], number: int
) -> None:
    with relays[number].away():
        result = rotator("rotate", "--json")
    (report,) = result.json
    statuses = [store["status"] for store in report["stores"]]
    assert (result.status, report["action"]) == (1, "rotated")
    assert statuses == ["written" if n != number + 1 else "unreachable" for n in range(4)]
    assert len(set(held(rotator, sites))) == 2
    again = rotator("rotate", "--json")
    (report,) = again.json
    assert (again.status, report["action"], report["error"]) == (0, "converged", None)
    assert len(set(held(rotator, sites))) == 1
    assert api.calls.count(MINT) == 1
    assert Path(rotator.folder, ".env").stat().st_mode & 0o777 == 0o600
