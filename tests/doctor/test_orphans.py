"""Live tokens of the API that no store holds: whose they are, nobody can be sure."""

from datetime import timedelta

import pytest

from tests.doctor.clinic import Clinic, bad, message
from tests.support.clock import FakeClock


@pytest.fixture(autouse=True)
def _healthy(clinic: Clinic) -> None:
    clinic.put(clinic.api.issue(60))


def test_an_orphan_of_this_admin_is_a_warning_that_names_it(clinic: Clinic) -> None:
    clinic.api.issue(60)
    found = clinic.examine()
    assert bad(found) == [("orphans", "warning")]
    assert clinic.api.tokens[-1].id in message(found)
    assert "if others mint with it, give the rotator one of its own" in message(found)


def test_of_many_orphans_the_first_are_named(clinic: Clinic) -> None:
    for _ in range(7):
        clinic.api.issue(60)
    assert "7 live tokens" in message(clinic.examine())
    assert ", … (rotator tokens list shows all)" in message(clinic.examine())


def test_those_of_another_admin_are_fine(clinic: Clinic) -> None:
    clinic.api.issue(60)
    clinic.api.tokens[-1].user_id = "somebody-else"
    found = clinic.examine()
    assert bad(found) == []
    assert any("1 live token of other admins" in finding.message for finding in found)


@pytest.mark.parametrize("word", ["previous={}", "owed={}@2026-12-24T09:12:33Z"])
def test_one_that_a_journal_knows_is_none(clinic: Clinic, word: str) -> None:
    clinic.api.issue(60)
    known = word.format(clinic.api.tokens[-1].id)
    clinic.put(clinic.api.tokens[0].secret, note=f"# rotator: v=1 {known}\n")
    assert bad(clinic.examine()) == []


def test_one_that_is_over_is_none(clinic: Clinic) -> None:
    clinic.api.issue(-1)
    assert bad(clinic.examine()) == []


def test_one_that_was_just_made_may_be_on_its_way(clinic: Clinic, clock: FakeClock) -> None:
    clinic.api.issue(60, created_at=clock.now - timedelta(seconds=30))
    found = clinic.examine()
    assert bad(found) == []
    (told,) = [finding.message for finding in found if finding.topic == "orphans"]
    assert told.startswith("1 live token of this admin may be on the way to a store, too young")


def test_one_that_somebody_uses_shows_that_the_account_is_shared(
    clinic: Clinic, clock: FakeClock
) -> None:
    clinic.api.issue(60)
    clinic.api.tokens[-1].last_used_at = clock.now
    found = clinic.examine()
    assert bad(found) == [("login", "warning"), ("orphans", "warning")]
    assert any("give the rotator an admin account of its own" in each.message for each in found)
