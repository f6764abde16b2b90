"""What the doctor says of the API, the login and the clock."""

from datetime import timedelta

import pytest

from tests.doctor.clinic import Clinic, bad, message
from tests.support.clock import FakeClock
from tests.support.sandbox import Fault


@pytest.fixture(autouse=True)
def _healthy(clinic: Clinic) -> None:
    clinic.put(clinic.api.issue(60))


def test_all_is_well_where_all_is_well(clinic: Clinic) -> None:
    found = clinic.examine()
    assert bad(found) == []
    topics = ["settings", "api", "login", "clock", "store", "token", "list", "orphans"]
    assert [finding.topic for finding in found] == topics


def test_nothing_is_changed(clinic: Clinic) -> None:
    before = (clinic.folder / "luna.env").read_bytes()
    clinic.examine()
    assert (clinic.folder / "luna.env").read_bytes() == before
    assert sorted(p.name for p in clinic.folder.iterdir()) == ["luna.env", "rotator.toml"]
    assert len(clinic.api.tokens) == 1
    assert {method for method, path, _ in clinic.api.calls if "admin" in path} == {"GET"}


def test_an_api_that_is_away_is_told_once_and_hides_no_store(clinic: Clinic) -> None:
    clinic.url = "http://127.0.0.1:9/api"
    clinic.put("garbage")
    assert bad(clinic.examine()) == [("api", "problem"), ("store", "problem")]


def test_a_proxy_that_hides_the_health_call_is_no_problem(clinic: Clinic) -> None:
    clinic.api.misbehave(Fault.status(404), "GET /health", times=None)
    assert bad(clinic.examine()) == []


def test_an_address_without_api_at_its_end_is_told(clinic: Clinic) -> None:
    clinic.url = clinic.url.removesuffix("/api")
    found = clinic.examine(toml="probe = false")
    assert "check the API's URL, which ends in /api" in message(found)
    assert bad(found) == [("login", "problem")]


def test_a_password_that_is_refused_is_a_problem(clinic: Clinic) -> None:
    clinic.variables["NOCTURNA_ADMIN_PASSWORD"] = "another"
    found = clinic.examine()
    assert bad(found) == [("login", "problem")]
    assert "refuses this e-mail and password" in message(found)


def test_an_account_without_an_admins_rights_is_a_problem(clinic: Clinic) -> None:
    clinic.api.add_user("bot@example.com", "a-password")
    clinic.email = "bot@example.com"
    clinic.variables["NOCTURNA_ADMIN_PASSWORD"] = "a-password"
    found = clinic.examine()
    assert bad(found) == [("login", "problem")]
    assert "not an admin" in message(found)


def test_a_list_that_cannot_be_had_is_a_problem(clinic: Clinic) -> None:
    clinic.api.misbehave(Fault.json_of([{"id": "x"}]), "GET /auth/admin/service-tokens", times=None)
    assert bad(clinic.examine()) == [("list", "problem")]


@pytest.mark.parametrize(
    ("off", "expected"),
    [
        (timedelta(seconds=50), []),
        (timedelta(seconds=-50), []),
        (timedelta(minutes=5), [("clock", "warning")]),
        (timedelta(minutes=-5), [("clock", "warning")]),
        (timedelta(days=2), [("clock", "problem")]),
        (timedelta(days=-2), [("clock", "problem")]),
    ],
)
def test_the_clock_is_compared_with_that_of_the_api(
    clinic: Clinic, off: timedelta, expected: list[tuple[str, str]]
) -> None:
    clinic.clock.advance(off)
    found = clinic.examine()
    assert bad(found) == expected
    if expected:
        assert ("ahead of" if off > timedelta() else "behind") in message(found)


def test_a_short_validity_wants_a_better_clock(clinic: Clinic) -> None:
    clinic.clock.advance(timedelta(hours=7))
    short = 'validity = "1d"\nrenew_before = "6h"'
    assert ("clock", "problem") in bad(clinic.examine(toml=short))
    assert bad(clinic.examine()) == [("clock", "warning")]


def test_a_list_of_another_time_zone_is_told(clinic: Clinic) -> None:
    row = {
        "id": clinic.api.tokens[0].id,
        "user_id": "u",
        "scope": "x",
        "last_used_at": "2026-11-23T14:00:00",
    }
    row |= {"created_at": "2026-11-01T00:00:00", "expires_at": "2027-01-22T12:00:00"}
    clinic.api.misbehave(Fault.json_of([row]), "GET /auth/admin/service-tokens", times=None)
    found = clinic.examine()
    assert bad(found) == [("clock", "warning")]
    assert "are 2 hours apart" in message(found)


@pytest.mark.parametrize(
    ("off", "apart"),
    [
        (timedelta(), None),
        (timedelta(seconds=-30), None),
        (timedelta(minutes=2), None),  # as long as a rotation may take
        (timedelta(minutes=-5), "are 5 minutes apart"),
        (timedelta(hours=2), "are 1 hour"),
    ],
)
def test_without_a_probe_the_list_is_compared_with_the_dates_of_mints(
    clinic: Clinic, clock: FakeClock, off: timedelta, apart: str | None
) -> None:
    minted = clock.now - timedelta(days=3)
    secret = clinic.api.issue(created_at=minted + off, expires_at=minted + timedelta(days=90))
    about = f"token={clinic.api.tokens[-1].id} minted={minted:%Y-%m-%dT%H:%M:%SZ}"
    clinic.api.revoke(clinic.api.tokens[0].id)
    clinic.put(secret, note=f"# rotator: v=1 {about}\n")
    found = clinic.examine(toml="probe = false")
    assert bad(found) == ([("clock", "warning")] if apart else [])
    assert not apart or apart in message(found)


def test_a_token_that_is_listed_as_minted_in_the_future_is_told(
    clinic: Clinic, clock: FakeClock
) -> None:
    ahead = clock.now + timedelta(minutes=7)
    clinic.api.issue(created_at=ahead, expires_at=ahead + timedelta(days=90))
    found = clinic.examine("luna", toml="probe = false")
    assert bad(found) == [("clock", "warning")]
    assert "are 7 minutes apart" in message(found)
