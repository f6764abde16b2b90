import json
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from rotator.errors import StoreUnreachableError
from rotator.rotation.model import (
    Action,
    OldToken,
    OldTokenState,
    RotationResult,
    StoreReport,
    StoreState,
)
from rotator.rotation.observe import observe
from rotator.rotation.policy import Need, Status, Verdict
from rotator.rotation.report import Report, build_report
from rotator.stores.journal import Journal, PendingRevocation
from rotator.stores.port import Absent, Entry
from tests.support.clock import NOON
from tests.unit.jwts import lasting, token

WEEK = timedelta(days=7)
VERDICT = Verdict(Status.OK, "ok", "expires in 7 days", Need.NOTHING)


@dataclass
class Shelf:
    """A store that shows what it was given, and fails where that is nothing."""

    url: str
    found: Entry | Absent | None

    def read(self) -> Entry | Absent:
        if self.found is None:
            raise StoreUnreachableError(f"{self.url}: no answer")
        return self.found

    def preflight(self) -> None:
        raise NotImplementedError

    def write(self, secret: str, journal: Journal, *, expected: str) -> None:
        raise NotImplementedError

    def note(self, journal: Journal, *, expected: str) -> str:
        raise NotImplementedError

    def hold(self) -> nullcontext[None]:
        return nullcontext()

    def held_elsewhere(self) -> bool | None:
        raise NotImplementedError


def entry(secret: str, journal: Journal = Journal()) -> Entry:  # noqa: B008 - it is frozen
    return Entry(secret, "1", journal)


GOOD = Shelf("a://good", entry(lasting(WEEK), Journal("t1", "t0", NOON)))
OLD = Shelf("b://old", entry(lasting(timedelta(days=1), "t0")))
ABSENT = Shelf("c://absent", Absent("1", Journal()))
BROKEN = Shelf("d://broken", entry("changeme"))
MUTE = Shelf("e://mute", None)


def test_a_report_is_one_json_object_with_stable_keys() -> None:
    seen = observe([GOOD, OLD, ABSENT, BROKEN, MUTE], NOON)
    report = build_report("luna-bot", RotationResult(seen, VERDICT, Action.KEPT), NOON)
    assert json.loads(json.dumps(report.to_json())) == {
        "name": "luna-bot",
        "status": "ok",
        "action": "kept",
        "reason": "ok",
        "message": "expires in 7 days",
        "token_id": "t1",
        "previous_token_id": "t0",
        "expires_at": "2026-11-30T12:00:00Z",
        "seconds_left": 604800,
        "days_left": 7.0,
        "mirrors": [],
        "stores": [
            {"store": "a://good", "status": "current", "message": None},
            {
                "store": "b://old",
                "status": "behind",
                "message": "holds another token than the current one",
            },
            {"store": "c://absent", "status": "absent", "message": None},
            {"store": "d://broken", "status": "behind", "message": "the value is not a JWT"},
            {"store": "e://mute", "status": "unreachable", "message": "e://mute: no answer"},
        ],
        "old_tokens": [],
        "notes": [],
        "unsettled": 0,
        "hooks_left": 0,
        "attempts_left": None,
        "level": None,
        "failure": "store-unreachable",
        "error": "e://mute: no answer",
    }


def test_an_old_token_that_waits_to_be_revoked_is_in_every_report() -> None:
    pending = (PendingRevocation("t0", NOON), PendingRevocation("t00", NOON + WEEK))
    seen = observe([Shelf("a://good", entry(lasting(WEEK), Journal("t1", pending=pending)))], NOON)
    failed = OldToken("t0", OldTokenState.FAILED, NOON, "no answer")
    for dealt_with in ((), (failed,)):
        result = RotationResult(seen, VERDICT, old_tokens=dealt_with)
        first, second = build_report("luna-bot", result, NOON).old_tokens
        assert first == (failed if dealt_with else OldToken("t0", OldTokenState.WAITING, NOON))
        assert second == OldToken("t00", OldTokenState.WAITING, NOON + WEEK)


def test_what_is_not_known_is_null() -> None:
    report = build_report("luna-bot", RotationResult(observe([ABSENT], NOON), VERDICT), NOON)
    unknown = ["action", "token_id", "previous_token_id", "expires_at", "seconds_left", "days_left"]
    assert {key: report.to_json()[key] for key in unknown} == dict.fromkeys(unknown)
    assert report.error is None


def test_an_eternal_token_has_no_end_in_its_report() -> None:
    eternal = Shelf("a://eternal", entry(lasting(None)))
    json_object = build_report(
        "luna-bot", RotationResult(observe([eternal], NOON), VERDICT), NOON
    ).to_json()
    assert json_object["token_id"] == "t1"
    assert (json_object["expires_at"], json_object["seconds_left"]) == (None, None)


@pytest.mark.parametrize(
    ("left", "seconds", "days"),
    [
        (timedelta(), 0, 0.0),
        (timedelta(hours=12), 43_200, 0.5),
        (timedelta(days=-1.5), -129_600, -1.5),
    ],
    ids=["none", "half a day", "negative"],
)
def test_the_life_left_is_exact_down_to_nothing(left: timedelta, seconds: int, days: float) -> None:
    seen = observe([Shelf("a://edge", entry(lasting(left)))], NOON)
    json_object = build_report("luna-bot", RotationResult(seen, VERDICT), NOON).to_json()
    assert (json_object["seconds_left"], json_object["days_left"]) == (seconds, days)


def test_after_a_rotation_the_report_is_about_the_new_token_and_names_the_old() -> None:
    new = token(90 * timedelta(days=1), "t2")
    failed = StoreReport("b://old", StoreState.BEHIND, "b://old: denied")
    written = (StoreReport("a://good", StoreState.WRITTEN), failed)
    result = RotationResult(observe([GOOD, OLD], NOON), VERDICT, token=new, written=written)
    report = build_report("luna-bot", result, NOON)
    assert (report.token_id, report.previous_token_id) == ("t2", "t1")
    assert report.seconds_left == 90 * 86400
    assert [each.status for each in report.stores] == ["written", "behind"]
    assert report.error == "b://old: denied"


def test_the_first_token_of_an_empty_store_has_no_previous_one() -> None:
    result = RotationResult(observe([ABSENT], NOON), VERDICT, token=token(WEEK, "t2"))
    report = build_report("luna-bot", result, NOON)
    assert (report.token_id, report.previous_token_id) == ("t2", None)


def test_all_that_went_wrong_is_in_the_error() -> None:
    seen = observe([GOOD, MUTE, replace(MUTE, url="f://mute")], NOON)
    error = build_report(
        "luna-bot", RotationResult(seen, VERDICT, error="log in: refused"), NOON
    ).error
    assert error == "log in: refused; e://mute: no answer; f://mute: no answer"


def test_a_report_holds_no_token() -> None:
    report = build_report(
        "luna-bot", RotationResult(observe([GOOD, OLD], NOON), VERDICT, token=token(WEEK)), NOON
    )
    secrets = [lasting(WEEK), lasting(timedelta(days=1), "t0")]
    assert not any(secret in f"{report!r} {report.to_json()}" for secret in secrets)
    assert isinstance(report, Report)
