"""A short `make soak`; its five minutes are for `--long`."""

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from xml.etree import ElementTree as ET

import pytest

import tests.kubernetes.site as kubernetes_site
from tests.aws.site import Aws
from tests.soak.fleet import Servers
from tests.soak.growth import Sample, draw, find_growth
from tests.soak.soak import Soak
from tests.support.crew import Crew
from tests.support.transcript import Transcript
from tests.vault.bao import Bao

MIDDLE = Sample(hours=1.0, memory=80.0, threads=12.0, descriptors=30.0, connections=20.0)


@pytest.fixture
def soak(
    bao: Bao, cloud: Aws, crew: Crew, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Soak]:
    random = Random(request.config.getoption("--hypothesis-seed"))  # noqa: S311 - no secret
    with kubernetes_site.running(None) as cluster:
        yield Soak(Servers(bao, cloud, cluster), crew, tmp_path, random)


def test_the_daemon_keeps_all_promises_under_trouble_and_does_not_grow(
    soak: Soak, tmp_path: Path, transcript: Transcript, *, long: bool
) -> None:
    end = time.monotonic() + 300 * long
    with soak.running(tokens=200 if long else 4):
        while not soak.cycles or time.monotonic() < end:
            soak.cycle()
    transcript.secrets |= soak.api.secrets
    transcript.processes += 1 + soak.kills
    for log in tmp_path.glob("*.err"):
        transcript.add(f"the log of a soak, {log.name}", log.read_text())
    assert soak.fleet.minted() >= 2 * len(soak.fleet.places)
    assert find_growth(soak.samples) == []


@pytest.mark.parametrize("name", ["memory", "threads", "descriptors", "connections"])
def test_what_becomes_more_until_the_end_is_found(name: str) -> None:
    growing = [MIDDLE._replace(**{name: getattr(MIDDLE, name) + 2 * each}) for each in range(50)]
    (found,) = find_growth(growing)
    assert found.startswith(name)


def test_what_is_reached_by_the_middle_is_no_growth() -> None:
    filled = [MIDDLE._replace(threads=min(each, 20), memory=70 + each % 9) for each in range(50)]
    assert find_growth(filled) == []


def test_the_curves_are_drawn() -> None:
    drawing = ET.fromstring(draw([MIDDLE, MIDDLE._replace(hours=2.0)], "a daemon"))  # noqa: S314 - our own
    assert len(drawing.findall("{http://www.w3.org/2000/svg}polyline")) == 4
