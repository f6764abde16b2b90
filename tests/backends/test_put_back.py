"""A token that somebody puts back behind a server, with the least rights that the docs print."""

from collections.abc import Callable

import pytest

from tests.backends.conftest import KINDS
from tests.backends.kinds import Site
from tests.support.process import Runner
from tests.support.sandbox import Sandbox
from tests.support.world import MINT


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_that_was_put_back_makes_no_heap_of_new_ones(
    kind: str, new_site: Callable[[str], Site], rotator: Runner, api: Sandbox
) -> None:
    site = new_site(kind)
    old = api.issue(days=3)
    site.put(old)
    rotator.env |= {"ROTATOR_STORE": site.store_url, **site.variables(site.upstream)}
    assert rotator("rotate").status == 0
    newer = site.secret()
    keeps_history = kind != "kubernetes"
    for number in range(3):
        site.put(old)
        check = rotator("check", "--json")
        assert (check.status, check.json[0]["reason"]) == (1, "put_back")
        result = rotator("rotate", "--json")
        (report,) = result.json
        assert "was put back" in "; ".join((report["error"] or "", *report["notes"]))
        assert (result.status, bool(report["error"])) == ((1, True) if number else (0, False))
        assert api.calls.count(MINT) == (1 if keeps_history else 2)
        assert site.secret() == newer or not keeps_history
        assert old not in result.out + result.err
