"""Records that lie: forged, from a broken clock, or brought back by somebody."""

from datetime import timedelta

import pytest
import requests

from rotator.rotation.in_flight import InFlightMints
from rotator.rotation.model import Action
from rotator.rotation.policy import RotateOptions
from rotator.tokens import ServiceToken
from tests.support.leftovers import Leftovers
from tests.support.sandbox import Fault
from tests.support.stores import SharedStore
from tests.support.waiting import PATIENCE
from tests.support.world import EXCHANGE, World

CALL_MINT = "POST /auth/admin/service-tokens"
HOUR = timedelta(hours=1)


def noted(world: World, record: str, *, days: int = 60) -> None:
    world.put(world.api.issue(days=days), before=f"# rotator: v=1 {record}\n")


def live_ids(world: World) -> set[str]:
    return {row.id for row in world.api.live_tokens()}


def text(world: World) -> str:
    return (world.folder / ".env").read_text()


@pytest.mark.parametrize("year", ["0001", "1970", "2400", "9999"])
def test_a_date_from_which_nothing_can_be_counted_is_no_record(world: World, year: str) -> None:
    noted(world, f"intent=000000000000/{year}-12-31T23:59:59Z/90/00000000", days=3)
    report = world.rotation().rotate(RotateOptions())
    assert (report.action, report.error) == (Action.ROTATED, None)
    assert "intent=" not in text(world)


@pytest.mark.parametrize("shared", [False, True])
def test_a_record_that_is_dated_in_the_future_is_left_out_and_told(
    world: World, *, shared: bool
) -> None:
    noted(world, "intent=000000000000/2098-01-01T00:00:00Z/90/00000000", days=3)
    store = SharedStore(world.store()) if shared else world.store()
    begun = world.clock.now
    report = world.rotation(store).rotate(RotateOptions())
    assert report.action is Action.ROTATED
    assert "which is yet to come: it is left out" in str(report.error)
    assert world.clock.now == begun
    assert "intent=" not in text(world)


def test_a_record_cannot_have_a_token_revoked_that_is_not_what_it_says(world: World) -> None:
    left = Leftovers(world)
    victims = [left.token(days=30), left.token(scope="charts"), left.token(age=2 * HOUR)]
    for victim in victims:
        world.put(world.api.issue(days=60))
        left.intent(world.store(), token_id=victim.id)
        assert "cannot come of it: left as it is" in str(
            world.rotation().rotate(RotateOptions()).error
        )
    assert {victim.id for victim in victims} <= live_ids(world)


def test_a_token_of_a_stranger_that_is_about_to_be_used_is_not_taken_for_ours(
    world: World,
) -> None:
    world.put(world.api.issue(days=60))
    left = Leftovers(world)
    left.intent(world.store())
    theirs = left.token()
    headers = {"Authorization": f"Bearer {theirs.secret}"}

    def meanwhile(seconds: float) -> None:
        world.sleep(seconds)
        requests.post(f"{world.api.url}{EXCHANGE}", headers=headers, timeout=PATIENCE)

    assert world.rotation(sleep=meanwhile).rotate(RotateOptions()).error is None
    assert theirs.id in live_ids(world)


def test_an_answer_with_another_token_of_this_process_is_not_used_and_not_revoked(
    world: World,
) -> None:
    in_flight = InFlightMints()
    world.put(world.api.issue(days=3), "sol.env")
    world.put(world.api.issue(days=3))
    world.rotation(world.store("sol.env"), in_flight=in_flight).rotate(RotateOptions())
    theirs = world.token("sol.env")
    answer = {"service_token": theirs.secret, "token_id": theirs.token_id, "scope": "calculations"}
    world.api.misbehave(Fault.json_of(answer, work=False), CALL_MINT)
    report = world.rotation(in_flight=in_flight).rotate(RotateOptions())
    assert f"{theirs.token_id}, which was there before" in str(report.error)
    assert world.secret() != theirs.secret
    assert world.api.accepts(theirs.secret)


def test_a_token_that_is_to_be_revoked_is_not_copied_back_from_a_store_that_was_away(
    world: World,
) -> None:
    leaked = world.api.issue(days=365)
    world.put(leaked)
    world.rotation(retire=timedelta(days=1)).rotate(RotateOptions(force=True))
    world.rotation(retire=timedelta(days=1)).rotate(RotateOptions(force=True))
    newest = world.secret()
    world.put(leaked, "b.env")
    stores = (world.store(), world.store("b.env"))
    report = world.rotation(*stores, retire=timedelta(days=1)).rotate(RotateOptions())
    assert report.action is Action.CONVERGED
    assert world.secret("b.env") == newest
    assert str(ServiceToken.parse(leaked).token_id) in text(world)
