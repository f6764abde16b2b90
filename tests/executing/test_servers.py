"""`rotator exec` with a store behind a server: OpenBao, read with the rights to look only."""

from collections.abc import Iterator

import pytest

from tests.executing.helpers import BOT, SOON, count, has
from tests.support.process import Runner
from tests.support.relay import Relay
from tests.support.sandbox import Sandbox
from tests.vault.site import Site, run_bao


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with run_bao() as bao:
        site = Site(bao)
        site.token = bao.token_for(site.policy(to_look=True), "exec")
        yield site


def test_a_rotated_secret_restarts_the_program_and_a_server_that_is_away_does_not(
    rotator: Runner, api: Sandbox, site: Site
) -> None:
    site.put(first := api.issue(days=60))
    with Relay(site.upstream) as relay:
        rotator.env = {"ROTATOR_STORE": site.store_url, **site.variables(relay.url)}
        with rotator.started("exec", *SOON, "--poll", "1s", *BOT) as running:
            running.wait_for(has(first))
            site.put(second := api.issue(days=61))
            running.wait_for(has(second))
            with relay.away():
                assert site.store_url in running.wait_for("goes on with the token that it has")
                site.put(third := api.issue(days=62))
            running.wait_for("its stores are in order again")
            running.wait_for(has(third))
            assert running.stop() == 143
    assert count(running, "has ") == 3
    assert {moment.split()[1] for moment in relay.moments} == {"GET"}
