"""Every call to the API, in a whole rotation, fails in every way: once, retried, and for good."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from rotator.http.client import Limits
from rotator.rotation.in_flight import InFlightMints
from tests.faults import promises
from tests.faults.scene import ONE, STUBBORN, THREE, USUAL, Scene
from tests.faults.wire import FAULTS, Place, strike
from tests.support.clock import FakeClock
from tests.support.sandbox import Fault, Sandbox


class Span(NamedTuple):
    """How long a fault lasts; `limits` say whether the call is tried again meanwhile."""

    name: str
    limits: Limits
    for_good: bool = False


SPANS = [Span("once", STUBBORN), Span("retried", USUAL), Span("for good", STUBBORN, for_good=True)]
CASES = [
    pytest.param(fault, span, id=f"{fault}, {span.name}") for fault in FAULTS for span in SPANS
]


def places(folder: Path, files: Sequence[str] = ONE) -> Iterator[Place]:
    """Return the calls of a good rotation."""
    clock = FakeClock()
    with Sandbox(clock=clock) as api:
        scene = Scene(folder / "good", api, clock, files)
        assert scene.run().error is None
        for number, (method, path, _) in enumerate(api.calls, start=1):
            yield Place(number, f"{method} {path}")


def findings(scene: Scene, place: Place, fault: Fault, span: Span) -> Iterator[str]:
    api = scene.api
    strike(api, place, fault, for_good=span.for_good)
    report = scene.run(limits=span.limits)
    if len(api.calls) < place.number:
        yield "it was never made"
    yield from promises.at_once(scene, report)
    api.behave()
    yield from promises.later(scene, mint_may_be_open=place.may_hit_mint)
    yield from promises.at_last(scene)


def test_a_good_rotation_makes_the_calls_that_are_made_to_fail(folder: Path) -> None:
    names = [place.name.rpartition("/")[0] for place in places(folder)]
    assert names == [
        "POST /auth",
        "GET /auth/admin",
        "POST /auth/admin",
        "POST /auth/service-token",
        "POST /auth/service-token",
        "DELETE /auth/admin/service-tokens",
    ]


@pytest.mark.sample(6)
@pytest.mark.parametrize(
    ("files", "daemon"),
    [
        pytest.param(ONE, True, id="one store, daemon"),
        pytest.param(THREE, False, marks=pytest.mark.long, id="three, cron"),
    ],
)
@pytest.mark.parametrize(("fault", "span"), CASES)
def test_a_call_that_fails_does_no_harm(
    folder: Path, fault: str, span: Span, files: Sequence[str], *, daemon: bool
) -> None:
    found = []
    for place in places(folder, files):
        clock = FakeClock()
        with Sandbox(clock=clock) as api:
            scene = Scene(folder / str(place.number), api, clock, files)
            scene.in_flight = InFlightMints() if daemon else None
            broken = [*findings(scene, place, FAULTS[fault](), span)]
        found += [f"{place.name}: {each}" for each in broken]
    assert found == []
