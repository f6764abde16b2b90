"""What a rotation sets off, and what it says of old tokens, as a user meets it."""

import json

import pytest

from rotator.tokens import ServiceToken
from tests.support.listener import listener
from tests.support.process import Runner
from tests.support.sandbox import Fault, Sandbox

MINT = "POST /auth/admin/service-tokens"


def configured(rotator: Runner, api: Sandbox, **keys: object) -> None:
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
    (rotator.folder / "rotator.toml").write_text(
        f'[[token]]\nname = "luna"\nstores = ["dotenv:.env"]\n{lines}'
    )
    rotator.env.pop("ROTATOR_STORE", None)
    rotator.write_env(api.issue(days=3))


def test_a_rotation_is_announced_and_its_hooks_are_run(rotator: Runner, api: Sandbox) -> None:
    with listener() as (url, arrived):
        hook = ["sh", "-c", "echo $ROTATOR_NAME $NOCTURNA_ADMIN_PASSWORD_FILE > ran"]
        configured(rotator, api, hooks=[hook], notify=[url])
        result = rotator("rotate")
    assert (result.status, result.err) == (0, "")
    assert (rotator.folder / "ran").read_text() == "luna\n"
    assert [notice["title"] for notice in arrived] == ["luna: token renewed"]
    assert str(api.tokens[-1].id) in arrived[0]["message"]


def test_a_failure_is_announced_with_its_urgency(rotator: Runner, api: Sandbox) -> None:
    with listener() as (url, arrived):
        configured(rotator, api, notify=[url])
        api.misbehave(Fault.refusal(403), MINT)
        result = rotator("rotate")
    assert result.status == 1
    assert result.err.startswith("rotator: error: luna: mint a service token: ")
    assert "the token still lives 3 days: 12 attempts left, with four runs a day" in result.err
    (notice,) = arrived
    assert notice["title"] == "luna: rotation failed"
    assert "luna (error): mint a service token" in notice["message"]


def test_a_dry_run_announces_nothing(rotator: Runner, api: Sandbox) -> None:
    with listener() as (url, arrived):
        configured(rotator, api, notify=[url])
        api.misbehave(Fault.refusal(403), "GET /auth/admin/verify")
        assert rotator("rotate", "--dry-run").status == 1
    assert arrived == []


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("check", 3),
        ("rotate", 2),
        *(pytest.param(each, 2, marks=pytest.mark.long) for each in ("rotate --dry-run", "mint")),
    ],
)
def test_a_mistyped_url_is_told_before_anything_is_done(
    rotator: Runner, api: Sandbox, command: str, status: int
) -> None:
    configured(rotator, api, notify=["slak://hunter2/b"])
    result = rotator(*command.split())
    assert result.status == status
    assert "notify: URL 1: apprise does not understand this URL" in result.err
    assert "hunter2" not in result.err + result.out
    assert api.calls == []


def test_a_failed_hook_makes_the_run_fail_until_it_worked(rotator: Runner, api: Sandbox) -> None:
    configured(rotator, api, hooks=[["sh", "-c", "echo cannot restart; test -e mended"]])
    result = rotator("rotate")
    assert (result.status, "luna: rotated (expiring)" in result.out) == (1, True)
    assert "hook 1 (sh) ended with exit status 1" in result.err
    assert "luna: hook 1 (sh): cannot restart" in result.err
    (rotator.folder / "mended").touch()
    assert rotator("rotate").status == 0


def test_an_old_token_that_is_revoked_is_told_with_what_that_means(
    rotator: Runner, api: Sandbox
) -> None:
    old = api.issue(days=3)
    rotator.write_env(old)
    result = rotator("rotate", ROTATOR_RETIRE="now")
    old_id = ServiceToken.parse(old).token_id
    assert (
        f"; revoked: {old_id} (no longer exchanged; as a bearer valid until its end)" in result.out
    )
    assert result.err == ""


def test_after_a_leak_the_steps_that_remain_are_listed(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=60))
    result = rotator("rotate", "--force", "--revoke-old")
    assert result.status == 0
    assert "rotator: warning: after a leak (1 of 3): a revoked token still works" in result.err
    assert result.err.count("\n") == 3
    assert len(api.live_tokens()) == 1


def test_a_dry_run_tells_of_revocations_and_of_unfinished_work(
    rotator: Runner, api: Sandbox
) -> None:
    configured(rotator, api, hooks=[["sh", "-c", "test -e mended"]])
    rotator("rotate")
    result = rotator("rotate", "--dry-run", "--revoke-old")
    assert "the token that it replaced would be revoked" in result.out
    assert "what an earlier run left undone would be tried again" in result.out
    assert len(api.live_tokens()) == 2


