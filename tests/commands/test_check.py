"""`rotator check` as a monitoring plugin: every verdict and every exit status, from outside."""

from datetime import UTC, datetime, timedelta

import pytest

from rotator.stores.port import DEFAULT_FIELD
from rotator.tokens import ServiceToken
from tests.support.process import Runner
from tests.support.sandbox import Sandbox

ID = "5f0c1b2d-0000-4000-8000-000000000000"


def claims(**changes: object) -> dict[str, object]:
    later = int((datetime.now(UTC) + timedelta(days=60)).timestamp())
    return {"sub": "1", "type": "service", "scope": "x", "token_id": ID, "exp": later, **changes}


def values(api: Sandbox) -> dict[str, str]:
    """Return what may stand behind `NOCTURNA_SERVICE_TOKEN=`, by the reason for its verdict."""
    fine = api.issue(days=60)
    return {
        "ok": fine,
        "expiring": api.issue(days=3),
        "last_day": api.issue(days=0.5),
        "expired": api.issue(days=-2),
        "eternal": api.issue(eternal=True),
        "missing": "",
        "quoted": f"'\"{fine}\"'",
        "spaces": f'" {fine}"',
        "newline": f'"{fine}\n"',
        "garbage": "changeme",
        "access_token": api.access_token(),
        "wrong_type": api.sign(claims(type="refresh")),
        "bad_expiry": api.sign(claims(exp="soon")),
    }


VERDICTS = [
    ("ok", "ok", 0),
    ("eternal", "eternal", 0),
    ("expiring", "due", 1),
    ("last_day", "due", 1),
    ("expired", "expired", 2),
    ("missing", "missing", 2),
    ("quoted", "invalid", 2),
    ("spaces", "invalid", 2),
    ("newline", "invalid", 2),
    ("garbage", "invalid", 2),
    ("access_token", "invalid", 2),
    ("wrong_type", "invalid", 2),
    ("bad_expiry", "invalid", 2),
]


@pytest.mark.parametrize(("reason", "status", "exit_status"), VERDICTS)
def test_each_verdict_has_its_status_and_exit_status(
    rotator: Runner, api: Sandbox, reason: str, status: str, exit_status: int
) -> None:
    rotator.write_env(values(api)[reason])
    before = rotator.env_file.read_bytes()
    result = rotator("check", "--json")
    (report,) = result.json
    assert (report["reason"], report["status"]) == (reason, status)
    assert result.status == exit_status
    assert report["action"] is None
    assert rotator.env_file.read_bytes() == before
    assert api.calls == []


def test_a_missing_file_is_a_missing_token(rotator: Runner) -> None:
    result = rotator("check")
    assert (result.status, result.err) == (2, "")
    url = f"dotenv://{rotator.env_file.resolve()}#NOCTURNA_SERVICE_TOKEN"
    assert result.out == f"default: missing – there is no token: {url}\n"


def test_a_line_that_cannot_be_parsed_is_not_a_missing_token(rotator: Runner) -> None:
    rotator.env_file.write_text('A=1\nNOCTURNA_SERVICE_TOKEN="abc\n')
    result = rotator("check")
    assert result.status == 3
    assert "line 2 cannot be parsed: close its quotes" in result.err


def test_a_scope_that_differs_is_due(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=60, scope="charts"))
    result = rotator("check", "--json", ROTATOR_SCOPE="calculations")
    assert (result.status, result.json[0]["reason"]) == (1, "scope")


def test_the_stores_that_are_behind_are_named(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=60))
    rotator.env["ROTATOR_STORE"] = "dotenv:.env dotenv:b.env"
    (line,) = rotator("check").out.splitlines()
    assert line.endswith(f"hold the current token: dotenv://{rotator.folder}/b.env#{DEFAULT_FIELD}")
    (line,) = rotator("rotate", "--dry-run").out.splitlines()
    assert line.endswith(f"; stores: dotenv://{rotator.folder}/b.env#{DEFAULT_FIELD}")


def test_a_store_behind_is_due(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=60))
    result = rotator("check", "--json", ROTATOR_STORE="dotenv:.env dotenv:other.env")
    assert (result.status, result.json[0]["reason"]) == (1, "behind")
    assert [store["status"] for store in result.json[0]["stores"]] == ["current", "absent"]


