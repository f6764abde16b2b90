"""What the doctor says of old tokens that somebody puts back, or may put back."""

from collections.abc import Iterator

import pytest

from rotator.cli.doctor.checks import TOKEN_CHECKS
from rotator.cli.doctor.findings import run_checks
from rotator.cli.doctor.gather import Gatherer
from rotator.stores.port import Provenance
from rotator.stores.registry import Backends
from rotator.wiring import build_contexts
from tests.doctor.clinic import Clinic, bad, message
from tests.support.stores import MeddledStore

NOTE = "# rotator: v=1 token=newer previous={} minted=2026-11-22T12:00:00Z{}\n"
AGAIN = " back=2026-11-22T13:00:00Z"


class OwnedStore(MeddledStore):
    def provenance(self) -> Provenance:
        return Provenance("the ExternalSecret luna")

    def earlier_secrets(self) -> Iterator[str]:
        raise AssertionError


@pytest.mark.parametrize(("mark", "result"), [("", "warning"), (AGAIN, "problem")])
def test_a_token_that_was_put_back_is_told(clinic: Clinic, mark: str, result: str) -> None:
    secret = clinic.api.issue(60)
    old_id = clinic.api.tokens[0].id
    clinic.put(secret, note=NOTE.format(old_id, mark))
    found = clinic.examine()
    assert bad(found) == [("token", result)]
    assert f"the old token {old_id} was put back" in message(found)


def test_one_that_was_revoked_meanwhile_is_a_problem(clinic: Clinic) -> None:
    secret = clinic.api.issue(60)
    old_id = clinic.api.tokens[0].id
    clinic.put(secret, note=NOTE.format(old_id, ""))
    clinic.api.revoke(old_id)
    assert bad(clinic.examine()) == [("token", "problem")]


def test_one_in_a_store_behind_is_told_once(clinic: Clinic) -> None:
    clinic.put(clinic.api.issue(60))
    newer = clinic.api.tokens[-1].id
    clinic.put(clinic.api.issue(30), "copy.env")
    ids = {row.id for row in clinic.api.tokens} - {newer}
    note = NOTE.format(ids.pop(), "").replace("newer", newer)
    path = clinic.folder / "copy.env"
    path.write_text(note + path.read_text())
    found = clinic.examine(tokens={"luna": 'stores = ["dotenv:luna.env", "dotenv:copy.env"]'})
    assert bad(found) == [("token", "warning")]
    assert "the newer token takes its place again" in message(found)


def test_after_it_was_replaced_it_is_not_forgotten(clinic: Clinic) -> None:
    secret = clinic.api.issue(60)
    note = NOTE.format("older", AGAIN).replace("newer", clinic.api.tokens[0].id)
    clinic.put(secret, note=note)
    found = clinic.examine()
    assert bad(found) == [("journal", "warning")]
    assert "an old token was put back 2026-11-22 13:00 UTC" in message(found)


def test_a_secret_that_a_controller_owns_is_told_before_the_first_rotation(clinic: Clinic) -> None:
    clinic.put(clinic.api.issue(60))
    settings = clinic.settings()
    [context] = build_contexts(settings, clinic.clock).values()
    gatherer = Gatherer(settings, settings.apis[0], context)
    gatherer.reach_api(may_log_in=False)
    store = OwnedStore(Backends().open("dotenv:luna.env", clinic.folder))
    found = list(run_checks(TOKEN_CHECKS, gatherer.look_at(settings.tokens[0], [store])))
    assert bad(found) == [("store", "warning")]
    assert "the ExternalSecret luna owns this secret" in message(found)
