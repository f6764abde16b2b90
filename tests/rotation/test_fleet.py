import threading
import time

import pytest

from rotator.embedded_api.api import ApiRequest, ApiResponse, relative_path
from rotator.embedded_api.server import Serve
from rotator.http.throttle import API_CONNECTIONS
from rotator.rotation import fleet
from rotator.rotation.model import Action
from rotator.rotation.policy import RotateOptions
from rotator.rotation.report import Report
from rotator.rotation.rotation import Rotation
from tests.support.sandbox import Sandbox
from tests.support.waiting import wait_until
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


class OneWorker:
    """Lets the API do one call after the other, each in its time; does none beside too many.

    `peak` is how many connections there were.
    """

    def __init__(self, api: Sandbox, login: float, call: float) -> None:
        self.peak = 0
        self._api = api
        self._seconds = {"/auth/login": login}
        self._call = call
        self._worker = threading.Lock()
        self._usual = api.middleware
        api.middleware = self

    def __call__(self, request: ApiRequest, call_next: Serve) -> ApiResponse:
        # The server may see a new connection before the end of the one in whose place it is.
        wait_until(lambda: self._api.connections <= API_CONNECTIONS)
        self.peak = max(self.peak, self._api.connections)
        with self._worker:
            time.sleep(self._seconds.get(relative_path(request.path), self._call))
            assert self._usual is not None
            return self._usual(request, call_next)


@pytest.mark.parametrize(
    ("count", "login", "call"),
    [
        pytest.param(24, 0.02, 0.001, id="24"),
        pytest.param(300, 0.24, 0.004, id="300", marks=pytest.mark.long),
    ],
)
def test_many_due_at_once_wait_for_an_api_with_one_worker(
    world: World, count: int, login: float, call: float
) -> None:
    worker = OneWorker(world.api, login, call)
    api = world.open_api()
    rotations = [world.rotation(world.store(f"{n}.env"), api=api) for n in range(count)]
    reports = fleet.run_fleet(rotations, rotate)
    assert {report.action for report in reports} == {Action.ROTATED}
    assert [report.error for report in reports if report.error] == []
    assert world.mints() == count
    names = [(method, path) for method, path, _ in world.api.calls]
    assert {status for _, _, status in world.api.calls} == {200}
    assert names.count(LOGIN[:2]) == 1
    # Mints that wait at the same time share a list of what was there before.
    assert 0 < names.count(("GET", "/auth/admin/service-tokens")) < count
    assert 0 < worker.peak <= API_CONNECTIONS
