"""`rotator tokens list`: the API's list beside what the stores hold and remember."""

import csv
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rotator.cli.tokens.listing import COLUMNS, Filter, ListFormat, show_tokens
from rotator.errors import ConfigError, LoginRefusedError
from tests.listing.desk import Desk
from tests.support.sandbox import Fault

Printed = pytest.CaptureFixture[str]
INTENT = "intent=0123456789ab/2026-11-20T00:00:00Z/90/01234567/{}"


def listed(desk: Desk, capsys: Printed, status: int = 0) -> list[dict[str, Any]]:
    assert show_tokens(desk.settings, ListFormat.JSON) == status
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return rows


def states(desk: Desk, capsys: Printed, status: int = 0) -> dict[str, str]:
    return {row["token_id"]: row["status"] for row in listed(desk, capsys, status)}


def test_a_token_is_listed_beside_the_stores_that_hold_it(desk: Desk, capsys: Printed) -> None:
    token_id = desk.put()
    (row,) = listed(desk, capsys)
    url = f"dotenv://{desk.folder}/luna.env#NOCTURNA_SERVICE_TOKEN"
    assert (row["token_id"], row["status"], row["own"]) == (token_id, "held", True)
    assert row["stores"] == [{"name": "luna", "store": url, "status": "held"}]
    assert 59.9 < row["days_left"] <= 60
    assert row["last_used_at"] is None


def test_the_next_to_expire_comes_first_and_the_eternal_last(desk: Desk, capsys: Printed) -> None:
    eternal, late, over = desk.issue(eternal=True), desk.issue(70), desk.issue(-1)
    soon = desk.put()
    rows = listed(desk, capsys)
    assert [row["token_id"] for row in rows] == [over, soon, late, eternal]
    assert rows[0]["seconds_left"] < 0
    assert (rows[-1]["expires_at"], rows[-1]["days_left"]) == (None, None)


def test_what_no_store_knows_is_an_orphan_while_it_lives(desk: Desk, capsys: Printed) -> None:
    held, orphan, over = desk.put(), desk.issue(), desk.issue(-1)
    assert states(desk, capsys) == {held: "held", orphan: "orphan", over: "expired"}


def test_one_of_another_admin_is_marked(desk: Desk, capsys: Printed) -> None:
    desk.issue()
    desk.api.tokens[-1].user_id = "somebody-else"
    assert [row["own"] for row in listed(desk, capsys)] == [False]


@pytest.mark.parametrize(
    ("word", "status", "part"),
    [
        ("token={}", "replaced", "replaced"),
        ("previous={}", "replaced", "replaced"),
        ("owed={}@2026-12-24T09:12:33Z", "replaced", "owed"),
        (INTENT, "minting", "minting"),
        (f"{INTENT} token={{}}", "minting", "minting"),
    ],
)
def test_what_a_journal_remembers_is_no_orphan(
    desk: Desk, capsys: Printed, word: str, status: str, part: str
) -> None:
    other = desk.issue(30)
    desk.put(note=f"# rotator: v=1 {word.format(other, other)}\n")
    row = listed(desk, capsys)[0]
    assert (row["token_id"], row["status"]) == (other, status)
    assert [place["status"] for place in row["stores"]] == [part]


@pytest.mark.parametrize("is_written", [True, False])
def test_the_canary_of_a_rehearsal_is_no_orphan(
    desk: Desk, capsys: Printed, *, is_written: bool
) -> None:
    held = desk.put()
    canary = desk.issue(1)
    secret = desk.api.tokens[-1].secret if is_written else ""
    note = f"token={canary}" if is_written else INTENT.format(canary, canary)
    with (desk.folder / "luna.env").open("a") as file:
        file.write(f"# rotator: v=1 {note}\nNOCTURNA_SERVICE_TOKEN_REHEARSAL={secret}\n")
    rows = {row["token_id"]: row for row in listed(desk, capsys)}
    assert (rows[held]["status"], rows[canary]["status"]) == ("held", "minting")
    (place,) = rows[canary]["stores"]
    assert (place["name"], place["status"]) == ("luna", "minting")
    assert place["store"].endswith("/luna.env#NOCTURNA_SERVICE_TOKEN_REHEARSAL")


def test_a_token_that_two_stores_hold_names_both(desk: Desk, capsys: Printed) -> None:
    desk.put()
    (desk.folder / "sol.env").write_text((desk.folder / "luna.env").read_text())
    (row,) = listed(desk, capsys)
    assert [place["name"] for place in row["stores"]] == ["luna", "sol"]


def test_orphans_are_unknown_while_a_store_is_away(
    desk: Desk, capsys: Printed, caplog: pytest.LogCaptureFixture
) -> None:
    held, other = desk.put(), desk.issue()
    desk.sol = "away/sol.env"
    assert states(desk, capsys, status=1) == {held: "held", other: "unknown"}
    assert "sol: dotenv://" in caplog.text


