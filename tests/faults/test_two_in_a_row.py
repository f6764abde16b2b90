"""The run that is to clear up after a failed one fails as well, at every one of its calls."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.rotation.in_flight import InFlightMints
from tests.faults import promises
from tests.faults.scene import STORES, STUBBORN, Scene
from tests.faults.wire import FAULTS, Place, strike
from tests.support.clock import FakeClock
from tests.support.sandbox import Sandbox

FIRST = [Place(3, "mint"), Place(4, "exchange"), Place(5, "revoke")]
MOST_CALLS = 10
SECOND = ["reset before the work", "reset after the work", "404", "500 after the work", "401"]


@pytest.mark.sample(4)
@pytest.mark.parametrize("files", STORES)
@pytest.mark.parametrize("for_good", [False, True], ids=["once, cron", "for good, daemon"])
@pytest.mark.parametrize("first", FIRST, ids=lambda place: place.name)
@pytest.mark.parametrize("second", SECOND)
def test_a_second_failure_on_top_of_the_first_does_no_harm(
    folder: Path, first: Place, second: str, files: Sequence[str], *, for_good: bool
) -> None:
    found = []
    for number in range(1, MOST_CALLS + 1):
        clock = FakeClock()
        with Sandbox(clock=clock) as api:
            scene = Scene(folder / str(number), api, clock, files)
            scene.in_flight = InFlightMints() if for_good else None
            strike(api, first, FAULTS["reset after the work"](), for_good=True)
            broken = [*promises.at_once(scene, scene.run(limits=STUBBORN))]
            api.behave()
            clock.advance(timedelta(seconds=15))  # past what a run waits for others' tokens
            calls = len(api.calls)
            strike(api, Place(number, ""), FAULTS[second](), for_good=for_good)
            broken += [*promises.at_once(scene, scene.run(limits=STUBBORN))]
            is_last = len(api.calls) - calls < number
            api.behave()
            broken += [*promises.later(scene, mint_may_be_open=True), *promises.at_last(scene)]
        found += [f"call {number}: {each}" for each in broken]
        if is_last:
            break
    assert is_last
    assert found == []
