"""Every call to the API, in a whole rotation, outlasts the patience of the client."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from rotator.http.client import Limits
from rotator.rotation.in_flight import InFlightMints
from tests.faults import promises
from tests.faults.scene import ONE, STORES, Scene
from tests.faults.test_calls import Span, places
from tests.faults.wire import Gate, Place, answered_late, done_late, lost, strike
from tests.support.clock import FakeClock
from tests.support.sandbox import Fault, Sandbox

# Every call that is not held back has to be answered within this time, on a busy machine too.
SECONDS = 2.0
HASTY = Limits(read=SECONDS, retries=0)
SPANS = [
    Span("once", HASTY),
    Span("retried", Limits(read=SECONDS, retries=1, backoff=0.0)),
    Span("for good", HASTY, for_good=True),
]
Late = Callable[[Gate], Fault]


def findings(scene: Scene, place: Place, late: Late, span: Span, *, before: bool) -> Iterator[str]:
    """Live through it; the work that is late is done before or after the next run."""
    with closing(Gate()) as gate:
        scene.in_flight = InFlightMints()
        strike(scene.api, place, late(gate), for_good=span.for_good)
        report = scene.run(limits=span.limits)
        if not gate.is_used:
            yield "it was never held back"
        yield from promises.at_once(scene, report)
        scene.api.behave()
        if before:
            gate.open()
        yield from promises.later(scene, mint_may_be_open=place.may_hit_mint)
        if not before:
            gate.open()
        yield from promises.at_last(scene)


def all_findings(
    folder: Path, files: Sequence[str], late: Late, span: Span, *, before: bool
) -> list[str]:
    def of(place: Place) -> list[str]:
        clock = FakeClock()
        with Sandbox(clock=clock) as api:
            scene = Scene(folder / str(place.number), api, clock, files)
            broken = [*findings(scene, place, late, span, before=before)]
        return [f"{place.name}: {each}" for each in broken]

    with ThreadPoolExecutor() as threads:  # they wait, most of the time
        return [each for found in threads.map(of, places(folder, files)) for each in found]


@pytest.mark.sample(2)
@pytest.mark.parametrize("files", STORES)
@pytest.mark.parametrize("span", SPANS, ids=lambda span: span.name)
def test_a_call_that_is_answered_too_late_does_no_harm(
    folder: Path, span: Span, files: Sequence[str]
) -> None:
    assert all_findings(folder, files, answered_late, span, before=True) == []


@pytest.mark.sample(3)
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("span", SPANS, ids=lambda span: span.name)
def test_a_call_that_is_done_before_or_after_the_next_run_does_no_harm(
    folder: Path, span: Span, *, before: bool
) -> None:
    assert all_findings(folder, ONE, done_late, span, before=before) == []


@pytest.mark.parametrize("files", STORES)
def test_a_call_that_is_lost_on_its_way_does_no_harm(folder: Path, files: Sequence[str]) -> None:
    assert all_findings(folder, files, lost, SPANS[0], before=False) == []
