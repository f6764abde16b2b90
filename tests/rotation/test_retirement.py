from datetime import timedelta

import pytest

from rotator.errors import StoreError, StoreUnreachableError
from rotator.rotation.model import Action, OldTokenState
from rotator.rotation.policy import RotateOptions
from rotator.rotation.report import Report
from rotator.tokens import ServiceToken
from tests.support.sandbox import Fault
from tests.support.stores import Failing, MeddledStore
from tests.support.world import LOGIN, World

NOW = timedelta()
DAY = timedelta(days=1)
DOWN = StoreUnreachableError("b.env does not answer")
FULL = StoreError("b.env: the disk is full")
CALL_REVOKE = "DELETE /auth/admin/service-tokens/{id}"


def states(report: Report) -> list[OldTokenState]:
    return [each.state for each in report.old_tokens]


def live(world: World) -> list[str]:
    return [row.secret for row in world.api.live_tokens()]


def journal(world: World, file: str = ".env") -> str:
    return (world.folder / file).read_text()


def test_unless_it_is_configured_the_old_token_is_left_to_expire(world: World, old: str) -> None:
    report = world.rotation().rotate(RotateOptions())
    assert states(report) == []
    assert world.api.accepts(old)
    assert "owed" not in journal(world)


@pytest.mark.usefixtures("old")
def test_now_means_at_the_end_of_the_same_run(world: World) -> None:
    report = world.rotation(retire=NOW).rotate(RotateOptions())
    assert (states(report), report.error) == ([OldTokenState.REVOKED], None)
    assert live(world) == [world.secret()]
    assert "owed" not in journal(world)


def test_a_grace_is_kept_and_survives_restarts(world: World, old: str) -> None:
    world.rotation(retire=DAY).rotate(RotateOptions())
    world.clock.advance(DAY - timedelta(minutes=1))
    world.rotation(retire=DAY).rotate(RotateOptions())
    assert world.api.accepts(old)
    world.clock.advance(timedelta(minutes=1))
    report = world.rotation(retire=DAY).rotate(RotateOptions())
    assert (report.action, states(report)) == (Action.KEPT, [OldTokenState.REVOKED])
    assert live(world) == [world.secret()]


@pytest.mark.parametrize("probe", [True, False])
def test_a_clock_that_is_ahead_does_not_cut_a_grace_short(
    world: World, old: str, *, probe: bool
) -> None:
    world.rotation(retire=DAY).rotate(RotateOptions())
    tomorrow = world.clock.now + DAY
    rotation = world.rotation(retire=DAY, clock=lambda: tomorrow, probe=probe)
    assert OldTokenState.REVOKED not in states(rotation.rotate(RotateOptions()))
    assert world.api.accepts(old)


def test_a_clock_that_is_behind_does_not_keep_a_leaked_token_alive(world: World, old: str) -> None:
    yesterday = world.clock.now - timedelta(hours=5)
    rotation = world.rotation(clock=lambda: yesterday)
    assert states(rotation.rotate(RotateOptions(revoke_old=True))) == [OldTokenState.REVOKED]
    assert not world.api.accepts(old)


@pytest.mark.usefixtures("old")
def test_what_is_not_yet_due_needs_no_login(world: World) -> None:
    world.rotation(retire=DAY).rotate(RotateOptions())
    logins = world.api.calls.count(LOGIN)
    assert world.rotation(retire=DAY).rotate(RotateOptions()).action is Action.KEPT
    assert world.api.calls.count(LOGIN) == logins


def test_a_revocation_that_fails_is_told_and_tried_again(world: World, old: str) -> None:
    world.api.misbehave(Fault.status(403), CALL_REVOKE)
    report = world.rotation(retire=NOW).rotate(RotateOptions())
    assert (report.action, states(report)) == (Action.ROTATED, [OldTokenState.FAILED])
    old_id = ServiceToken.parse(old).token_id
    assert f"the old token {old_id} is not revoked yet" in str(report.error)
    report = world.rotation(retire=NOW).rotate(RotateOptions())
    assert (report.action, states(report)) == (Action.KEPT, [OldTokenState.REVOKED])


def test_a_token_that_is_gone_already_counts_as_revoked(world: World, old: str) -> None:
    world.rotation(retire=DAY).rotate(RotateOptions())
    world.api.revoke(str(ServiceToken.parse(old).token_id))
    world.clock.advance(DAY)
    report = world.rotation(retire=DAY).rotate(RotateOptions())
    assert (states(report), report.error) == ([OldTokenState.REVOKED], None)


def test_that_the_api_accepted_the_new_token_in_an_earlier_run_does_not_end_the_old_one(
    world: World, old: str
) -> None:
    rotation = world.rotation(retire=NOW, probe=False)  # one for all runs, as the daemon has it
    world.api.misbehave(Fault.status(403), CALL_REVOKE)
    assert states(rotation.rotate(RotateOptions())) == [OldTokenState.FAILED]
    world.api.revoke(str(world.token().token_id))
    report = rotation.rotate(RotateOptions())
    assert states(report) == [OldTokenState.FAILED]
    assert "the API does not accept" in str(report.error)
    assert world.api.accepts(old)


