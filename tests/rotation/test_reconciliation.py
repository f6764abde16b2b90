from datetime import timedelta

import pytest
import requests

from rotator.config.settings import ROTATION_TIMEOUT
from rotator.errors import StoreUnreachableError
from rotator.rotation.mint import WriteAheadIntent
from rotator.rotation.model import Action
from rotator.rotation.observe import Observation, observe_store
from rotator.rotation.policy import RotateOptions
from tests.support.leftovers import Leftovers
from tests.support.sandbox import Fault
from tests.support.stores import Failing, MeddledStore, SharedStore
from tests.support.waiting import PATIENCE
from tests.support.world import EXCHANGE, World

CALL_MINT = "POST /auth/admin/service-tokens"
CALL_LIST = "GET /auth/admin/service-tokens"
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DOWN = StoreUnreachableError("b.env does not answer")


@pytest.fixture
def left(world: World) -> Leftovers:
    """Leftovers beside a token that is fine."""
    world.put(world.api.issue(days=60))
    return Leftovers(world)


def live_ids(world: World) -> set[str]:
    return {row.id for row in world.api.live_tokens()}


def intents(world: World, file: str = ".env") -> int:
    return (world.folder / file).read_text().count("intent=")


def used(world: World, secret: str) -> None:
    headers = {"Authorization": f"Bearer {secret}"}
    assert requests.post(f"{world.api.url}{EXCHANGE}", headers=headers, timeout=PATIENCE).ok


@pytest.mark.sample(6)
@pytest.mark.parametrize(
    "fault",
    [
        Fault.reset_after(),
        Fault.server_error(),
        Fault.html(200, work=True),
        Fault.empty_body(),
        Fault.truncated(),
        Fault.json_of({"token_id": "x"}),
        Fault.html(403, work=True),
        Fault.html(302, work=True),
        Fault.refusal(408, work=True),
        Fault.refusal(401, work=True),
        Fault.refusal(403, work=True),
        Fault.json_of({"token_id": "x", "service_token": "no token"}),
    ],
    ids=[
        *("reset", "500 with token", "page", "empty", "truncated", "half", "403 of a firewall"),
        *("302", "408", "401 like the API's", "403 like the API's", "a token that is not there"),
    ],
)
def test_a_mint_whose_answer_is_lost_is_found_and_revoked_at_once(
    world: World, fault: Fault
) -> None:
    old = world.api.issue(days=3)
    world.put(old)
    world.api.misbehave(fault, CALL_MINT)
    report = world.rotation().rotate(RotateOptions())
    lost = next(row for row in world.api.tokens if row.secret != old)
    assert f"{lost.id}, which came of it unless others mint with this ad" in str(report.error)
    assert [row.secret for row in world.api.live_tokens()] == [old]
    assert intents(world) == 0
    assert world.rotation().rotate(RotateOptions()).action is Action.ROTATED


def test_a_mint_that_never_happened_stays_noted_until_it_cannot_happen_any_more(
    world: World,
) -> None:
    world.put(world.api.issue(days=3))
    world.api.misbehave(Fault.reset_before(), CALL_MINT)
    report = world.rotation().rotate(RotateOptions())
    assert "none is there yet; the next run looks again" in str(report.error)
    assert intents(world) == 1
    assert world.rotation().rotate(RotateOptions()).action is Action.ROTATED
    assert intents(world) == 1
    world.clock.advance(3 * MINUTE + SECOND)
    report = world.rotation().rotate(RotateOptions())
    assert (report.action, report.error) == (Action.KEPT, None)
    assert intents(world) == 0


def test_the_api_is_asked_seldom_after_a_lost_answer(world: World) -> None:
    world.put(world.api.issue(days=3))
    world.api.misbehave(Fault.reset_after(), CALL_MINT)
    assert "which came of it unless others mint with this admin account, was revoked" in str(
        world.rotation().rotate(RotateOptions()).error
    )
    looks = [path for method, path, _ in world.api.calls if method == "GET"]
    assert looks.count("/auth/admin/verify") == 1
    assert 3 <= looks.count("/auth/admin/service-tokens") <= 6  # one of them before the mint