def test_a_token_that_was_just_made_may_be_on_its_way(desk: Desk, capsys: Printed) -> None:
    desk.api.issue(60, created_at=desk.api.clock())
    assert list(states(desk, capsys).values()) == ["unknown"]


def test_a_held_token_that_is_not_listed_is_told(
    desk: Desk, capsys: Printed, caplog: pytest.LogCaptureFixture
) -> None:
    desk.api.revoke(desk.put())
    assert listed(desk, capsys) == []
    assert "is not in the API's list: it was revoked" in caplog.text


def test_elsewhere_than_on_a_terminal_each_token_has_a_line(desk: Desk, capsys: Printed) -> None:
    held, orphan = desk.put(), desk.issue(eternal=True)
    assert show_tokens(desk.settings) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{held}: held – expires 20")
    assert first.endswith(f"scope calculations, luna: dotenv://{desk.folder}/luna.env")
    assert second.startswith(f"{orphan}: orphan – never expires, created 20")


def test_an_empty_list_is_told(desk: Desk, capsys: Printed) -> None:
    assert show_tokens(desk.settings) == 0
    assert capsys.readouterr().out == "the API lists no service token\n"


@pytest.mark.parametrize("form", ListFormat)
def test_a_scope_steers_no_terminal_and_shows_no_token(
    desk: Desk, capsys: Printed, form: ListFormat
) -> None:
    secret = desk.api.issue(60)
    desk.api.issue(60, scope=f"\x1b[31m\n{secret}{'x' * 200}")
    assert show_tokens(desk.settings, form) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert secret not in out
    assert "<token>" in out


def test_orphans_alone_are_listed(desk: Desk, capsys: Printed) -> None:
    desk.put()
    desk.issue(-1)
    orphan = desk.issue()
    assert show_tokens(desk.settings, ListFormat.JSON, Filter(orphans=True)) == 0
    assert [row["token_id"] for row in json.loads(capsys.readouterr().out)] == [orphan]


def test_unused_are_those_that_nobody_has_used_for_that_long(desk: Desk, capsys: Printed) -> None:
    never, lately, long_ago = desk.issue(), desk.issue(), desk.issue()
    now = datetime.now(UTC)
    by_id = {row.id: row for row in desk.api.tokens}
    for row in desk.api.tokens:
        row.created_at = now - timedelta(days=50)
    by_id[lately].last_used_at = now - timedelta(days=29)
    by_id[long_ago].last_used_at = now - timedelta(days=31)
    month = Filter(unused=timedelta(days=30))
    assert show_tokens(desk.settings, ListFormat.JSON, month) == 0
    shown = {row["token_id"] for row in json.loads(capsys.readouterr().out)}
    assert shown == {never, long_ago}


def test_a_filter_that_leaves_nothing_says_so(desk: Desk, capsys: Printed) -> None:
    desk.put()
    assert show_tokens(desk.settings, wanted=Filter(orphans=True)) == 0
    assert capsys.readouterr().out == "none of the 1 tokens that the API lists\n"


def test_csv_has_a_line_for_each_and_no_formula(desk: Desk, capsys: Printed) -> None:
    held = desk.put()
    desk.api.issue(60, scope="=cmd()")
    assert show_tokens(desk.settings, ListFormat.CSV) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    by_id = {row["token_id"]: row for row in rows}
    assert set(rows[0]) == set(COLUMNS)
    assert len(rows) == len(by_id) == 2
    assert by_id[held]["stores"].endswith("luna.env#NOCTURNA_SERVICE_TOKEN (held)")
    assert {row["scope"] for row in rows} == {"calculations", "'=cmd()"}


def test_failures_are_errors(desk: Desk) -> None:
    desk.api.misbehave(Fault.refusal(401), "POST /auth/login")
    with pytest.raises(LoginRefusedError):
        show_tokens(desk.settings, ListFormat.JSON)
    without = desk.settings.apis[0]._replace(admin_email=None)
    with pytest.raises(ConfigError, match="admin_email"):
        show_tokens(desk.settings._replace(apis=(without,)), ListFormat.JSON)


@pytest.mark.parametrize("orphans", [True, False])
def test_one_too_young_to_be_an_orphan_is_told_where_orphans_are_asked_for(
    desk: Desk, capsys: Printed, caplog: pytest.LogCaptureFixture, *, orphans: bool
) -> None:
    desk.put()
    for _ in range(2):
        desk.issue()
        desk.api.tokens[-1].created_at = desk.api.clock()
    assert show_tokens(desk.settings, wanted=Filter(orphans=orphans)) == 0
    assert ("none of the 3 tokens" in capsys.readouterr().out) == orphans
    told = [text for text in caplog.messages if "too young" in text]
    young = "2 live tokens of this admin may be on the way to a store, too young to tell"
    assert told == [f"{young}: look again in some minutes"] * orphans
