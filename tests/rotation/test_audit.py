"""The JSON log of a run is a trail that can be followed: each decision, each change, in order."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rotator.audit import Event
from rotator.cli.logs import configure
from rotator.config.settings import Unused
from rotator.errors import StoreDeniedError, StoreUnreachableError
from rotator.rotation.policy import RotateOptions
from tests.support.sandbox import Fault
from tests.support.stores import Failing, MeddledStore, SharedStore
from tests.support.world import World

PAGE = Path(__file__).parents[2] / "docs" / "logs.md"
CALL_REVOKE = "DELETE /auth/admin/service-tokens/{id}"


class Trail:
    def __init__(self, form: str) -> None:
        self.stream = io.StringIO()
        configure(form, self.stream)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def story(self) -> list[tuple[str, str]]:
        return [(line["event"], line["outcome"]) for line in self.lines() if "event" in line]


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root, raising = logging.getLogger(), logging.raiseExceptions
    handlers = root.handlers[:]
    loggers = [root, *map(logging.getLogger, ("rotator", "rotator.audit", "urllib3"))]
    levels = [logger.level for logger in loggers]
    yield
    root.handlers[:], logging.raiseExceptions = handlers, raising
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture
def trail() -> Trail:
    return Trail("json")


def test_who_uses_an_old_token_is_told_in_each_run(world: World, old: str, trail: Trail) -> None:
    token_id = world.token().token_id
    for _ in range(2):
        world.rotation(retire=Unused(timedelta(hours=8))).rotate(RotateOptions())
        world.clock.advance(timedelta(hours=1))
        world.open_api()().exchange(old)
    world.rotation().rotate(RotateOptions())
    told = [line for line in trail.lines() if line.get("event") == Event.IN_USE]
    assert [(line["token_id"], line["last_used_at"]) for line in told] == [
        (token_id, "2026-11-23T13:00:00Z"),
        (token_id, "2026-11-23T14:00:00Z"),
    ]


def test_a_rotation_is_told_step_by_step(world: World, old: str, trail: Trail) -> None:
    previous = world.token().token_id
    report = world.rotation(retire=timedelta(), hooks=(("true",),)).rotate(RotateOptions())
    assert trail.story() == [
        ("decided", "done"),
        ("intended", "done"),
        ("minted", "done"),
        ("intended", "done"),
        ("written", "done"),
        ("hook", "done"),
        ("revoked", "done"),
        ("noted", "done"),
        ("finished", "done"),
    ]
    lines = trail.lines()
    assert len({line["run"] for line in lines}) == 1
    assert {line["token"] for line in lines} == {"luna-bot"}
    decided, revoked, finished = lines[0], lines[6], lines[-1]
    assert (decided["reason"], decided["need"]) == ("expiring", "mint")
    assert decided["token_id"] == revoked["token_id"] == previous
    assert lines[2]["token_id"] == lines[4]["token_id"] == finished["token_id"] == report.token_id
    assert lines[4]["store"] == world.store().url
    assert finished["previous_token_id"] == previous
    assert finished["expires_at"] == f"{world.token().expires_at:%Y-%m-%dT%H:%M:%SZ}"
    assert revoked["reason"] == "replaced"
    url = world.store().url
    assert [line["message"] for line in lines] == [
        lines[0]["message"],
        f"the intent to mint was noted in the journal of {url}",
        "the API minted a token",
        f"the intent to mint was noted in the journal of {url}",
        f"the token was written to {url}",
        lines[5]["message"],
        f"the token {previous} is revoked at the API",
        f"the journal in {url} was updated",
        report.message,
    ]
    assert old not in trail.stream.getvalue()
    assert world.secret() not in trail.stream.getvalue()


def test_a_token_that_is_fine_has_its_decision_and_no_change(world: World, trail: Trail) -> None:
    world.put(world.api.issue(days=60))
    world.rotation().rotate(RotateOptions())
    assert trail.story() == [("decided", "done"), ("finished", "done")]


def test_every_run_has_an_id_of_its_own(world: World, trail: Trail) -> None:
    world.put(world.api.issue(days=60))
    for _ in range(3):
        world.rotation().rotate(RotateOptions())
    assert len({line["run"] for line in trail.lines()}) == 3


def test_what_failed_says_so_with_the_kind_of_its_failure(
    world: World, old: str, trail: Trail
) -> None:
    assert world.api.accepts(old)
    world.api.misbehave(Fault.status(503), CALL_REVOKE, times=None)
    denied = Failing(StoreDeniedError("may not write: grant it"))
    world.rotation(MeddledStore(world.store(), before_write=denied)).rotate(RotateOptions())
    story = trail.story()
    assert ("written", "store-denied") in story
    assert ("revoked", "api-fault") in story
    assert story[-1] == ("finished", "store-denied")
    assert "grant it" in trail.lines()[-1]["message"]


def test_an_unknown_end_is_told_as_such(world: World, old: str, trail: Trail) -> None:
    assert world.api.accepts(old)
    lost = Failing(StoreUnreachableError("the answer was lost"), 1)
    world.rotation(SharedStore(world.store(), before_write=lost)).rotate(RotateOptions())
    assert trail.story()[-2:] == [("written", "store-unreachable"), ("finished", "uncertain-write")]


def test_the_text_log_leaves_the_steps_out(world: World, old: str) -> None:
    assert world.api.accepts(old)
    text = Trail("text")
    world.rotation().rotate(RotateOptions())
    assert text.stream.getvalue() == ""


def test_every_event_and_field_is_documented(world: World, old: str, trail: Trail) -> None:
    assert world.api.accepts(old)
    world.rotation(retire=timedelta(), hooks=(("true",),)).rotate(RotateOptions())
    page = PAGE.read_text()
    names = {name for line in trail.lines() for name in line} | set(Event)
    assert sorted(name for name in names if f"`{name}`" not in page) == []