def test_a_mint_that_happens_after_everybody_looked_is_found_by_the_next_run(
    world: World, left: Leftovers
) -> None:
    left.intent(world.store())
    world.clock.advance(5 * SECOND)
    world.rotation().rotate(RotateOptions())
    late = left.token()
    assert world.rotation().rotate(RotateOptions()).error is None
    assert late.id not in live_ids(world)
    assert intents(world) == 0


def test_a_token_whose_id_was_noted_is_revoked_though_it_was_tried(
    world: World, left: Leftovers
) -> None:
    row = left.token()
    used(world, row.secret)
    left.intent(world.store(), token_id=row.id)
    assert world.rotation().rotate(RotateOptions()).error is None
    assert row.id not in live_ids(world)


def test_a_token_whose_id_was_noted_and_that_somebody_uses_is_left_alone_and_told(
    world: World, left: Leftovers
) -> None:
    row = left.token()
    left.intent(world.store(), token_id=row.id)
    world.clock.advance(timedelta(days=1))
    used(world, row.secret)
    assert f"{row.id}, noted for a rotation that was cut off, is in use" in str(
        world.rotation().rotate(RotateOptions()).error
    )
    assert row.id in live_ids(world)
    assert world.rotation().rotate(RotateOptions()).error is None


def test_a_noted_token_that_did_arrive_is_no_leftover(world: World, left: Leftovers) -> None:
    row = left.token()
    world.put(row.secret)
    left.intent(world.store(), token_id=row.id)
    assert world.rotation().rotate(RotateOptions()).error is None
    assert (world.secret(), intents(world)) == (row.secret, 0)
    assert row.id in live_ids(world)


@pytest.mark.parametrize("days", [90, None], ids=["90 days", "eternal"])
def test_a_leftover_is_known_by_what_was_wished(
    world: World, left: Leftovers, days: int | None
) -> None:
    left.intent(world.store(), days=days, scope="charts")
    ours = left.token(days=days, scope="charts")
    others = [
        left.token(days=days, scope="calculations"),
        left.token(days=30, scope="charts"),
        left.token(days=days, scope="charts", age=2 * MINUTE),
    ]
    tried = left.token(days=days, scope="charts")
    used(world, tried.secret)
    assert world.rotation().rotate(RotateOptions()).error is None
    assert ours.id not in live_ids(world)
    assert {row.id for row in (*others, tried)} <= live_ids(world)


def test_a_token_of_another_admin_is_never_suspected(world: World, left: Leftovers) -> None:
    left.intent(world.store())
    world.api.add_user("other@example.com", "password of another", is_admin=True)
    headers = {"Authorization": f"Bearer {world.api.access_token('other@example.com')}"}
    url = f"{world.api.url}/auth/admin/service-tokens"
    made = requests.post(url, json={"days": 90}, headers=headers, timeout=PATIENCE).json()
    assert world.rotation().rotate(RotateOptions()).error is None
    assert made["token_id"] in live_ids(world)


def test_where_strangers_look_alike_nothing_is_revoked_and_each_is_named(
    world: World, left: Leftovers
) -> None:
    left.intent(world.store())
    ours, theirs = left.token(), left.token()
    report = world.rotation().rotate(RotateOptions())
    assert report.action is Action.KEPT
    assert all(row.id in str(report.error) for row in (ours, theirs))
    assert {ours.id, theirs.id} <= live_ids(world)
    assert intents(world) == 1
    used(world, theirs.secret)  # its owner puts it to use
    assert world.rotation().rotate(RotateOptions()).error is None
    assert ours.id not in live_ids(world)
    assert theirs.id in live_ids(world)


def test_a_token_that_is_due_is_rotated_though_a_leftover_is_not_clear(world: World) -> None:
    world.put(world.api.issue(days=3))
    left = Leftovers(world)
    left.intent(world.store())
    left.token()
    left.token()
    report = world.rotation().rotate(RotateOptions())
    assert report.action is Action.ROTATED
    assert "cannot be told which" in str(report.error)
    assert world.api.accepts(world.secret())
    assert intents(world) == 1


def test_as_many_leftovers_as_open_intents_are_all_ours(world: World, left: Leftovers) -> None:
    world.put(world.api.issue(days=60), "b.env")
    fleet = [world.store(), world.store("b.env")]
    left.intent(world.store())
    left.intent(world.store("b.env"))
    rows = {left.token().id, left.token().id}
    assert world.rotation(fleet=fleet).rotate(RotateOptions()).error is None
    assert not rows & live_ids(world)


