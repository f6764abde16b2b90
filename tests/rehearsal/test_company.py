"""A rehearsal beside a rotation, beside another rehearsal, and beside what somebody forged."""

from datetime import timedelta
from pathlib import Path

import pytest

from rotator.errors import StoreUnreachableError
from rotator.rotation.policy import RotateOptions
from rotator.rotation.rehearsal_report import Step
from rotator.stores.journal import Intent, Journal, new_mint_id, scope_digest
from rotator.stores.port import ScratchStore
from rotator.tokens import ServiceToken
from tests.rehearsal.stage import SharedStage, Stage
from tests.support.stores import Failing, scratch_beside
from tests.support.world import World

FORCED = RotateOptions(force=True)
DAY = timedelta(days=1)


def scratch(world: World, file: str = ".env") -> ScratchStore:
    return scratch_beside(world.store(file))


def put(world: World, secret: str | None, journal: Journal) -> None:
    """Put something into the scratch place, as whoever may write the file could."""
    place = scratch(world)
    version = place.read().version
    if secret is None:
        place.note(journal, expected=version)
    else:
        place.write(secret, journal, expected=version)


def content(world: World) -> str:
    return (world.folder / ".env").read_text()


def test_a_rotation_in_the_middle_of_a_rehearsal_goes_on_as_if_it_were_alone(
    world: World, old: str
) -> None:
    reports = []

    def rotate() -> None:
        reports.append(world.rotation(SharedStage(world.store())).rotate(FORCED))

    for moment in ("before_note", "before_write", "after_write"):
        report = world.rehearsal(Stage(world.store(), **{moment: rotate})).run(with_hooks=False)
        assert report.error is None
    assert [(each.action, each.error, each.remarks) for each in reports] == [
        ("rotated", None, ())
    ] * len(reports)
    assert len(reports) > 3
    assert "REHEARSAL" not in content(world)
    live = {row.secret for row in world.api.live_tokens()}
    assert len(live) == len(reports) + 1
    assert {old, world.secret()} <= live


def test_a_rehearsal_that_is_taken_for_dead_says_so_and_nothing_is_left(
    world: World, old: str
) -> None:
    before, others = content(world), []

    def rehearse() -> None:  # which waits until the first one must be dead
        report = world.rehearsal(SharedStage(world.store())).run(with_hooks=False)
        others.append(report)

    store = Stage(world.store(), before_write=rehearse)
    report = world.rehearsal(store).run(with_hooks=False)
    assert [each.error for each in others] == [None]
    assert [each.step for each in report.failures] == [Step.WRITE]
    assert content(world) == before
    assert [row.secret for row in world.api.live_tokens()] == [old]
    assert len(world.api.tokens) == 3


def test_the_canary_of_another_rehearsal_is_left_to_it(world: World, old: str) -> None:
    def rehearse() -> None:  # and die before the end
        away = StoreUnreachableError("does not answer")
        other = Stage(SharedStage(world.store()), before_remove=Failing(away, 2))
        assert world.rehearsal(other).run(with_hooks=False).failures

    store = Stage(world.store(), before_write=rehearse)
    report = world.rehearsal(store).run(with_hooks=False)
    assert [each.step for each in report.failures] == [Step.WRITE]
    left = scratch(world).read()
    assert left.journal.token_id == world.api.tokens[-1].id != report.token_id
    assert [row.secret for row in world.api.live_tokens()] == [old]


def test_a_canary_of_which_nothing_can_be_told_yet_stays_on_record(world: World, old: str) -> None:
    gone = Intent(new_mint_id(), world.clock(), 1, scope_digest("calculations"), "revoked-already")
    canary = world.api.issue(days=1, created_at=world.clock())
    row = world.api.tokens[-1]
    put(world, canary, Journal(token_id=row.id, minted_at=row.created_at, intents=(gone,)))
    away = (world.store(), world.store("away/.env"))
    report = world.rotation(world.store(), fleet=away).rotate(RotateOptions())
    assert "may be left over" in str(report.error)
    assert f"REHEARSAL={canary}" in content(world)
    row.last_used_at = row.created_at
    assert world.rotation().rotate(RotateOptions()).error is None
    assert "REHEARSAL" not in content(world)
    assert not world.api.accepts(canary)
    assert old


