"""`rotator rotate --shard`: runs that share a fleet out without knowing of each other."""

from datetime import timedelta

import pytest

from rotator.clock import utc_now
from rotator.rotation.shards import tokens_of_shard
from rotator.stores.journal import Intent, scope_digest
from tests.support.process import Runner
from tests.support.sandbox import Sandbox

NAMES = ("luna", "sol", "mars", "venus")
HERE, THERE = tokens_of_shard(NAMES, 0, 2), tokens_of_shard(NAMES, 1, 2)


@pytest.fixture
def fleet(rotator: Runner) -> Runner:
    config = "".join(f'[[token]]\nname = "{n}"\nstores = ["dotenv:{n}.env"]\n' for n in NAMES)
    (rotator.folder / "rotator.toml").write_text(config)
    del rotator.env["ROTATOR_STORE"]
    return rotator


def put(rotator: Runner, name: str, secret: str, journal: str = "") -> None:
    file = rotator.folder / f"{name}.env"
    file.write_text(f"{journal}NOCTURNA_SERVICE_TOKEN={secret}\n")
    file.chmod(0o600)


def served(out: str) -> list[str]:
    """Return the names in the order of the config; the command sorts them, and counts last."""
    names = {line.partition(":")[0] for line in out.splitlines() if ":" in line}
    return [name for name in NAMES if name in names]


def test_each_token_is_served_once(fleet: Runner, api: Sandbox) -> None:
    for name in NAMES:
        put(fleet, name, api.issue(days=3))
    assert HERE
    assert THERE
    assert served(fleet("rotate", "--shard", "0/2").out) == HERE
    assert served(fleet("rotate", "--shard", "1/2").out) == THERE
    assert fleet("check").status == 0


def test_of_names_it_takes_its_share(fleet: Runner, api: Sandbox) -> None:
    put(fleet, THERE[0], api.issue(days=60))
    result = fleet("rotate", "--shard", "1/2", HERE[0], THERE[0])
    assert (result.status, served(result.out)) == (0, [THERE[0]])


def test_an_empty_share_is_no_failure(fleet: Runner) -> None:
    result = fleet("rotate", "--shard", "0/2", THERE[0])
    assert (result.status, result.err) == (0, "")
    assert result.out == "no token belongs to the shard 0/2\n"
    assert fleet("rotate", "--shard", "0/2", "--json", THERE[0]).json == []
    assert fleet("rotate", "--shard", "0/2", "nobody").status == 2


@pytest.mark.parametrize("held", [True, False], ids=["held by another shard", "held by nobody"])
def test_what_is_left_over_is_told_by_all_stores_of_the_config(
    fleet: Runner, api: Sandbox, *, held: bool
) -> None:
    begun = utc_now() - timedelta(minutes=10)
    intent = Intent("0" * 12, begun, 90, scope_digest("calculations"))
    put(fleet, HERE[0], api.issue(days=60), f"# rotator: v=1 intent={intent.to_text()}\n")
    made = begun + timedelta(seconds=5)
    suspicious = api.issue(created_at=made, expires_at=made + timedelta(days=90))
    if held:
        put(fleet, THERE[0], suspicious)
    result = fleet("rotate", "--shard", "0/2", HERE[0])
    assert (result.status, served(result.out)) == (0, [HERE[0]])
    assert api.accepts(suspicious) is held
