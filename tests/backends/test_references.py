"""A value behind a server that another program turns into a token: it is not overwritten."""

from collections.abc import Callable

import pytest

from tests.backends.conftest import KINDS
from tests.backends.kinds import Site
from tests.support.process import Runner
from tests.support.sandbox import Sandbox


@pytest.mark.parametrize("kind", KINDS)
def test_a_reference_is_told_and_stays(
    kind: str, new_site: Callable[[str], Site], rotator: Runner, api: Sandbox
) -> None:
    site = new_site(kind)
    site.put(reference := "op://bots/luna/token")
    rotator.env |= {"ROTATOR_STORE": site.store_url, **site.variables(site.upstream)}
    check = rotator("check")
    assert check.status == 3
    assert "the value is a reference, which another program replaces" in check.err
    for arguments in (["rotate"], ["rotate", "--force"]):
        assert rotator(*arguments).status == 1
    assert site.secret() == reference
    assert api.tokens == []