def test_an_intent_of_another_api_accounts_for_no_leftover(world: World, left: Leftovers) -> None:
    world.put(world.api.issue(days=60), "b.env")
    fleet = [world.store(), world.store("b.env")]
    left.intent(world.store())
    left.intent(world.store("b.env"))
    rows = {left.token().id, left.token().id}
    report = world.rotation(fleet=fleet, is_own=lambda _: False).rotate(RotateOptions())
    assert "cannot be told which" in str(report.error)
    assert rows <= live_ids(world)


def test_a_mint_under_way_at_another_api_is_waited_for(world: World, left: Leftovers) -> None:
    """It may turn out to be the same API under another name."""
    world.put(world.api.issue(days=60), "b.env")
    fleet = [world.store(), SharedStore(world.store("b.env"))]
    left.intent(world.store())
    left.intent(world.store("b.env"))
    row, begun = left.token(), world.clock.now
    report = world.rotation(fleet=fleet, is_own=lambda _: False).rotate(RotateOptions())
    assert report.error is None
    assert row.id not in live_ids(world)
    assert world.clock.now - begun > ROTATION_TIMEOUT


def test_a_token_in_another_store_of_the_fleet_is_no_leftover(
    world: World, left: Leftovers
) -> None:
    left.intent(world.store())
    row = left.token()
    world.put(row.secret, "b.env")
    fleet = [world.store(), world.store("b.env")]
    assert world.rotation(fleet=fleet).rotate(RotateOptions()).error is None
    assert row.id in live_ids(world)


def test_while_a_store_of_the_fleet_is_silent_nothing_is_revoked(
    world: World, left: Leftovers
) -> None:
    left.intent(world.store())
    row = left.token()
    unreachable = MeddledStore(world.store("b.env"), before_read=Failing(DOWN))
    report = world.rotation(fleet=[world.store(), unreachable]).rotate(RotateOptions())
    assert f"{row.id} may be left over" in str(report.error)
    assert row.id in live_ids(world)
    assert intents(world) == 1


def test_a_clock_that_is_wrong_by_hours_does_no_harm(world: World) -> None:
    world.put(world.api.issue(days=3))
    world.api.misbehave(Fault.reset_after(), CALL_MINT)
    world.api.misbehave(Fault.status(503), CALL_LIST, times=6)
    ahead = world.clock.now + timedelta(hours=5)
    world.rotation(clock=lambda: ahead).rotate(RotateOptions())
    assert intents(world) == 1
    behind = world.clock.now - timedelta(hours=5)
    assert world.rotation(clock=lambda: behind).rotate(RotateOptions()).error is None
    assert len(world.api.live_tokens()) == 2
    assert intents(world) == 0


def test_a_list_that_cannot_be_had_is_told_and_does_not_keep_the_token_from_its_renewal(
    world: World,
) -> None:
    world.put(world.api.issue(days=3))
    Leftovers(world).intent(world.store())
    world.api.misbehave(Fault.status(503), CALL_LIST, times=None)
    report = world.rotation().rotate(RotateOptions())
    assert report.action is Action.ROTATED
    assert "a mint that was cut off is not cleared up" in str(report.error)
    assert intents(world) == 1


def test_an_intent_that_was_taken_over_halfway_counts_as_one_mint(
    world: World, left: Leftovers
) -> None:
    intent = left.intent(world.store())
    reading = observe_store(world.store())
    assert isinstance(reading, Observation)
    WriteAheadIntent(reading, intent.taken_over()).write()
    assert intents(world) == 2
    rows = {left.token().id, left.token().id}
    assert "cannot be told which" in str(world.rotation().rotate(RotateOptions()).error)
    assert rows <= live_ids(world)
    world.api.revoke(rows.pop())
    assert world.rotation().rotate(RotateOptions()).error is None
    assert not rows & live_ids(world)
    assert intents(world) == 0


def test_a_run_that_renews_the_token_revokes_leftovers_after_its_own_write(world: World) -> None:
    world.put(old := world.api.issue(days=3))
    left = Leftovers(world)
    row = left.token()
    left.intent(world.store(), token_id=row.id)
    seen = []
    store = SharedStore(world.store(), before_write=lambda: seen.append(row.id in live_ids(world)))
    world.clock.advance(3 * MINUTE)
    report = world.rotation(store).rotate(RotateOptions())
    assert (report.action, report.error, seen) == (Action.ROTATED, None, [True])
    assert {each.secret for each in world.api.live_tokens()} == {old, world.secret()}
    assert intents(world) == 0


