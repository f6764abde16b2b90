"""How findings look, and what exit status they come to."""

import pytest

from rotator.cli.doctor import exit_code
from rotator.cli.doctor.findings import Finding, Result, Topic, as_lines, run_checks

OK = Finding(Topic.API, Result.OK, "it answers")
WARNING = Finding(Topic.TOKEN, Result.WARNING, "due", "luna")
PROBLEM = Finding(Topic.STORE, Result.PROBLEM, "gone", "luna", "dotenv:x")
WRONG = Finding(Topic.SETTINGS, Result.PROBLEM, "no URL")


@pytest.mark.parametrize(
    ("found", "status"),
    [([OK], 0), ([OK, WARNING], 0), ([PROBLEM, OK], 1), ([WRONG], 2), ([PROBLEM, WRONG], 2)],
)
def test_the_exit_status_is_that_of_the_worst(found: list[Finding], status: int) -> None:
    assert exit_code(found) == status


def test_the_worst_is_told_last() -> None:
    assert as_lines([PROBLEM, OK, WARNING], "utf-8") == [
        "✓ ok: api: it answers",
        "! warning: luna: due",
        "✗ problem: luna: gone",
        "1 problem, 1 warning, 1 ok",
    ]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", None, "no-such-encoding"])
def test_there_are_no_marks_where_they_cannot_be_printed(encoding: str | None) -> None:
    first, second, third, *_, last = as_lines([OK, WARNING, PROBLEM, PROBLEM], encoding)
    assert [first, second] == ["ok: api: it answers", "warning: luna: due"]
    assert [third, last] == ["problem: luna: gone", "2 problems, 1 warning, 1 ok"]


def test_a_fleet_that_is_well_is_told_in_a_few_lines() -> None:
    many = [Finding(Topic.TOKEN, Result.OK, "fine", f"bot-{n}") for n in range(1000)]
    assert as_lines([OK, *many, WARNING], "utf-8") == [
        "✓ ok: api: it answers",
        "✓ ok: 1000 checks of single tokens (--json shows them)",
        "! warning: luna: due",
        "no problems, 1 warning, 1001 ok",
    ]


def test_a_bug_in_one_check_hides_no_other() -> None:
    def broken(text: str) -> list[Finding]:
        raise ValueError(text)

    found = list(run_checks((broken, lambda _: [OK]), "hunter2", "luna"))
    assert [finding.topic for finding in found] == ["internal", "api"]
    assert "hunter2" not in found[0].message
    assert found[0].token == "luna"
