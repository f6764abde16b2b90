"""`rotator init` in a terminal, for a bot whose token is behind a server of each kind."""

from collections.abc import Callable

import pytest

from tests.backends.kinds import Site
from tests.init.talk import KEEP, NUMBER, STORE, finish, log_in, talking
from tests.support.process import Runner
from tests.support.sandbox import Sandbox
from tests.support.screen import Screen


def _vault(screen: Screen, site: Site) -> None:
    screen.answer(NUMBER, "2")
    screen.answer("Mount and path", site.store_url.partition("://")[2].partition("#")[0])
    screen.answer("The field", "")


def _aws(screen: Screen, site: Site) -> None:
    screen.answer(NUMBER, "3")
    screen.answer("The secret's name", site.store_url.partition("://")[2].partition("?")[0])
    screen.answer("The region", "")
    screen.answer("The key in its JSON", "")


def _kubernetes(screen: Screen, site: Site) -> None:
    namespace, _, name = site.store_url.partition("://")[2].partition("#")[0].partition("/")
    screen.answer(NUMBER, "4")
    screen.answer("The namespace", namespace)
    screen.answer("The Secret's name", name)
    screen.answer("The key in it", "")


WRONG = {
    "vault": "vault://nowhere/luna",
    "aws": "aws-secretsmanager://nowhere?region=eu-west-1#A",
    "kubernetes": "kubernetes://nowhere/luna",
}
ANSWERS = {"vault": _vault, "aws": _aws, "kubernetes": _kubernetes}


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_bot_is_set_up_and_its_token_rotated(
    rotator: Runner, api: Sandbox, new_site: Callable[[str], Site], kind: str
) -> None:
    site = new_site(kind)
    old = api.issue(days=3)
    site.put(old)
    (rotator.folder / "admin-password").unlink()
    rotator.env = dict(site.variables(site.upstream))
    with talking(rotator) as screen:
        log_in(screen, api)
        screen.wait_for(STORE)
        screen.answer(NUMBER, WRONG[kind])
        screen.wait_for("  no: ")
        screen.answer(KEEP, "n")
        ANSWERS[kind](screen, site)
        screen.wait_for("it can be written, and holds a token with 3 days left")
        shown = finish(screen)
    assert "next: rotator rotate\n" in shown
    assert site.store_url.partition("#")[0] in (rotator.folder / "rotator.toml").read_text()
    result = rotator("rotate")
    assert (result.status, result.err) == (0, "")
    new = site.secret()
    assert new
    assert new != old
    assert api.accepts(new)
