"""What the doctor says of stores, of what they hold, and of what was left undone beside it."""

import os
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.cli.doctor.checks import TOKEN_CHECKS
from rotator.cli.doctor.findings import run_checks
from rotator.cli.doctor.gather import Gatherer
from rotator.errors import StoreDeniedError
from rotator.stores.registry import Backends
from rotator.wiring import build_contexts
from tests.doctor.clinic import Clinic, bad, message
from tests.support.sandbox import Fault, Sandbox
from tests.support.stores import MeddledStore

TWO = 'stores = ["dotenv:luna.env", "dotenv:{}"]'
CONTENTS: list[tuple[str, Callable[[Sandbox], str], list[tuple[str, str]]]] = [
    ("fine", lambda api: api.issue(60), []),
    ("eternal", lambda api: api.issue(eternal=True), []),
    ("due", lambda api: api.issue(3), [("token", "warning")]),
    ("over", lambda api: api.issue(-1), [("token", "problem")]),
    ("nothing", lambda _: "", [("store", "warning")]),
    ("garbage", lambda _: "garbage", [("store", "problem")]),
    ("an access token", lambda api: api.access_token(), [("store", "problem")]),
]


@pytest.mark.parametrize(
    ("secret", "expected"), [each[1:] for each in CONTENTS], ids=[each[0] for each in CONTENTS]
)
def test_what_a_store_holds_is_judged(
    clinic: Clinic, secret: Callable[[Sandbox], str], expected: list[tuple[str, str]]
) -> None:
    clinic.put(secret(clinic.api))
    assert bad(clinic.examine()) == expected


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_root_is_warned_of_the_folder_of_another_user(clinic: Clinic) -> None:
    folder = clinic.folder / "srv"
    (folder / "bot").mkdir(parents=True)
    os.chown(folder, 1234, 1234)
    clinic.put(clinic.api.issue(60), "srv/bot/luna.env")
    found = clinic.examine(tokens={"luna": 'stores = ["dotenv:srv/bot/luna.env"]'})
    assert bad(found) == [("store", "warning")]
    assert f"this is root, and user 1234 owns '{folder}'" in message(found)


def test_a_token_that_the_api_refuses_is_a_problem(clinic: Clinic) -> None:
    clinic.put(clinic.api.issue(60))
    clinic.api.rotate_signing_key()
    found = clinic.examine()
    assert bad(found) == [("token", "problem")]
    assert "is not accepted by the API" in message(found)


def test_a_revoked_token_is_found_without_a_probe_as_well(clinic: Clinic) -> None:
    clinic.put(clinic.api.issue(60))
    clinic.api.revoke(clinic.api.tokens[0].id)
    found = clinic.examine(toml="probe = false")
    assert bad(found) == [("token", "problem")]
    assert "--force" in message(found)
    assert not any("service-token/refresh" in path for _, path, _ in clinic.api.calls)


def test_an_exchange_that_fails_is_no_refusal(clinic: Clinic) -> None:
    clinic.put(clinic.api.issue(60))
    clinic.api.misbehave(Fault.status(400), "POST /auth/service-token/refresh", times=None)
    assert bad(clinic.examine()) == [("token", "warning")]


def test_a_token_that_the_list_ends_early_is_told(clinic: Clinic) -> None:
    clinic.put(clinic.api.issue(60))
    clinic.api.tokens[0].expires_at -= timedelta(days=30)
    found = clinic.examine()
    assert bad(found) == [("token", "warning")]
    assert "ends token" in message(found)


def test_a_forged_end_in_the_year_1_is_over_and_no_bug(clinic: Clinic) -> None:
    clinic.api.issue(60)
    claims = {"type": "service", "token_id": clinic.api.tokens[0].id, "exp": -62135596800}
    clinic.put(clinic.api.sign(claims))
    assert bad(clinic.examine()) == [("token", "problem")]


