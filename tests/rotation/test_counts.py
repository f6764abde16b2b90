"""What a report tells programs: the kind of a failure, and what is left to be done."""

from datetime import timedelta

import pytest

from rotator.errors import StoreDeniedError, StoreUnreachableError
from rotator.rotation.policy import RotateOptions
from rotator.rotation.report import Report
from rotator.rotation.severity import FOUR_A_DAY, with_severity
from tests.support.sandbox import Fault
from tests.support.stores import Failing, MeddledStore, SharedStore
from tests.support.world import World

CALL_LOGIN = "POST /auth/login"
CALL_MINT = "POST /auth/admin/service-tokens"
CALL_EXCHANGE = "POST /auth/service-token/refresh"
CALL_REVOKE = "DELETE /auth/admin/service-tokens/{id}"


def run(world: World, **settings: object) -> Report:
    return world.rotation(**settings).rotate(RotateOptions())  # type: ignore[arg-type] # of several kinds


@pytest.mark.parametrize(
    ("call", "fault", "kind"),
    [
        (CALL_LOGIN, Fault.refusal(401), "login-refused"),
        (CALL_LOGIN, Fault.reset_before(), "api-unreachable"),
        (CALL_MINT, Fault.refusal(403), "not-admin"),
        (CALL_EXCHANGE, Fault.refusal(401), "verification"),
    ],
)
def test_a_failure_at_the_api_has_a_kind(
    world: World, old: str, call: str, fault: Fault, kind: str
) -> None:
    assert world.api.accepts(old)
    world.api.misbehave(fault, call, times=None)
    assert run(world, probe=False).failure == kind


def test_a_failure_of_a_store_has_a_kind(world: World, old: str) -> None:
    assert world.api.accepts(old)
    denied = MeddledStore(world.store(), before_preflight=Failing(StoreDeniedError("no")))
    assert world.rotation(denied).rotate(RotateOptions()).failure == "store-denied"
    gone = StoreUnreachableError("away")
    unreachable = MeddledStore(world.store(), before_read=Failing(gone))
    assert world.rotation(unreachable).rotate(RotateOptions()).failure == "store-unreachable"


def test_a_success_has_no_kind_of_failure_and_leaves_nothing(world: World, old: str) -> None:
    assert world.api.accepts(old)
    report = run(world, hooks=(("true",),))
    assert (report.failure, report.unsettled, report.hooks_left) == (None, 0, 0)


def test_hooks_that_failed_are_counted_until_they_work(world: World, old: str) -> None:
    assert world.api.accepts(old)
    hooks = (("test", "-e", str(world.folder / "mended")), ("true",))
    for _ in range(2):
        report = run(world, hooks=hooks)
        assert (report.failure, report.hooks_left) == ("unfinished", 1)
    assert world.rotation(hooks=hooks).check(probe=False).hooks_left == 1
    (world.folder / "mended").touch()
    assert run(world, hooks=hooks).hooks_left == 0


def test_an_old_token_that_cannot_be_revoked_is_unsettled(world: World, old: str) -> None:
    assert world.api.accepts(old)
    world.api.misbehave(Fault.status(503), CALL_REVOKE, times=None)
    assert run(world, retire=timedelta()).unsettled == 1
    world.api.behave()
    assert run(world, retire=timedelta()).unsettled == 0


def test_a_mint_that_is_cut_off_is_unsettled_until_it_is_cleared_up(world: World, old: str) -> None:
    assert world.api.accepts(old)
    lost = Failing(StoreUnreachableError("the answer was lost"), 1)
    report = world.rotation(SharedStore(world.store(), before_write=lost)).rotate(RotateOptions())
    assert report.unsettled == 1
    assert world.rotation().check(probe=False).unsettled == 1


def test_the_attempts_that_are_left_are_counted_where_a_renewal_failed(
    world: World, old: str
) -> None:
    assert world.api.accepts(old)
    world.api.misbehave(Fault.status(503), CALL_LOGIN, times=None)
    assert with_severity(run(world), timedelta(days=7), FOUR_A_DAY).attempts_left == 12