def test_a_probe_finds_a_token_that_the_server_refuses(rotator: Runner, api: Sandbox) -> None:
    secret = api.issue(days=60)
    rotator.write_env(secret)
    api.revoke(str(ServiceToken.parse(secret).token_id))
    assert rotator("check").status == 0
    result = rotator("check", "--probe", "--json")
    assert (result.status, result.json[0]["status"]) == (2, "refused")


def test_a_probe_needs_no_admin(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=60))
    del rotator.env["NOCTURNA_ADMIN_EMAIL"]
    del rotator.env["NOCTURNA_ADMIN_PASSWORD_FILE"]
    assert rotator("check", "--probe").status == 0


def test_a_probe_needs_the_address_of_the_api(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=60))
    result = rotator("check", "--probe", NOCTURNA_API_URL="")
    assert result.status == 3
    assert result.err.startswith("rotator: environment: NOCTURNA_API_URL: found nothing")


def test_a_probe_without_an_answer_cannot_tell(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=60))
    result = rotator("check", "--probe", NOCTURNA_API_URL="http://127.0.0.1:9/api")
    assert result.status == 3
    assert "nothing listens at the API's address" in result.err


def test_a_store_that_does_not_answer_cannot_tell(rotator: Runner) -> None:
    result = rotator("check", "--json", ROTATOR_STORE="dotenv:nowhere/.env")
    assert (result.status, result.json[0]["status"]) == (3, "unknown")
    assert result.json[0]["stores"][0]["status"] == "unreachable"
    assert result.err.startswith("rotator: error: default: ")


def test_one_silent_store_of_two_cannot_tell_but_shows_the_rest(
    rotator: Runner, api: Sandbox
) -> None:
    rotator.write_env(api.issue(days=60))
    result = rotator("check", ROTATOR_STORE="dotenv:.env dotenv:nowhere/.env")
    assert result.status == 3
    assert result.out.startswith("default: ok")
    assert "nowhere/.env" in result.err


@pytest.mark.parametrize(
    "arguments",
    [["check", "--nonsense"], ["check", "nobody"], ["check", "--config", "none.toml"]],
    ids=["option", "name", "config"],
)
def test_a_wrong_call_cannot_tell(rotator: Runner, arguments: list[str]) -> None:
    if "--config" in arguments:
        del rotator.env["ROTATOR_STORE"]
    result = rotator(*arguments)
    assert result.status == 3
    assert result.out == ""
    assert "Traceback" not in result.err


def test_the_worst_of_several_tokens_counts(rotator: Runner, api: Sandbox) -> None:
    names = {"fine": 60.0, "due": 3.0, "over": -1.0}
    for name, days in names.items():
        (rotator.folder / f"{name}.env").write_text(f"NOCTURNA_SERVICE_TOKEN={api.issue(days)}\n")
    tables = [f'[[token]]\nname = "{name}"\nstores = ["dotenv:{name}.env"]\n' for name in names]
    unreachable = '[[token]]\nname = "silent"\nstores = ["dotenv:nowhere/.env"]\n'
    (rotator.folder / "rotator.toml").write_text("".join([*tables, unreachable]))
    del rotator.env["ROTATOR_STORE"]
    statuses = {
        (): 2,
        ("fine",): 0,
        ("fine", "due"): 1,
        ("due", "silent"): 3,
        ("silent", "over"): 2,
    }
    assert {chosen: rotator("check", *chosen).status for chosen in statuses} == statuses


def test_json_has_every_key(rotator: Runner, api: Sandbox) -> None:
    secret = api.issue(days=60)
    rotator.write_env(secret)
    (report,) = rotator("check", "--json").json
    url = f"dotenv://{rotator.env_file.resolve()}#NOCTURNA_SERVICE_TOKEN"
    expires_at = ServiceToken.parse(secret).expires_at
    assert expires_at
    assert report.pop("seconds_left") // 60 in range(86_398, 86_401)
    assert report.pop("days_left") == pytest.approx(60, abs=0.01)
    assert "expires in 60 days" in report.pop("message")
    assert report == {
        "name": "default",
        "status": "ok",
        "action": None,
        "reason": "ok",
        "token_id": ServiceToken.parse(secret).token_id,
        "previous_token_id": None,
        "expires_at": f"{expires_at:%Y-%m-%dT%H:%M:%SZ}",
        "stores": [{"store": url, "status": "current", "message": None}],
        "mirrors": [],
        "old_tokens": [],
        "notes": [],
        "unsettled": 0,
        "hooks_left": 0,
        "attempts_left": None,
        "level": None,
        "failure": None,
        "error": None,
    }
