"""What cannot be written to is found out before the API is asked for anything."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest

from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError
from rotator.rotation.model import Action
from rotator.rotation.policy import RotateOptions
from tests.faults.scene import ONE, THREE, Scene
from tests.faults.steps import Phase, Step
from tests.support.clock import FakeClock
from tests.support.sandbox import Sandbox

ERRORS = [
    StoreDeniedError("may not write: grant it"),
    StoreUnreachableError("the file system is read-only"),
    StoreError("no space left on the device"),
]
ORDERS = {
    "due": RotateOptions(),
    "forced": RotateOptions(force=True),
    "eternal": RotateOptions(force=True, eternal=True),
    "revoking": RotateOptions(force=True, revoke_old=True),
    "rehearsed": RotateOptions(dry_run=True),  # holds nothing, and stays the last
}


def refusing(file: str, error: StoreError, operation: str = "preflight") -> Step:
    def passing(at: str, doing: str, _phase: Phase) -> None:
        if (at, doing) == (file, operation):
            raise error

    return passing


def contents(scene: Scene) -> list[bytes]:
    return [(scene.bots / file).read_bytes() for file in scene.files]


@pytest.mark.sample(24)
@pytest.mark.parametrize(
    ("order", "operation"),
    [*product(ORDERS, ["preflight"]), *product(list(ORDERS)[:-1], ["hold"])],
)
@pytest.mark.parametrize("error", ERRORS, ids=str)
@pytest.mark.parametrize(
    ("files", "broken"),
    [(ONE, "a.env"), *((THREE, file) for file in THREE)],
    ids=["the only store", "first of three", "second of three", "third of three"],
)
def test_nobody_logs_in_while_a_store_cannot_be_written(  # noqa: PLR0913 - the sides of a matrix
    folder: Path,
    *,
    files: Sequence[str],
    broken: str,
    error: StoreError,
    operation: str,
    order: str,
) -> None:
    clock = FakeClock()
    with Sandbox(clock=clock) as api:
        scene = Scene(folder, api, clock, files)
        before = contents(scene)
        passing = refusing(broken, error, operation)
        report = scene.run(passing=passing, order=ORDERS[order])
        assert (report.action, report.error) == (Action.FAILED, str(error))
        assert api.calls == []
        assert contents(scene) == before


@pytest.mark.sample(24)
@pytest.mark.parametrize("operation", ["hold", "preflight", "note", "write"])
@pytest.mark.parametrize("error", ERRORS, ids=str)
@pytest.mark.parametrize("broken", THREE)
@pytest.mark.parametrize("order", ["due", "rehearsed"])
def test_nobody_logs_in_to_copy_a_token_whatever_the_stores_do(
    folder: Path, *, error: StoreError, broken: str, operation: str, order: str
) -> None:
    clock = FakeClock()
    with Sandbox(clock=clock) as api:
        scene = Scene(folder, api, clock, THREE)
        scene.retire = None
        scene.world.put(api.issue(days=60), "b.env")
        scene.run(passing=refusing(broken, error, operation), order=ORDERS[order])
        assert set(api.calls) == {("POST", "/auth/service-token/refresh", 200)}
        assert len(api.live_tokens()) == 2


@pytest.mark.parametrize("order", ORDERS)
def test_nobody_logs_in_for_a_folder_in_which_nobody_may_create_a_file(
    folder: Path, order: str
) -> None:
    clock = FakeClock()
    with Sandbox(clock=clock) as api:
        scene = Scene(folder, api, clock, ONE)
        before = contents(scene)
        scene.files = ("a.env", "/proc/rotator.env")  # not even root may, there
        assert scene.run(order=ORDERS[order]).action is Action.FAILED
        assert api.calls == []
        scene.files = ONE
        assert contents(scene) == before
