"""How often a rotation replaces the file of a token: each time, a reader has to open it anew."""

from datetime import timedelta
from itertools import pairwise

import pytest

from rotator.rotation.model import Action
from rotator.rotation.policy import RotateOptions
from tests.support.stores import MeddledStore
from tests.support.world import Changes, World

INTENT, ANSWER, PROMOTE, DONE = range(1, 5)
HOOK = (("true",),)
NOW = timedelta()


@pytest.mark.parametrize(
    ("settings", "replaced"),
    [
        (Changes(), PROMOTE),
        (Changes(hooks=HOOK), DONE),
        (Changes(retire=NOW), DONE),
        (Changes(hooks=HOOK, retire=NOW), DONE),
    ],
    ids=["a new token alone", "a hook", "an old token", "a hook and an old token"],
)
def test_a_file_is_replaced_as_seldom_as_a_death_at_any_moment_allows(
    world: World, settings: Changes, replaced: int
) -> None:
    for file in ("a.env", "b.env"):
        world.put(world.api.issue(days=3), file)
    seen: dict[str, list[int]] = {}

    def watched(file: str) -> MeddledStore:
        inodes = seen[file] = [(world.folder / file).stat().st_ino]

        def look() -> None:
            inodes.append((world.folder / file).stat().st_ino)

        return MeddledStore(world.store(file), after_write=look, after_note=look)

    stores = [watched("a.env"), watched("b.env")]
    report = world.rotation(*stores, **settings).rotate(RotateOptions())
    assert (report.action, report.error) == (Action.ROTATED, None)
    for inodes in seen.values():
        assert all(one != next_one for one, next_one in pairwise(inodes))
    # In the second store there is nothing but the token, and what becomes of the old one.
    assert [len(inodes) - 1 for inodes in seen.values()] == [replaced, 1 + ("retire" in settings)]
