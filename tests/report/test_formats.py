"""Markdown for people, CSV for spreadsheets, JSON for programs."""

import csv
import io
import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.cli.report.evidence import Evidence, Mark, gather
from rotator.cli.report.formats import COLUMNS, as_csv, as_markdown
from rotator.cli.report.policy import RuleName, RuleState
from tests.leak.site import Site

PAGE = Path(__file__).parents[2] / "docs/commands.md"


@pytest.fixture
def evidence(site: Site) -> Evidence:
    """Return a token in order, one that is due, one whose store is away, and an orphan."""
    site.keys = 'max_age = "90d"\n'
    site.put("sol", site.api.issue(days=2))
    site.stores["nyx"] = ["away/nyx.env"]
    return gather(site.settings, (), timedelta(days=90), site.clock)


def test_what_somebody_has_to_look_after_comes_first(evidence: Evidence) -> None:
    text = as_markdown(evidence)
    assert text.startswith("# Service tokens on 2026-11-23 12:00:00 UTC\n\nrotator ")
    assert "Policy kept: 1, broken: 1, not proven: 1." in text.replace("\n", " ")
    assert re.findall("^## (.*)$", text, re.MULTILINE) == [
        "sol: policy BROKEN",
        "nyx: policy NOT PROVEN",
        "luna: policy kept",
        "The account",
    ]
    assert "- renewed in time: BROKEN – expires in 2 days" in text
    assert "- not eternal: not asked for – it may be one that never expires" in text
    assert "- NOT KNOWN: nyx:" in text


def test_the_last_use_may_be_one_of_the_rotator(site: Site) -> None:
    site.api.tokens[0].last_used_at = site.clock()
    lines = as_markdown(gather(site.settings, (), timedelta(days=90), site.clock)).splitlines()
    used = [line for line in lines if line.startswith("- last used")]
    by = "(by a bot, or by a check of the rotator's own)"
    assert used == [f"- last used: 2026-11-23 12:00 UTC {by}", *["- last used: never"] * 2]


def test_it_can_be_read_as_text(evidence: Evidence) -> None:
    lines = as_markdown(evidence).splitlines()
    assert [line for line in lines if len(line) > 80 and "://" not in line] == []


def test_a_scope_is_neither_html_nor_code_nor_a_token(site: Site) -> None:
    secret = site.api.issue(days=80, scope="<b>`x`|\n# y")
    site.api.issue(days=80, scope=f"@{secret}")
    text = as_markdown(gather(site.settings, (), timedelta(days=90), site.clock))
    assert "scope `&lt;b>'x'| # y`" in text
    assert "scope `@&lt;token>`" in text
    assert secret not in text


def test_csv_has_a_row_for_each_token(evidence: Evidence) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(evidence))))
    assert [(row["kind"], row["name"], row["policy"]) for row in rows if row["name"]] == [
        ("token", "luna", "kept"),
        ("token", "sol", "broken"),
        ("token", "nyx", "unknown"),
    ]
    assert float(rows[0]["days_left"]) == 60.0
    assert rows[1]["broken"].startswith("renewed: expires in 2 days")
    assert rows[2]["token_id"] == ""


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "＝", "＋", "－", "＠"])  # noqa: RUF001 - these are meant
def test_no_cell_is_a_formula(site: Site, begin: str) -> None:
    scope = f"{begin}cmd|'/c calc'!A1,\"x\""
    secret = site.api.issue(days=80, scope=scope)
    row = site.api.tokens[-1]
    site.put("luna", secret)
    site.api.issue(days=-1, scope=scope)
    text = as_csv(gather(site.settings, (), timedelta(days=90), site.clock))
    rows = list(csv.DictReader(io.StringIO(text)))
    scopes = [row["scope"] for row in rows if "cmd" in row["scope"]]
    assert scopes == [f"'{scope}"] * 2
    assert row.id in text
    over = next(row for row in rows if row["marks"].startswith("expired"))
    assert float(over["days_left"]) == -1.0  # a number stays one


def test_every_json_key_value_and_column_is_documented(evidence: Evidence) -> None:
    section = PAGE.read_text().partition("## rotator report")[2].partition("\n## ")[0]
    shown = json.loads(json.dumps(evidence.to_json()))
    words = [*shown, *shown["tokens"][0], *RuleName, *RuleState, *Mark, *COLUMNS]
    words += list(shown["tokens"][0]["rules"][0])
    assert [word for word in words if f"`{word}`" not in section] == []
