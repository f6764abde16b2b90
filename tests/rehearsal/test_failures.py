"""A rehearsal that fails says where and why, and leaves nothing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.errors import ConflictError, StoreDeniedError, StoreError, StoreUnreachableError
from rotator.rotation.policy import RotateOptions
from rotator.rotation.rehearsal_report import RehearsalReport, Step
from rotator.stores.journal import Journal
from rotator.stores.port import Entry
from tests.rehearsal.stage import Stage
from tests.support.sandbox import Fault
from tests.support.stores import Failing, MeddledStore
from tests.support.world import World

CALL_MINT = "POST /auth/admin/service-tokens"
CALL_EXCHANGE = "POST /auth/service-token/refresh"
CALL_LIST = "GET /auth/admin/service-tokens"
CALL_REVOKE = "DELETE /auth/admin/service-tokens/{id}"
DENIED = StoreDeniedError("may not write: grant it")
AWAY = StoreUnreachableError("does not answer")


@pytest.fixture
def file(world: World, old: str) -> Path:
    assert old
    return world.folder / ".env"


@pytest.fixture
def untouched(world: World, old: str, file: Path) -> Callable[[], None]:
    before = file.read_bytes()

    def prove() -> None:
        assert file.read_bytes() == before
        assert [path.name for path in world.folder.iterdir()] == [".env"]
        assert [row.secret for row in world.api.live_tokens()] == [old]

    return prove


def at_first(alter: Callable[[Entry], Entry]) -> Callable[[Entry], Entry]:
    """Return what alters the first entry alone."""
    altering = iter([alter])

    def altered(entry: Entry) -> Entry:
        return next(altering, lambda same: same)(entry)

    return altered


def failed_at(report: RehearsalReport) -> list[Step]:
    return [each.step for each in report.failures]


def test_a_wrong_password_is_told_and_nothing_is_minted(
    world: World, untouched: Callable[[], None]
) -> None:
    world.api.misbehave(Fault.refusal(401, "Incorrect email or password"), "POST /auth/login")
    report = world.rehearsal().run(with_hooks=True)
    assert failed_at(report) == [Step.LOGIN]
    assert str(report.error).startswith("the rehearsal failed at login: log in: ")
    assert str(report.error).endswith("; nothing was minted")
    untouched()


def test_all_that_is_wrong_before_the_mint_is_told_at_once(
    world: World, untouched: Callable[[], None]
) -> None:
    world.api.misbehave(Fault.refusal(403, "Admin privileges required"), times=None)
    first = MeddledStore(world.store(), before_preflight=Failing(DENIED))
    report = world.rehearsal(first, world.store("away/.env")).run(with_hooks=False)
    assert failed_at(report) == [Step.PREFLIGHT, Step.READ, Step.LOGIN]
    assert "may not write: grant it; dotenv:///" in str(report.error)
    assert report.token_id is None
    untouched()


@pytest.mark.parametrize(
    "fault", [Fault.reset_after(), Fault.server_error(), Fault.html(work=True), Fault.empty_body()]
)
def test_a_canary_whose_answer_is_lost_is_searched_for(
    world: World, untouched: Callable[[], None], fault: Fault
) -> None:
    world.api.misbehave(fault, CALL_MINT)
    report = world.rehearsal().run(with_hooks=False)
    assert failed_at(report) == [Step.MINT]
    assert "which came of it" in str(report.error)
    assert len(world.api.tokens) == 2
    untouched()


def test_a_mint_of_which_nothing_is_heard_stays_noted_until_it_can_make_no_canary(
    world: World, old: str, file: Path, untouched: Callable[[], None]
) -> None:
    world.api.misbehave(Fault.reset_before(), CALL_MINT)
    report = world.rehearsal().run(with_hooks=False)
    assert failed_at(report) == [Step.MINT]
    assert "none is there yet; the next run looks again" in str(report.error)
    assert file.read_text().count("intent=dead") == 1
    again = world.rehearsal().run(with_hooks=False)  # which does not wait for it
    assert again.error is None
    note = "a mint that was cut off stays noted, as the API can make its canary until "
    assert again.summary.partition("_REHEARSAL: ")[2].startswith(note)
    assert not any("nothing is left" in each.message for each in again.steps)
    assert file.read_text().count("intent=dead") == 1
    assert [row.secret for row in world.api.live_tokens()] == [old]
    world.clock.advance(timedelta(minutes=4))
    last = world.rehearsal().run(with_hooks=False)
    assert last.error is None
    assert "noted" not in last.summary
    untouched()


@pytest.mark.parametrize(
    ("fault", "step"),
    [
        (Fault.refusal(403, "Admin privileges required"), Step.MINT),
        (Fault.refusal(422, [{"msg": "no"}]), Step.MINT),
    ],
)
def test_a_refused_mint_is_told(
    world: World, untouched: Callable[[], None], fault: Fault, step: Step
) -> None:
    world.api.misbehave(fault, CALL_MINT)
    report = world.rehearsal().run(with_hooks=False)
    assert failed_at(report) == [step]
    assert len(world.api.tokens) == 1
    untouched()


@pytest.mark.parametrize(
    ("calls", "step"), [(0, Step.VERIFY), (1, Step.EXCHANGE)], ids=["new", "read back"]
)
def test_a_canary_that_is_not_accepted_is_revoked(
    world: World, untouched: Callable[[], None], calls: int, step: Step
) -> None:
    if calls:
        world.api.misbehave(Fault(), CALL_EXCHANGE, times=calls)
    world.api.misbehave(Fault.refusal(401, "Could not validate service token"), CALL_EXCHANGE)
    report = world.rehearsal().run(with_hooks=False)
    assert failed_at(report) == [step]
    untouched()


def test_a_revocation_that_only_says_so_is_found_out(world: World, old: str) -> None:
    assert old
    world.api.misbehave(Fault.json_of({"success": True}, work=False), CALL_REVOKE)
    report = world.rehearsal().run(with_hooks=False)
    assert failed_at(report) == [Step.REVOKE]
    assert "still accepts it" in str(report.error)
    assert world.rotation().rotate(RotateOptions(force=True)).error is None
    assert len(world.api.live_tokens()) == 2
    assert "REHEARSAL" not in (world.folder / ".env").read_text()


def test_a_canary_that_cannot_be_revoked_is_revoked_by_the_next_run(
    world: World, old: str, file: Path
) -> None:
    world.api.misbehave(Fault.html(503), CALL_REVOKE, times=None)
    report = world.rehearsal().run(with_hooks=False)
    assert failed_at(report) == [Step.REVOKE]
    assert "nothing is left" not in str(report.error)
    assert "REHEARSAL=eyJ" in file.read_text()
    assert len(world.api.live_tokens()) == 2
    world.api.behave()
    report_of_rotation = world.rotation().rotate(RotateOptions(force=True))
    assert report_of_rotation.error is None
    assert [r for r in report_of_rotation.remarks if r.startswith("what a rehearsal left in")]
    assert {row.secret for row in world.api.live_tokens()} == {old, world.secret()}
    assert "REHEARSAL" not in file.read_text()


@pytest.mark.parametrize(
    ("moment", "step"),
    [
        ("before_preflight", Step.PREFLIGHT),
        ("before_write", Step.WRITE),
        ("after_write", Step.WRITE),
    ],
)
@pytest.mark.parametrize("error", [StoreError("the disk is full"), DENIED, AWAY])
def test_a_store_that_fails_is_told(
    world: World,
    untouched: Callable[[], None],
    moment: str,
    step: Step,
    error: StoreError,
) -> None:
    store = Stage(world.store(), **{moment: Failing(error)})
    report = world.rehearsal(store).run(with_hooks=False)
    if moment == "after_write":  # it was written, as a look shows
        assert report.error is None
    else:
        assert failed_at(report) == [step]
        assert str(error) in str(report.error)
    untouched()


def test_one_of_two_stores_that_fails_keeps_none_from_being_tried(
    world: World, old: str, untouched: Callable[[], None]
) -> None:
    second = world.put(old, "b.env")
    store = Stage(world.store("b.env"), before_write=Failing(DENIED))
    report = world.rehearsal(world.store(), store).run(with_hooks=False)
    assert failed_at(report) == [Step.WRITE]
    done = [each.step for each in report.steps if not each.failure]
    assert {Step.READ_BACK, Step.NOTE, Step.REVOKE, Step.REMOVE} <= set(done)
    assert "REHEARSAL" not in second.read_text()
    second.unlink()
    untouched()


@pytest.mark.parametrize(
    ("alter", "said"),
    [
        (lambda entry: replace(entry, secret="x"), "it does not show what was written"),
        (
            lambda entry: replace(entry, journal=Journal()),
            "it does not show the journal that was written",
        ),
    ],
)
def test_a_store_that_shows_something_else_is_told(
    world: World, untouched: Callable[[], None], alter: Callable[[Entry], Entry], said: str
) -> None:
    store = Stage(world.store(), altered=at_first(alter))
    report = world.rehearsal(store).run(with_hooks=False)
    assert failed_at(report) == [Step.READ_BACK]
    assert said in str(report.error)
    untouched()


def test_a_store_that_deletes_too_early_is_told(
    world: World, untouched: Callable[[], None]
) -> None:
    end = world.clock() + timedelta(days=3)
    store = Stage(world.store(), altered=lambda entry: replace(entry, ends_at=end))
    report = world.rehearsal(store).run(with_hooks=False)
    assert failed_at(report) == [Step.READ_BACK]
    assert "after 3 days, which is less than renew_before (7 days)" in str(report.error)
    untouched()
    assert (
        world.rehearsal(store, renew_before=timedelta(days=2)).run(with_hooks=False).error is None
    )


def test_what_cannot_be_removed_is_removed_by_the_next_run(
    world: World, old: str, file: Path, untouched: Callable[[], None]
) -> None:
    store = Stage(world.store(), before_remove=Failing(AWAY))
    report = world.rehearsal(store).run(with_hooks=False)
    assert failed_at(report) == [Step.REMOVE]
    assert [row.secret for row in world.api.live_tokens()] == [old]
    assert "REHEARSAL=eyJ" in file.read_text()
    assert world.rehearsal().run(with_hooks=False).error is None
    untouched()


def test_a_removal_that_others_get_before_is_tried_again(
    world: World, untouched: Callable[[], None]
) -> None:
    store = Stage(world.store(), before_remove=Failing(ConflictError("changed"), 1, 2))
    assert world.rehearsal(store).run(with_hooks=False).error is None
    untouched()


def test_a_store_without_a_scratch_place_cannot_be_rehearsed(
    world: World, untouched: Callable[[], None]
) -> None:
    report = world.rehearsal(MeddledStore(world.store())).run(with_hooks=False)
    assert failed_at(report) == [Step.PREFLIGHT]
    said = "cannot be rehearsed: it has no scratch place; rotator doctor looks at it"
    assert said in str(report.error)
    untouched()


def test_a_file_that_is_not_there_cannot_be_rehearsed_yet(world: World) -> None:
    report = world.rehearsal().run(with_hooks=False)
    assert failed_at(report) == [Step.PREFLIGHT]
    assert "cannot be rehearsed: there is no such file yet; rotator rotate makes it" in str(
        report.error
    )
    assert list(world.folder.iterdir()) == []


def test_a_file_without_a_token_can_be_rehearsed(world: World) -> None:
    file = world.folder / ".env"
    file.touch(0o600)
    assert world.rehearsal().run(with_hooks=False).error is None
    assert file.read_bytes() == b""


def test_a_bug_of_a_store_is_told_without_its_text_and_leaves_nothing(
    world: World, untouched: Callable[[], None]
) -> None:
    def fail(_: Entry) -> Entry:
        raise ValueError("hunter2")

    store = Stage(world.store(), altered=at_first(fail))
    report = world.rehearsal(store).run(with_hooks=False)
    assert failed_at(report) == [Step.READ_BACK]
    assert report.failures[0].failure == "internal"
    assert "internal error: ValueError" in str(report.error)
    assert "hunter2" not in str(report)
    untouched()
