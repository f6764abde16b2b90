"""The list on a terminal."""

import json
import re
from datetime import timedelta

import pytest

from rotator.cli.output import as_json
from rotator.cli.tables import render_table
from rotator.cli.tokens.listing import as_lines, as_table
from rotator.rotation.inventory import Part, Place
from rotator.rotation.listing import RowStatus, TokenRow
from tests.support.clock import NOON

ID = "5f0c1b2d-0000-4000-8000-000000000000"
PLACE = Place("luna", "dotenv:///srv/[x]/.env#NOCTURNA_SERVICE_TOKEN", Part.HELD)


def row(status: RowStatus, *places: Place, own: bool = True) -> TokenRow:
    end = NOON + timedelta(days=3)
    return TokenRow(ID, status, "[red]x", own, NOON, end, timedelta(days=3), None, places)


def test_a_terminal_gets_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    pending = Place("sol", "dotenv:b", Part.OWED, NOON)
    rows = [row(RowStatus.HELD, PLACE, pending), row(RowStatus.ORPHAN, own=False)]
    lines = as_table(rows).splitlines()
    assert "status" in lines[0]
    assert [ID in line for line in lines] == [False, True, False, True]
    assert "[red]x" in lines[1]
    assert "luna: dotenv:///srv/[x]/.env" in lines[1]
    assert "sol: dotenv:b (to be revoked from 2026-11-23 12:00 UTC on)" in lines[2]
    assert "another admin's" in lines[3]


def plain(table: str) -> list[str]:
    return re.sub(r"\x1b\[\d*m", "", table).splitlines()


def test_eighty_columns_hold_what_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    pending = Place("sol", "dotenv:b", Part.OWED, NOON)
    assert plain(as_table([row(RowStatus.HELD, PLACE, pending)])) == [
        "id                                    status  left    last used  expires",
        f"{ID}  held    3 days  never      2026-11-26",
        "  luna: dotenv:///srv/[x]/.env",
        "  sol: dotenv:b (to be revoked from 2026-11-23 12:00 UTC on)",
    ]


def test_one_that_ends_when_it_is_unused_says_so() -> None:
    owed = Place("sol", "dotenv:b", Part.OWED, NOON, ends_unused=True)
    told = "(to be revoked from 2026-11-23 12:00 UTC on if nobody uses it until then)"
    assert told in as_lines([row(RowStatus.REPLACED, owed)])


def test_an_empty_list_is_told_on_a_terminal() -> None:
    assert as_table([]) == "the API lists no service token\n"


def test_what_is_unknown_has_its_reason() -> None:
    assert as_lines([row(RowStatus.UNKNOWN)]).endswith(
        ", a store does not answer, or the token may be on its way to one\n"
    )


@pytest.mark.parametrize("width", [200, 80, 40, 20, 1])
def test_no_width_breaks_a_word(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    url = "dotenv:///srv/" + "long/" * 20 + ".env"
    rows = [["luna", "2026-11-26 12:00 UTC", "3 days", f"{url}\n{url}"]]
    head, first, *more = plain(
        render_table(["name", "expires", "left", "store"], rows, ["expires"])
    )
    assert [line.split()[-1] for line in (first, *more) if url in line] == [url, url]
    assert ("store" in head) == (width == 200)
    assert ("expires" in head) == (width >= 40)
    assert first.startswith("luna")
    assert "3 days" in first


@pytest.mark.parametrize("count", [0, 1, 2])
def test_json_is_an_indented_array(count: int) -> None:
    rows = [row(RowStatus.HELD, PLACE)] * count
    assert as_json(rows) == json.dumps([each.to_json() for each in rows], indent=2) + "\n"