def test_a_run_that_keeps_the_token_takes_the_intent_over_before_it_revokes(
    world: World, left: Leftovers
) -> None:
    row = left.token()
    intent = left.intent(world.store(), token_id=row.id)
    world.clock.advance(3 * MINUTE)
    world.api.misbehave(Fault.status(503), "DELETE /auth/admin/service-tokens/{id}", times=None)
    report = world.rotation(SharedStore(world.store())).rotate(RotateOptions())
    assert "not cleared up" in str(report.error)
    assert world.store().read().journal.intents == (intent.taken_over(),)
    world.api.behave()
    assert world.rotation(SharedStore(world.store())).rotate(RotateOptions()).error is None
    assert row.id not in live_ids(world)
    assert intents(world) == 0


@pytest.mark.parametrize("kind", ["in use", "its id alone", "its text alone", "no token at all"])
def test_an_answer_of_another_ones_mint_cuts_nobody_off_and_leaves_nothing_over(
    world: World, kind: str
) -> None:
    world.put(old := world.api.issue(days=3))
    now = world.clock.now
    foreign = world.api.issue(created_at=now, expires_at=now + timedelta(days=90))
    row = world.api.tokens[-1]
    used(world, foreign)
    token_id, secret = {
        "in use": (str(world.token().token_id), old),
        "its id alone": (row.id, world.api.sign({"type": "service", "token_id": "x"})),
        "its text alone": ("x", foreign),
        "no token at all": ("x", "no token"),
    }[kind]
    answer = {"service_token": secret, "token_id": token_id}
    world.api.misbehave(Fault.json_of(answer), CALL_MINT)
    report = world.rotation().rotate(RotateOptions())
    assert report.action is Action.FAILED
    assert (
        "which came of it unless others mint with this admin account, was revoked; run again"
        in str(report.error)
    )
    assert {each.secret for each in world.api.live_tokens()} == {old, foreign}
    assert intents(world) == 0
    assert world.rotation().rotate(RotateOptions()).error is None


def test_an_answer_that_names_another_ones_token_is_noted_so_that_the_next_run_finds_its_own(
    world: World, left: Leftovers
) -> None:
    foreign = left.token(days=30)
    lost = left.token()
    left.intent(world.store(), token_id=foreign.id)
    world.clock.advance(5 * SECOND)
    assert world.rotation().rotate(RotateOptions()).error is None
    assert foreign.id in live_ids(world)
    assert lost.id not in live_ids(world)


@pytest.mark.parametrize("off", [timedelta(minutes=-5), timedelta(minutes=10), timedelta(hours=20)])
def test_a_leftover_that_the_list_dates_otherwise_is_named_for_a_day(
    world: World, left: Leftovers, off: timedelta
) -> None:
    row = left.token(age=-off)
    strangers = [left.token(days=30, age=-off), left.token(age=timedelta(days=2))]
    tried = left.token(age=-off)
    used(world, tried.secret)
    left.intent(world.store())
    world.clock.advance(4 * MINUTE)
    for _ in range(2):
        report = world.rotation().rotate(RotateOptions())
        assert report.action is Action.KEPT
        assert f"{row.id} may be left over" in str(report.error)
        assert not any(each.id in str(report.error) for each in (*strangers, tried))
    assert {row.id, tried.id, *(each.id for each in strangers)} <= live_ids(world)
    world.clock.advance(timedelta(days=1))
    assert f"{row.id} may be left over" in str(world.rotation().rotate(RotateOptions()).error)
    assert world.rotation().rotate(RotateOptions()).error is None
    assert intents(world) == 0


def test_a_leftover_with_another_date_that_is_revoked_by_hand_is_told_no_more(
    world: World, left: Leftovers
) -> None:
    row = left.token(age=5 * MINUTE)
    left.intent(world.store())
    world.clock.advance(4 * MINUTE)
    assert row.id in str(world.rotation().rotate(RotateOptions()).error)
    world.api.revoke(row.id)
    assert world.rotation().rotate(RotateOptions()).error is None
    assert intents(world) == 0
