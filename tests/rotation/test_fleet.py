import threading

from rotator.rotation import fleet
from rotator.rotation.model import Action
from rotator.rotation.policy import RotateOptions
from rotator.rotation.report import Report
from rotator.rotation.rotation import Rotation
from tests.support.world import LOGIN, World


def crew(world: World, *files: str) -> list[Rotation]:
    return [world.rotation(world.store(file)) for file in files]


def rotate(rotation: Rotation) -> Report:
    return rotation.rotate(RotateOptions())


def test_reports_come_in_the_order_of_the_tokens(world: World) -> None:
    world.put(world.api.issue(days=60), "b.env")
    reports = fleet.run_fleet(crew(world, "a.env", "b.env", "c.env"), rotate)
    assert [report.action for report in reports] == [Action.ROTATED, Action.KEPT, Action.ROTATED]


def test_progress_is_told_after_each(world: World) -> None:
    done: list[None] = []
    fleet.run_fleet(crew(world, "a.env", "b.env"), rotate, advance=lambda: done.append(None))
    assert len(done) == 2


def test_a_bug_in_one_token_does_not_stop_the_others(world: World) -> None:
    rotations = crew(world, "a.env", "b.env")

    def buggy(rotation: Rotation) -> Report:
        if rotation is rotations[0]:
            raise KeyError("password hunter2")
        return rotate(rotation)

    broken, fine = fleet.run_fleet(rotations, buggy)
    assert fine.action is Action.ROTATED
    assert broken.action is Action.FAILED
    assert str(broken.error).startswith("internal error: KeyError at ")
    assert "hunter2" not in str(broken)


def test_after_a_stop_no_token_is_begun(world: World) -> None:
    stopped = threading.Event()

    def stopping(rotation: Rotation) -> Report:
        stopped.set()
        return rotate(rotation)

    (report,) = fleet.run_fleet(crew(world, "a.env"), stopping, stopped=stopped.is_set)
    assert report.action is Action.ROTATED
    (report,) = fleet.run_fleet(crew(world, "b.env"), stopping, stopped=stopped.is_set)
    assert (report.action, report.reason) == (Action.FAILED, "stopped")
    assert not (world.folder / "b.env").exists()


def test_one_login_serves_the_fleet(world: World) -> None:
    api = world.open_api()
    stores = [world.store(f"{number}.env") for number in range(20)]
    fleet.run_fleet([world.rotation(store, api=api) for store in stores], rotate)
    assert world.api.calls.count(LOGIN) == 1
    assert world.mints() == 20
