from datetime import timedelta

import pytest

from rotator.rotation.model import Action
from rotator.rotation.policy import RotateOptions, Status
from rotator.stores.journal import Journal, ReplacedToken
from rotator.stores.port import Entry
from rotator.tokens import ServiceToken
from tests.support.sandbox import Fault
from tests.support.world import LOGIN, World


def test_a_due_token_is_replaced_and_the_old_one_stays_valid(world: World) -> None:
    old = world.api.issue(days=3)
    path = world.put(old)
    report = world.rotation().rotate(RotateOptions())
    assert (report.action, report.status, report.reason) == (Action.ROTATED, Status.OK, "expiring")
    assert world.secret() != old
    assert world.api.accepts(world.secret())
    assert world.api.accepts(old)
    assert path.read_text().startswith("A=1\n")
    assert path.read_text().endswith("\nB=2\n")
    assert world.token().remaining(world.clock()) == timedelta(days=90)


def test_the_journal_names_the_new_token_the_old_one_and_the_time(world: World) -> None:
    old = world.api.issue(days=3)
    world.put(old)
    report = world.rotation().rotate(RotateOptions())
    found = world.store().read()
    replaced = ServiceToken.parse(old)
    old_id = str(replaced.token_id)
    assert isinstance(found, Entry)
    assert found.journal == Journal(
        world.token().token_id,
        old_id,
        world.clock(),
        replaced=(ReplacedToken(old_id, replaced.expires_at),),
    )
    assert (report.token_id, report.previous_token_id) == (world.token().token_id, old_id)


def test_a_token_with_time_left_is_kept_and_nobody_logs_in(world: World) -> None:
    old = world.api.issue(days=30)
    world.put(old)
    report = world.rotation().rotate(RotateOptions())
    assert (report.action, report.status) == (Action.KEPT, Status.OK)
    assert report.message == "expires in 30 days (2026-12-23 12:00 UTC); renewed below 7 days"
    assert world.secret() == old
    assert LOGIN not in world.api.calls


def test_a_run_with_nothing_to_do_takes_no_lock(world: World) -> None:
    world.put(world.api.issue(days=30))
    before = world.folder.stat().st_mtime_ns  # the lock is a file in this folder
    report = world.rotation().rotate(RotateOptions())
    assert (report.action, report.error) == (Action.KEPT, None)
    assert world.folder.stat().st_mtime_ns == before


def test_force_replaces_a_token_with_time_left(world: World) -> None:
    old = world.api.issue(days=30)
    world.put(old)
    report = world.rotation().rotate(RotateOptions(force=True))
    assert (report.action, report.reason) == (Action.ROTATED, "forced")
    assert world.secret() != old


def test_the_first_token_of_an_empty_store_gets_the_usual_scope(world: World) -> None:
    report = world.rotation().rotate(RotateOptions())
    assert (report.action, report.reason) == (Action.ROTATED, "missing")
    assert world.token().scope == "calculations"
    assert report.previous_token_id is None


def test_a_rotation_keeps_the_scope_of_the_token(world: World) -> None:
    world.put(world.api.issue(days=3, scope="charts"))
    world.rotation().rotate(RotateOptions())
    assert world.token().scope == "charts"


def test_a_configured_scope_that_differs_makes_the_token_due(world: World) -> None:
    world.put(world.api.issue(days=60, scope="charts"))
    report = world.rotation(scope="calculations").rotate(RotateOptions())
    assert (report.action, report.reason) == (Action.ROTATED, "scope")
    assert world.token().scope == "calculations"


def test_the_validity_is_the_configured_one(world: World) -> None:
    world.put(world.api.issue(days=3))
    world.rotation(validity=timedelta(days=30)).rotate(RotateOptions())
    assert world.token().remaining(world.clock()) == timedelta(days=30)


def test_a_token_that_the_server_refuses_is_replaced(world: World) -> None:
    old = world.api.issue(days=60)
    world.put(old)
    world.api.revoke(str(ServiceToken.parse(old).token_id))
    report = world.rotation().rotate(RotateOptions())
    assert (report.action, report.reason) == (Action.ROTATED, "refused")
    assert world.api.accepts(world.secret())


