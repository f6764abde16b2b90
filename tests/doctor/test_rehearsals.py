"""What the doctor rehearses where that is wanted, and what it removes of a killed rehearsal."""

from rotator.stores.journal import Intent, Journal, new_mint_id, scope_digest
from rotator.stores.port import ScratchStore
from rotator.stores.registry import Backends
from tests.doctor.clinic import Clinic, bad, message
from tests.support.sandbox import Fault
from tests.support.stores import scratch_beside

MINT = "POST /auth/admin/service-tokens"


def scratch(clinic: Clinic) -> ScratchStore:
    return scratch_beside(Backends().open("dotenv:luna.env", clinic.folder))


def leave_a_canary(clinic: Clinic) -> None:
    place = scratch(clinic)
    canary = clinic.api.issue(days=1, created_at=clinic.clock())
    row = clinic.api.tokens[-1]
    row.last_used_at = row.created_at
    journal = Journal(token_id=row.id, minted_at=row.created_at)
    place.write(canary, journal, expected=place.read().version)


def test_it_mints_nothing_unless_that_is_wanted(clinic: Clinic) -> None:
    clinic.put(clinic.api.issue(60))
    assert bad(clinic.examine()) == []
    assert len(clinic.api.tokens) == 1


def test_it_rehearses_where_that_is_wanted_and_leaves_nothing(clinic: Clinic) -> None:
    clinic.put(clinic.api.issue(60))
    before = (clinic.folder / "luna.env").read_bytes()
    found = clinic.examine(toml="rehearse = true")
    assert bad(found) == []
    (rehearsed,) = [finding.message for finding in found if finding.topic == "rehearsal"]
    assert rehearsed.startswith("luna: rehearsed – read, preflight, ")
    assert (clinic.folder / "luna.env").read_bytes() == before
    assert len(clinic.api.tokens) == 2
    assert len(clinic.api.live_tokens()) == 1


def test_a_rehearsal_that_fails_is_a_problem(clinic: Clinic) -> None:
    clinic.put(clinic.api.issue(60))
    clinic.api.misbehave(Fault.refusal(403, "Admin privileges required"), MINT)
    found = clinic.examine(toml="rehearse = true")
    assert bad(found) == [("rehearsal", "problem")]
    assert message(found).startswith("the rehearsal failed at mint: mint a service token: ")


def test_with_wrong_settings_nothing_is_rehearsed(clinic: Clinic) -> None:
    clinic.put(clinic.api.issue(60))
    clinic.variables.clear()
    found = clinic.examine(toml="rehearse = true")
    assert ("settings", "problem") in bad(found)
    assert not [finding for finding in found if finding.topic == "rehearsal"]


def test_what_a_killed_rehearsal_left_is_removed(clinic: Clinic) -> None:
    clinic.put(secret := clinic.api.issue(60))
    before = (clinic.folder / "luna.env").read_bytes()
    leave_a_canary(clinic)
    found = clinic.examine()
    assert bad(found) == []
    (said,) = [finding.message for finding in found if finding.topic == "rehearsal"]
    assert said == f"what a rehearsal left in {scratch(clinic).url} was removed"
    assert (clinic.folder / "luna.env").read_bytes() == before
    assert [row.secret for row in clinic.api.live_tokens()] == [secret]


def test_the_note_of_a_mint_that_was_cut_off_is_a_warning(clinic: Clinic) -> None:
    clinic.put(clinic.api.issue(60))
    place = scratch(clinic)
    begun = clinic.clock().replace(microsecond=0)
    intent = Intent(new_mint_id(), begun, 1, scope_digest("calculations"))
    place.note(Journal(intents=(intent,)), expected=place.read().version)
    for _ in range(2):
        found = clinic.examine()
        assert bad(found) == [("rehearsal", "warning")]
        assert "a mint that was cut off stays noted" in message(found)


def test_what_cannot_be_removed_is_a_warning(clinic: Clinic) -> None:
    clinic.put(clinic.api.issue(60))
    leave_a_canary(clinic)
    clinic.api.misbehave(Fault.html(503), "DELETE /auth/admin/service-tokens/{id}", times=None)
    found = clinic.examine()
    assert ("rehearsal", "warning") in bad(found)
    said = [finding.message for finding in found if finding.topic == "rehearsal"]
    assert said[0].startswith("what a rehearsal left is still there: ")
    assert "REHEARSAL" in (clinic.folder / "luna.env").read_text()
