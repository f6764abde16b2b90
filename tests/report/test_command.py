"""`rotator report` as processes: its three forms, and its exit status."""

import csv
import io

import pytest

from tests.status.fleet import put, write_config
from tests.support.process import Runner
from tests.support.sandbox import Sandbox


@pytest.fixture(autouse=True)
def fleet(rotator: Runner, api: Sandbox) -> None:
    write_config(rotator, {"luna": ["dotenv:luna.env"], "sol": ["dotenv:sol.env"]})
    put(rotator.folder, "luna.env", api.issue(days=60))
    put(rotator.folder, "sol.env", api.issue(days=2))


def test_a_broken_policy_is_exit_status_1_in_each_form(rotator: Runner) -> None:
    text, table, tree = (rotator("report", *form) for form in ((), ("--csv",), ("--json",)))
    assert [result.status for result in (text, table, tree)] == [1, 1, 1]
    assert {text.err, table.err, tree.err} == {""}
    assert "## sol: policy BROKEN" in text.out
    rows = list(csv.DictReader(io.StringIO(table.out)))
    assert [row["policy"] for row in rows] == ["kept", "broken"]
    assert [each["policy"] for each in tree.json["tokens"]] == ["kept", "broken"]
    assert tree.json["policy"] == "broken"


def test_what_a_table_cannot_show_is_on_stderr(rotator: Runner, api: Sandbox) -> None:
    api.issue(days=30, created_at=api.clock())
    told = "1 live token of this admin may be on the way to a store, too young to tell"
    assert told in rotator("report", "--csv").err
    text = rotator("report")
    assert (told in " ".join(text.out.split()), text.err) == (True, "")


def test_a_policy_that_is_kept_is_exit_status_0(rotator: Runner) -> None:
    assert rotator("report", "luna").status == 0


def test_two_forms_at_once_are_a_wrong_call(rotator: Runner, api: Sandbox) -> None:
    result = rotator("report", "--json", "--csv")
    assert (result.status, result.out, api.calls) == (2, "", [])
    assert "expected --json or --csv, not both" in result.err


def test_an_api_that_refuses_the_login_is_one_line(rotator: Runner) -> None:
    (rotator.folder / "admin-password").write_text("wrong")
    result = rotator("report")
    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
