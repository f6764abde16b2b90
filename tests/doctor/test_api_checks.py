"""The checks about the API that no embedded one can be made to need."""

from datetime import timedelta

import pytest

from rotator.cli.doctor.checks import API_CHECKS, ApiFacts
from rotator.cli.doctor.findings import run_checks
from tests.doctor.clinic import Clinic, bad, message
from tests.support.sandbox import Fault

URL = "https://api.example.com/api"
MET = ApiFacts(URL, timedelta(days=1), account="5f0c", skew=timedelta())


@pytest.mark.parametrize(
    ("met", "expected"),
    [
        (MET, []),
        (MET._replace(url="http://localhost:8000/api"), []),
        (MET._replace(url="http://api.example.com/api"), [("api", "warning")]),
        (MET._replace(skew=None), [("clock", "warning")]),
        (MET._replace(url=None), []),  # the settings have a finding about that
    ],
)
def test_what_was_met_is_judged(met: ApiFacts, expected: list[tuple[str, str]]) -> None:
    assert bad(list(run_checks(API_CHECKS, met))) == expected


class Broken(dict[str, str]):
    def get(self, *_: object) -> str:
        raise ValueError("hunter2")


def test_a_bug_in_a_look_at_one_token_hides_nothing_else(clinic: Clinic) -> None:
    found = clinic.examine(environ=Broken())
    assert bad(found) == [("internal", "problem")]
    assert message(found).startswith("internal error: ValueError at ")
    assert {"api", "login", "list"} <= {finding.topic for finding in found}
    assert "orphans" not in {finding.topic for finding in found}


@pytest.mark.parametrize("status", [502, 503, 504])
def test_the_answer_of_a_proxy_is_none_of_the_api(clinic: Clinic, status: int) -> None:
    clinic.put(clinic.api.issue(60))
    clinic.api.misbehave(Fault.html(status), times=None)
    found = clinic.examine()
    assert ("api", "problem") in bad(found)
    assert not any("answers" in each.message for each in found if each.topic == "api")
    assert any(f"not able to answer now ({status})" in each.message for each in found)


@pytest.mark.parametrize("status", [403, 404])
def test_a_proxy_may_hide_the_health(clinic: Clinic, status: int) -> None:
    clinic.put(clinic.api.issue(60))
    clinic.api.misbehave(Fault.html(status), "GET /health", times=None)
    assert bad(clinic.examine()) == []
