"""Twenty rotators at once on one secret in a store that no lock of this machine protects."""

import pytest

from tests.backends.conftest import MANY_KINDS
from tests.backends.kinds import Site
from tests.commands.test_races import CROWD, crowd, crowd_log
from tests.support.process import Runner
from tests.support.sandbox import Sandbox
from tests.support.transcript import Transcript


@pytest.mark.parametrize("site", MANY_KINDS, indirect=True)
def test_of_twenty_forced_rotations_one_new_token_survives_each_round(
    site: Site, rotator: Runner, api: Sandbox, transcript: Transcript, *, long: bool
) -> None:
    site.put(api.issue(days=3))
    rotator.use(api, site.store_url)
    rotator.env |= site.variables(site.upstream)
    before, neighbours = {row.id for row in api.tokens}, site.neighbours()
    with crowd(rotator, transcript, "rotate", "--force", ROTATOR_RETIRE="now") as rivals:
        for _ in range(10 if long else 1):
            assert rivals.go() == [0] * CROWD, crowd_log(rotator)
            (survivor,) = api.live_tokens()
            assert survivor.id not in before
            before = {row.id for row in api.tokens}
            assert site.secret() == survivor.secret
    assert site.neighbours() == neighbours
