from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from rotator.rotation.model import Action
from rotator.rotation.policy import RotateOptions
from rotator.rotation.report import Report
from tests.support.world import LOGIN, World

RIVALS = 8


def race(world: World, order: RotateOptions) -> list[Report]:
    """Let several rotators, each with a session and a store of its own, begin at one moment."""
    barrier = Barrier(RIVALS)

    def rival() -> Report:
        rotation = world.rotation(world.store())
        barrier.wait()
        return rotation.rotate(order)

    with ThreadPoolExecutor(RIVALS) as pool:
        return [future.result() for future in [pool.submit(rival) for _ in range(RIVALS)]]


def test_several_rotators_at_once_mint_one_token(world: World) -> None:
    old = world.api.issue(days=3)
    world.put(old)
    reports = race(world, RotateOptions())
    actions = [report.action for report in reports]
    assert actions.count(Action.ROTATED) == 1
    assert set(actions) <= {Action.ROTATED, Action.SKIPPED, Action.KEPT}
    assert {row.secret for row in world.api.live_tokens()} == {old, world.secret()}
    assert not [report.error for report in reports if report.error]


def test_nothing_is_left_beside_the_file(world: World) -> None:
    world.put(world.api.issue(days=3))
    race(world, RotateOptions())
    assert [path.name for path in world.folder.iterdir()] == [".env"]


def test_those_that_waited_do_not_log_in(world: World) -> None:
    world.put(world.api.issue(days=3))
    race(world, RotateOptions())
    assert world.api.calls.count(LOGIN) == 1


def test_every_token_that_was_forced_ends_in_the_store_or_is_the_old_one_of_another(
    world: World,
) -> None:
    world.put(world.api.issue(days=3))
    reports = race(world, RotateOptions(force=True))
    rotated = [report for report in reports if report.action is Action.ROTATED]
    assert world.mints() == len(rotated)
    assert world.token().token_id in {report.token_id for report in rotated}
