"""From some call on, nobody listens at the API's address any more."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from rotator.rotation.in_flight import InFlightMints
from tests.faults import promises
from tests.faults.door import Door
from tests.faults.scene import STORES, STUBBORN, THREE, Scene
from tests.faults.test_calls import places
from tests.faults.wire import Place
from tests.support.clock import FakeClock
from tests.support.sandbox import Fault, Sandbox


def shut_before(api: Sandbox, place: Place, door: Door) -> None:
    """Shut the door between two calls; no connection of the first serves the second."""
    if place.number == 1:
        door.shut()
        return
    if place.number > 2:
        api.misbehave(Fault.drop_idle(), times=place.number - 2)
    api.misbehave(Fault(after=door.shut, send="dropped"))


@pytest.mark.parametrize("daemon", [False, True], ids=["cron", "daemon"])
@pytest.mark.parametrize("files", STORES)
def test_an_api_that_goes_away_during_a_rotation_does_no_harm(
    folder: Path, files: Sequence[str], *, daemon: bool
) -> None:
    found = []
    for place in places(folder, files):
        clock = FakeClock()
        with Sandbox(clock=clock) as api, Door(api.url) as door:
            scene = Scene(folder / str(place.number), api, clock, files)
            scene.in_flight = InFlightMints() if daemon else None
            shut_before(api, place, door)
            report = scene.run(url=door.url)
            # An open connection may break before a new one is refused.
            assert re.search("nothing listens|the connection to the API broke", str(report.error))
            broken = [*promises.at_once(scene, report)]
            door.open()
            broken += [*promises.later(scene), *promises.at_last(scene)]
        found += [f"{place.name}: {each}" for each in broken]
    assert found == []


def test_an_api_that_is_away_for_hours_costs_a_due_token_nothing(folder: Path) -> None:
    clock = FakeClock()
    with Sandbox(clock=clock) as api, Door(api.url) as door:
        scene = Scene(folder, api, clock, THREE)
        door.shut()
        before = [(scene.bots / file).read_bytes() for file in THREE]
        for _ in range(3):
            assert scene.run(url=door.url, limits=STUBBORN).error
            assert [(scene.bots / file).read_bytes() for file in THREE] == before
        assert api.calls == []
        assert [*promises.later(scene)] == []