def test_what_is_finished_later_counts_as_a_change(rotator: Runner, api: Sandbox) -> None:
    configured(rotator, api, hooks=[["sh", "-c", "test -e mended"]])
    rotator("rotate")
    (rotator.folder / "mended").touch()
    result = rotator("rotate", "--detailed-exitcode")
    assert (result.status, "1 hook that an earlier run left undone worked now" in result.out) == (
        3,
        True,
    )
    result = rotator("rotate", "--detailed-exitcode", "--revoke-old")
    assert (result.status, "; revoked: " in result.out) == (3, True)
    again = rotator("rotate", "--revoke-old")
    assert (again.status, "; gone already: " in again.out, again.err) == (0, True, "")


def test_failures_are_logged_as_json_where_that_is_asked_for(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=3))
    api.misbehave(Fault.refusal(403), MINT)
    *trail, entry = rotator("rotate", "--log-format", "json").err.splitlines()
    assert (json.loads(entry)["level"], "default: mint" in entry) == ("error", True)
    assert {json.loads(line)["logger"] for line in trail} == {"rotator.audit"}


def test_old_tokens_stand_in_the_json(rotator: Runner, api: Sandbox) -> None:
    old = api.issue(days=3)
    rotator.write_env(old)
    (report,) = rotator("rotate", "--json", ROTATOR_RETIRE="now").json
    (retired,) = report["old_tokens"]
    assert retired["token_id"] == ServiceToken.parse(old).token_id
    assert (retired["state"], retired["message"]) == ("revoked", None)


def test_the_id_of_a_shown_token_whose_answer_was_lost_is_told(
    rotator: Runner, api: Sandbox
) -> None:
    api.misbehave(Fault.reset_after(), MINT)
    result = rotator("mint", "--show")
    assert (result.status, result.out) == (1, "")
    assert f"{api.tokens[-1].id}, which came of it unless others mint" in result.err
    assert api.live_tokens() == []


def test_a_failure_is_told_in_fields_to_those_who_want_failures(
    rotator: Runner, api: Sandbox
) -> None:
    with listener() as (url, arrived):
        configured(rotator, api, notify=[url], notify_on=["failed"])
        config = rotator.folder / "rotator.toml"
        other = config.read_text().replace("luna", "sol").replace("dotenv:.env", "dotenv:b.env")
        config.write_text(config.read_text() + other.replace('["failed"]', '["rotated"]'))
        api.misbehave(Fault.refusal(403), MINT, times=None)
        assert rotator("rotate").status == 1
    (notice,) = arrived
    assert notice["event"] == "failed"
    (token,) = notice["tokens"]
    assert (token["name"], token["level"], token["failure"]) == ("luna", "error", "not-admin")
    assert token["error"].startswith("mint a service token: ")
    assert token["stores"] == [f"dotenv://{rotator.env_file.resolve()}#NOCTURNA_SERVICE_TOKEN"]


def test_a_test_notice_is_sent_once_to_each_url(rotator: Runner, api: Sandbox) -> None:
    with listener() as (url, arrived):
        configured(rotator, api, notify=[url, "json://127.0.0.1:1/k"], notify_on=["failed"])
        with (rotator.folder / "rotator.toml").open("a") as file:
            file.write(f'[[token]]\nname="sol"\nstores=["dotenv:b.env"]\nnotify=["{url}"]\n')
        result = rotator("notify", "--test")
        one = rotator("notify", "--test", "s*")
    place = 'rotator.toml: [[token]] "luna" notify'
    assert result.status == 1
    assert result.out == f"{place}: URL 1: sent\n"
    assert result.err.startswith(f"rotator: error: {place}: URL 2: the notice could not be")
    assert (one.status, one.out) == (0, 'rotator.toml: [[token]] "sol" notify: URL 1: sent\n')
    assert [(n["title"], n["event"], n["tokens"]) for n in arrived] == [
        ("rotator: test", "test", [])
    ] * 2


def test_a_test_without_a_url_is_told(rotator: Runner) -> None:
    result = rotator("notify", "--test")
    assert (result.status, result.out) == (2, "")
    assert "found no URL to send a notice to" in result.err
    assert "--test" in rotator("notify").err


@pytest.mark.parametrize("events", [["rotatd"], "failed", [5], ["failed", "failed"], ["test"]])
def test_an_event_that_is_none_is_told(rotator: Runner, api: Sandbox, events: object) -> None:
    configured(rotator, api, notify_on=events)
    result = rotator("rotate")
    assert result.status == 2
    assert 'expected a list of events such as ["rotated", "failed", "owed-in-use"]' in result.err


def test_events_may_stand_in_the_environment(rotator: Runner, api: Sandbox) -> None:
    with listener() as (url, arrived):
        rotator.write_env(api.issue(days=3))
        wanted = {"ROTATOR_NOTIFY": url, "ROTATOR_NOTIFY_ON": "failed owed-in-use"}
        assert rotator("rotate", **wanted).status == 0
    assert arrived == []
