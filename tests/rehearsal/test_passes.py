"""A rehearsal that passes: every step is taken, and nothing is left."""

from rotator.rotation.rehearsal_report import Step
from tests.support.world import World


def test_all_steps_are_taken_and_nothing_is_left(world: World, old: str) -> None:
    file = world.folder / ".env"
    before, status = file.read_bytes(), file.stat()
    report = world.rehearsal().run(with_hooks=True)
    assert report.error is None
    assert [each.step for each in report.steps] == [
        step for step in Step if step not in (Step.CLEAR_UP, Step.HOOK)
    ]
    assert file.read_bytes() == before
    assert [path.name for path in world.folder.iterdir()] == [".env"]
    assert [row.secret for row in world.api.live_tokens()] == [old]
    assert world.mints() == 1
    assert status.st_mode == file.stat().st_mode