def test_what_may_still_be_at_work_is_left_alone_by_a_rotation(world: World, old: str) -> None:
    begun = world.clock().replace(microsecond=0)
    intent = Intent(new_mint_id(), begun, 1, scope_digest("calculations"))
    put(world, None, Journal(intents=(intent,)))
    before = content(world)
    store = SharedStage(world.store())
    report = world.rotation(store).rotate(RotateOptions(dry_run=True))
    assert (report.error, report.remarks) == (None, ())
    assert world.rotation(store).rotate(FORCED).error is None
    assert before.partition("REHEARSAL")[2] == content(world).partition("REHEARSAL")[2]
    world.clock.advance(timedelta(minutes=4))
    report = world.rotation(store).rotate(RotateOptions())
    assert report.remarks == (f"what a rehearsal left in {scratch(world).url} was removed",)
    assert "REHEARSAL" not in content(world)
    assert old


def test_the_token_itself_in_the_scratch_place_is_neither_revoked_nor_removed(
    world: World, old: str
) -> None:
    token = ServiceToken.parse(old)
    put(world, old, Journal(token_id=token.token_id, minted_at=world.clock()))
    report = world.rehearsal().run(with_hooks=False)
    assert [each.step for each in report.failures] == [Step.CLEAR_UP]
    assert f"{scratch(world).url}: no rehearsal made this: remove it by hand" in str(report.error)
    assert world.rotation().rotate(FORCED).error is None
    assert f"REHEARSAL={old}" in content(world)
    assert world.api.accepts(old)


@pytest.mark.parametrize("days", [1, 3, 60])
def test_a_forged_record_revokes_no_token_that_is_in_use(world: World, days: int) -> None:
    secret = world.api.issue(days=days, created_at=world.clock())
    world.put(secret, "b.env")
    world.put(world.api.issue(days=60))
    row = world.api.tokens[0]
    put(world, None, Journal(token_id=row.id, minted_at=row.created_at))
    fleet = (world.store(), world.store("b.env"))
    world.rotation(world.store(), fleet=fleet).rotate(RotateOptions())
    assert world.api.accepts(secret)
    intent = Intent(new_mint_id(), row.created_at, 1, scope_digest("calculations"), row.id)
    put(world, None, Journal(intents=(intent,)))
    world.rotation(world.store(), fleet=fleet).rotate(RotateOptions())
    assert world.api.accepts(secret)


def test_a_token_of_another_admin_is_not_revoked(world: World, old: str) -> None:
    secret = world.api.issue(days=1, created_at=world.clock())
    row = world.api.tokens[-1]
    row.user_id = "somebody-else"
    put(world, secret, Journal(token_id=row.id, minted_at=row.created_at))
    report = world.rotation().rotate(RotateOptions())
    assert f"{row.id}, noted for a rotation that was cut off, cannot come of it" in str(
        report.error
    )
    assert world.api.accepts(secret)
    assert old


def test_a_canary_without_a_record_is_one_all_the_same(world: World, old: str) -> None:
    canary = world.api.issue(days=1, created_at=world.clock())
    world.open_api()().exchange(canary)
    put(world, canary, Journal())
    report = world.rehearsal().run(with_hooks=False)
    assert report.error is None
    assert [each.step for each in report.steps].count(Step.CLEAR_UP) == 1
    assert [row.secret for row in world.api.live_tokens()] == [old]
    assert "REHEARSAL" not in content(world)


def test_a_token_of_the_config_in_the_scratch_place_is_left_there(world: World, old: str) -> None:
    file: Path = world.put(old)
    text = f"NOCTURNA_SERVICE_TOKEN={old}\n{'NOCTURNA_SERVICE_TOKEN_REHEARSAL'}={old}\n"
    file.write_text(text)
    report = world.rehearsal(fleet=(world.store(), scratch(world))).run(with_hooks=False)
    assert [each.step for each in report.failures] == [Step.PREFLIGHT]
    assert "holds a token of the config: rename one of the two" in str(report.error)
    assert file.read_text() == text
    assert len(world.api.tokens) == 1