@pytest.mark.parametrize("trouble", ["silent", "full"])
def test_a_store_that_lacks_the_new_token_keeps_the_old_one_alive(
    world: World, old: str, trouble: str
) -> None:
    world.put(old, "b.env")
    obstacle = {
        "silent": MeddledStore(world.store("b.env"), before_read=Failing(DOWN)),
        "full": MeddledStore(world.store("b.env"), before_write=Failing(FULL)),
    }[trouble]
    report = world.rotation(world.store(), obstacle, retire=NOW).rotate(RotateOptions())
    assert (report.action, states(report)) == (Action.ROTATED, [OldTokenState.WAITING])
    assert world.api.accepts(old)
    report = world.rotation(world.store(), world.store("b.env"), retire=NOW).rotate(RotateOptions())
    assert (report.action, states(report), report.error) == (
        Action.CONVERGED,
        [OldTokenState.REVOKED],
        None,
    )
    assert live(world) == [world.secret()] == [world.secret("b.env")]


def test_a_token_that_another_bot_of_the_fleet_uses_is_not_revoked(world: World, old: str) -> None:
    world.put(old, "sol.env")
    fleet = [world.store(), world.store("sol.env")]
    report = world.rotation(fleet=fleet, retire=NOW).rotate(RotateOptions())
    assert states(report) == [OldTokenState.WAITING]
    assert "sol.env#NOCTURNA_SERVICE_TOKEN may still need it: renew it there" in str(report.error)
    assert world.api.accepts(world.secret("sol.env"))
    world.rotation(world.store("sol.env"), fleet=fleet, name="sol-bot").rotate(RotateOptions())
    report = world.rotation(fleet=fleet, retire=NOW).rotate(RotateOptions())
    assert states(report) == [OldTokenState.REVOKED]
    assert not world.api.accepts(old)


def test_a_token_that_was_restored_by_hand_is_not_revoked(world: World, old: str) -> None:
    world.rotation(retire=DAY).rotate(RotateOptions())
    text = journal(world).replace(world.secret(), old)
    (world.folder / ".env").write_text(text)
    world.clock.advance(DAY)
    world.rotation(retire=DAY).rotate(RotateOptions())
    assert world.api.accepts(world.secret())


@pytest.mark.usefixtures("old")
def test_every_token_that_is_overwritten_is_retired(world: World) -> None:
    other = world.api.issue(days=2)
    world.put(other, "b.env")
    world.rotation(world.store(), world.store("b.env"), retire=NOW).rotate(RotateOptions())
    assert live(world) == [world.secret()]


def test_of_many_that_wait_the_oldest_goes_early(world: World, old: str) -> None:
    rotation = world.rotation(retire=timedelta(days=30), probe=False)
    for _ in range(9):
        rotation.rotate(RotateOptions(force=True))
        world.clock.advance(timedelta(seconds=1))
    rotation.rotate(RotateOptions())
    assert not world.api.accepts(old)
    assert len(live(world)) == 9
    assert journal(world).count("owed=") == 8


@pytest.mark.usefixtures("old")
def test_after_a_leak_the_old_token_is_revoked_at_once(world: World) -> None:
    report = world.rotation(retire=DAY).rotate(RotateOptions(force=True, revoke_old=True))
    assert (report.action, states(report)) == (Action.ROTATED, [OldTokenState.REVOKED])
    assert live(world) == [world.secret()]


@pytest.mark.usefixtures("old")
def test_a_leak_that_is_known_only_after_the_rotation_needs_no_other_one(world: World) -> None:
    world.rotation().rotate(RotateOptions())
    report = world.rotation().rotate(RotateOptions(revoke_old=True))
    assert (report.action, states(report)) == (Action.KEPT, [OldTokenState.REVOKED])
    assert world.mints() == 1
    assert live(world) == [world.secret()]


def test_where_there_is_no_old_token_to_revoke_this_is_told(world: World) -> None:
    world.put(world.api.issue(days=60))
    report = world.rotation().rotate(RotateOptions(revoke_old=True))
    assert "no older token is known" in str(report.error)
    assert f"rotator leaked {report.name}" in str(report.error)


@pytest.mark.usefixtures("old")
def test_a_leaked_token_that_cannot_be_revoked_yet_is_a_failure(world: World) -> None:
    unreachable = MeddledStore(world.store("b.env"), before_read=Failing(DOWN))
    report = world.rotation(world.store(), unreachable).rotate(RotateOptions(revoke_old=True))
    assert states(report) == [OldTokenState.WAITING]
    assert "is not revoked yet" in str(report.error)


def test_nothing_is_revoked_while_the_api_refuses_the_token_that_replaced_it(world: World) -> None:
    world.put(old := world.api.issue(days=3))
    world.rotation(retire=timedelta(minutes=5)).rotate(RotateOptions())
    world.api.revoke(str(world.token().token_id))
    world.clock.advance(timedelta(minutes=10))
    world.api.misbehave(Fault.status(503), "POST /auth/admin/service-tokens", times=None)
    report = world.rotation(retire=timedelta(minutes=5), probe=False).rotate(RotateOptions())
    assert "the API does not accept" in str(report.error)
    assert world.api.accepts(old)