def test_a_store_that_is_away_hides_no_other(clinic: Clinic) -> None:
    clinic.put(clinic.api.issue(60))
    found = clinic.examine(tokens={"luna": TWO.format("away/luna.env")})
    assert bad(found) == [("store", "problem"), ("orphans", "warning")]
    fine = [finding for finding in found if finding.result == "ok"]
    assert {"store", "token"} <= {finding.topic for finding in fine}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (StoreDeniedError("x: we may only read: grant patch"), "x: we may only read: grant patch"),
        (ValueError("hunter2"), "internal error: ValueError"),
    ],
)
def test_a_store_that_may_not_be_written_is_a_problem(
    clinic: Clinic, error: Exception, said: str
) -> None:
    def fail() -> None:
        raise error

    clinic.put(clinic.api.issue(60))
    store = Backends().open("dotenv:luna.env", clinic.folder)
    settings = clinic.settings()
    [context] = build_contexts(settings, clinic.clock).values()
    gatherer = Gatherer(settings, settings.apis[0], context)
    gatherer.reach_api(may_log_in=False)
    store = MeddledStore(store, before_preflight=fail)
    found = list(run_checks(TOKEN_CHECKS, gatherer.look_at(settings.tokens[0], [store])))
    assert bad(found) == [("store", "problem")]
    assert said in message(found)
    assert "hunter2" not in message(found)
    assert any("the API accepts it" in finding.message for finding in found)


def test_a_store_that_is_behind_is_told(clinic: Clinic) -> None:
    clinic.put(clinic.api.issue(60))
    clinic.put(clinic.api.issue(40), "copy.env")
    found = clinic.examine(tokens={"luna": TWO.format("copy.env")})
    assert bad(found) == [("store", "warning")]
    assert "another token than the current one" in message(found)
    assert any("the API accepts it" in finding.message for finding in found)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("intent=0123456789ab/2026-11-20T00:00:00Z/90/01234567", "was cut off"),
        ("intent=0123456789ab/2026-11-23T11:59:30Z/90/01234567", "may still be under way"),
        ("owed=1b2d@2026-11-22T09:12:33Z", "old token 1b2d was to be revoked"),
        ("hook=01234567", "1 hook, restart or notice that the settings no longer have has not"),
        ("hook=01234567 hook=12345678", "2 hooks, restarts or notices that the settings no longer"),
    ],
)
def test_what_an_earlier_run_left_undone_is_told(clinic: Clinic, word: str, said: str) -> None:
    clinic.put(clinic.api.issue(60), note=f"# rotator: v=1 {word}\n")
    found = clinic.examine()
    assert bad(found) == [("journal", "warning")]
    assert said in message(found)


def test_an_old_token_whose_time_has_not_come_is_fine(clinic: Clinic) -> None:
    note = "# rotator: v=1 owed=1b2d@2026-11-24T09:12:33Z\n"
    clinic.put(clinic.api.issue(60), note=note)
    assert bad(clinic.examine()) == []


def test_many_tokens_keep_their_order(clinic: Clinic) -> None:
    names = [f"bot-{number}" for number in range(30)]
    for name in names:
        clinic.put(clinic.api.issue(60), f"{name}.env")
    found = clinic.examine(tokens={name: f'stores = ["dotenv:{name}.env"]' for name in names})
    assert [finding.token for finding in found if finding.topic == "token"] == names
    assert bad(found) == []


@pytest.mark.parametrize("mode", [0o640, 0o644])
def test_a_file_that_every_user_may_read_is_a_warning(clinic: Clinic, mode: int) -> None:
    with tempfile.TemporaryDirectory(prefix="rotator-test-") as name:  # pytest's own are closed
        folder = Path(name)
        folder.chmod(0o755)
        file = folder / ".env"
        file.write_text(f"NOCTURNA_SERVICE_TOKEN={clinic.api.issue(60)}\n")
        file.chmod(mode)
        found = clinic.examine(tokens={"luna": f'stores = ["dotenv://{file}"]'})
    expected = [("store", "warning")] if mode == 0o644 else []
    assert bad(found) == expected
    said = [each.message for each in found if "readable by every user" in each.message]
    assert len(said) == len(expected)
