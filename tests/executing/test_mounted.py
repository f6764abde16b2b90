"""A Secret in a volume, as Kubernetes mounts it: bare tokens in a folder that one link replaces."""

from tests.executing.helpers import BOT, SOON, count, has
from tests.support.process import Runner
from tests.support.sandbox import Sandbox


def test_a_bare_token_that_is_replaced_by_a_link_restarts_the_program(
    rotator: Runner, api: Sandbox
) -> None:
    tokens = [api.issue(days) for days in (60, 61)]
    for name, token in zip("12", tokens, strict=True):
        (rotator.folder / name).mkdir()
        (rotator.folder / name / "token").write_text(token)
    (rotator.folder / "..data").symlink_to("1")
    (rotator.folder / "token").symlink_to("..data/token")
    rotator.env = {"ROTATOR_STORE": f"file:{rotator.folder}/token"}
    with rotator.started("exec", *SOON, *BOT) as running:
        running.wait_for(has(tokens[0]))
        (rotator.folder / "..new").symlink_to("2")
        (rotator.folder / "..new").replace(rotator.folder / "..data")
        running.wait_for(has(tokens[1]))
        assert running.stop() == 143
    assert count(running, "has ") == 2