def test_without_probe_the_server_is_not_asked(world: World) -> None:
    world.put(world.api.issue(days=60))
    report = world.rotation(probe=False).rotate(RotateOptions())
    assert report.action is Action.KEPT
    assert world.api.calls == []


def test_a_server_that_does_not_answer_is_no_reason_to_rotate(world: World) -> None:
    world.put(world.api.issue(days=60))
    world.api.break_database()
    report = world.rotation().rotate(RotateOptions())
    assert (report.action, report.error) == (Action.KEPT, None)
    assert "does not say whether it accepts it" in report.message


def test_an_eternal_token_is_kept(world: World) -> None:
    old = world.api.issue(eternal=True)
    world.put(old)
    report = world.rotation().rotate(RotateOptions())
    assert (report.action, report.status, report.seconds_left) == (
        Action.KEPT,
        Status.ETERNAL,
        None,
    )
    assert world.secret() == old


def test_an_eternal_token_can_be_made_on_demand(world: World) -> None:
    world.put(world.api.issue(days=3))
    report = world.rotation().rotate(RotateOptions(force=True, eternal=True))
    assert (report.action, report.status) == (Action.ROTATED, Status.ETERNAL)
    assert world.token().expires_at is None


@pytest.mark.parametrize(
    ("options", "life"),
    [
        (RotateOptions(force=True), None),
        (RotateOptions(force=True, revoke_old=True), None),
        (RotateOptions(force=True, eternal=True), None),
        (RotateOptions(force=True, validity=timedelta(days=30)), timedelta(days=30)),
    ],
    ids=["forced", "after a leak", "asked for", "for 30 days"],
)
def test_an_eternal_token_becomes_one_that_ends_only_where_that_is_asked_for(
    world: World, options: RotateOptions, life: timedelta | None
) -> None:
    world.put(world.api.issue(eternal=True))
    report = world.rotation().rotate(options)
    assert (report.action, report.error) == (Action.ROTATED, None)
    assert world.token().expires_at == (life and world.clock.now + life)


def test_an_eternal_token_that_is_refused_is_replaced_by_an_eternal_one(world: World) -> None:
    world.put(world.api.issue(eternal=True))
    world.api.revoke(str(world.token().token_id))
    assert world.rotation().rotate(RotateOptions()).reason == "refused"
    assert world.token().expires_at is None


def test_a_token_that_is_refused_is_renewed_however_young_it_is(world: World) -> None:
    world.rotation().rotate(RotateOptions())
    world.clock.advance(timedelta(minutes=5))
    world.api.revoke(str(world.token().token_id))
    report = world.rotation().rotate(RotateOptions())
    assert (report.action, report.error) == (Action.ROTATED, None)
    assert world.api.accepts(world.secret())


def test_a_token_that_was_asked_to_be_short_is_left_alone_at_first_without_a_failure(
    world: World,
) -> None:
    world.rotation().rotate(RotateOptions(validity=timedelta(days=3)))
    short = world.secret()
    report = world.rotation().rotate(RotateOptions())
    assert (report.action, report.status, report.error) == (Action.SKIPPED, Status.DUE, None)
    assert world.secret() == short


@pytest.mark.parametrize("days", [3, -1], ids=["due", "expired"])
def test_a_dry_run_says_what_would_happen_and_changes_nothing(world: World, days: int) -> None:
    path = world.put(world.api.issue(days=days))
    before = (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino)
    report = world.rotation().rotate(RotateOptions(dry_run=True))
    assert report.action is Action.WOULD_ROTATE
    assert (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) == before
    assert [child.name for child in world.folder.iterdir()] == [".env"]
    assert world.api.calls == [LOGIN, ("GET", "/auth/admin/verify", 200)]


def test_a_dry_run_notices_that_a_mint_would_not_be_allowed(world: World) -> None:
    world.put(world.api.issue(days=3))
    world.api.misbehave(Fault.refusal(403, "Admin privileges required"), "GET /auth/admin/verify")
    report = world.rotation().rotate(RotateOptions(dry_run=True))
    assert report.action is Action.FAILED
    assert "the account is not an admin" in str(report.error)


def test_a_dry_run_over_a_fine_token_keeps_it(world: World) -> None:
    world.put(world.api.issue(days=60))
    assert world.rotation().rotate(RotateOptions(dry_run=True)).action is Action.KEPT
