"""Runs that fail, and what has to be true after them."""

from typing import Unpack

from rotator.rotation.model import Action
from rotator.rotation.policy import RotateOptions
from rotator.rotation.report import Report
from rotator.stores.port import SecretStore
from tests.support.sandbox import ServiceTokenRow
from tests.support.world import Changes, World


def failed(world: World, *stores: SecretStore, **settings: Unpack[Changes]) -> Report:
    report = world.rotation(*stores, **settings).rotate(RotateOptions())
    assert report.action is Action.FAILED
    return report


def assert_only_the_old_one_lives(world: World, old: str) -> None:
    assert world.secret() == old
    assert [row.secret for row in world.api.live_tokens()] == [old]


def assert_the_next_run_revokes(world: World, row: ServiceTokenRow, failed: Report) -> None:
    """What could not be given back is named, and is put right without being sought by hand."""
    assert row.id in str(failed.error)
    assert str(failed.error).endswith("the next run tries again")
    world.api.behave()
    assert world.rotation().rotate(RotateOptions()).error is None
    assert row.id not in {live.id for live in world.api.live_tokens()}
    assert "intent=" not in (world.folder / ".env").read_text()
