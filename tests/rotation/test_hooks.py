from datetime import timedelta
from pathlib import Path

import pytest

from rotator.errors import StoreError
from rotator.rotation.model import Action, HooksRun, OldTokenState
from rotator.rotation.policy import RotateOptions
from rotator.stores.journal import Journal
from tests.support.stores import Failing, MeddledStore
from tests.support.world import World

FULL = StoreError("b.env: the disk is full")


@pytest.fixture
def log(world: World) -> Path:
    """The file in which the hook of these tests notes that it ran."""
    world.put(world.api.issue(days=3))
    return world.folder / "hook.log"


def hooks(log: Path, *more: str) -> tuple[tuple[str, ...], ...]:
    """Return a hook that works, after one that fails where `more` says so."""
    scripts = [*more, 'echo "$ROTATOR_NAME $ROTATOR_TOKEN_ID $ROTATOR_STORES" >> "$0"']
    return tuple(("/bin/sh", "-c", script, str(log)) for script in scripts)


def runs(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def test_a_hook_runs_once_after_a_rotation(world: World, log: Path) -> None:
    rotation = world.rotation(hooks=hooks(log))
    report = rotation.rotate(RotateOptions())
    assert report.error is None
    assert runs(log) == [f"luna-bot {report.token_id} {world.store().url}"]
    assert "hook=" not in (world.folder / ".env").read_text()
    rotation.rotate(RotateOptions())
    assert len(runs(log)) == 1


def test_nothing_runs_where_nothing_was_rotated(world: World, log: Path) -> None:
    world.put(world.api.issue(days=60))
    world.rotation(hooks=hooks(log)).rotate(RotateOptions())
    assert runs(log) == []


def test_a_hook_that_fails_is_run_again_by_the_next_run_and_the_others_are_not(
    world: World, log: Path
) -> None:
    broken = f'test -e "{log}.mended"'
    report = world.rotation(hooks=hooks(log, broken)).rotate(RotateOptions())
    assert report.action is Action.ROTATED
    assert "hook 1 (/bin/sh) ended with exit status 1" in str(report.error)
    report = world.rotation(hooks=hooks(log, broken)).rotate(RotateOptions())
    assert report.action is Action.KEPT
    assert "exit status 1" in str(report.error)
    Path(f"{log}.mended").touch()
    assert world.rotation(hooks=hooks(log, broken)).rotate(RotateOptions()).error is None
    assert len(runs(log)) == 1
    assert "hook=" not in (world.folder / ".env").read_text()


def test_a_hook_that_is_not_configured_any_more_is_forgotten(world: World, log: Path) -> None:
    world.rotation(hooks=hooks(log, "false")).rotate(RotateOptions())
    assert world.rotation(hooks=hooks(log)).rotate(RotateOptions()).error is None
    assert "hook=" not in (world.folder / ".env").read_text()


def test_a_hook_that_was_corrected_is_run(world: World, log: Path) -> None:
    world.rotation(hooks=(("/no/such/program",),)).rotate(RotateOptions())
    report = world.rotation(hooks=hooks(log)).rotate(RotateOptions())
    assert (report.error, report.remarks) == (
        None,
        ("1 hook that an earlier run left undone worked now",),
    )
    assert len(runs(log)) == 1


def test_the_old_token_lives_until_the_hooks_have_worked(world: World, log: Path) -> None:
    old = world.secret()
    broken = f'test -e "{log}.mended"'
    report = world.rotation(hooks=hooks(log, broken), retire=timedelta()).rotate(RotateOptions())
    assert [each.state for each in report.old_tokens] == [OldTokenState.WAITING]
    assert world.api.accepts(old)
    Path(f"{log}.mended").touch()
    report = world.rotation(hooks=hooks(log, broken), retire=timedelta()).rotate(RotateOptions())
    assert [each.state for each in report.old_tokens] == [OldTokenState.REVOKED]
    assert not world.api.accepts(old)


def test_a_store_that_gets_the_token_later_sets_off_the_hooks_again(
    world: World, log: Path
) -> None:
    full = MeddledStore(world.store("b.env"), before_write=Failing(FULL))
    world.rotation(world.store(), full, hooks=hooks(log)).rotate(RotateOptions())
    report = world.rotation(world.store(), world.store("b.env"), hooks=hooks(log)).rotate(
        RotateOptions()
    )
    assert (report.action, report.error) == (Action.CONVERGED, None)
    assert [line.count("dotenv:") for line in runs(log)] == [1, 2]


def test_a_hook_finds_the_new_token_in_the_store(world: World, log: Path) -> None:
    script = f'grep "^NOCTURNA_SERVICE_TOKEN=" "{world.folder}/.env" > "$0.seen"'
    world.rotation(hooks=(("/bin/sh", "-c", script, str(log)),)).rotate(RotateOptions())
    seen = Path(f"{log}.seen").read_text()
    assert seen == f"NOCTURNA_SERVICE_TOKEN={world.secret()}\n"


def test_a_run_without_hooks_leaves_those_that_another_noted_meanwhile() -> None:
    journal = Journal("t-1", hooks=("0123abcd",))
    assert HooksRun(noted=(), due=(), failures=[]).note_in(journal) == journal
    assert HooksRun(noted=("0123abcd",), due=(), failures=[]).note_in(journal).hooks == ()
