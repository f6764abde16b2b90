"""`rotator rehearse` as a process: what it prints, its exit status, and what bots notice."""

import json
import re
import signal

from rotator.config.loader import HOOK_VARIABLES
from tests.commands.test_afterwards import configured
from tests.executing.helpers import BOT, SOON, count, has
from tests.support.crew import Crew
from tests.support.forked import Job
from tests.support.listener import listener
from tests.support.process import Runner
from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import PATIENCE, wait_until

STEPS = (
    "read, preflight, login, intend, mint, verify, write, read-back, exchange, note, revoke, remove"
)
MINT = "POST /auth/admin/service-tokens"


def test_a_line_tells_what_was_done_and_a_failure_is_one_on_stderr(
    rotator: Runner, api: Sandbox
) -> None:
    rotator.write_env(api.issue(days=60))
    before = rotator.env_file.read_bytes()
    fine = rotator("rehearse")
    assert (fine.status, fine.err) == (0, "")
    canary = api.tokens[-1].id
    assert fine.out == f"default: rehearsed – {STEPS}; nothing is left of the canary {canary}\n"
    api.misbehave(Fault.refusal(403, "Admin privileges required"), times=None)
    ill = rotator("rehearse")
    assert (ill.status, ill.out) == (1, "")
    (line,) = ill.err.splitlines()
    assert line.startswith("rotator: error: default: the rehearsal failed at login: ")
    assert line.endswith("; nothing was minted")
    assert rotator.env_file.read_bytes() == before


def test_wrong_settings_are_told_before_anything_is_done(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=60))
    result = rotator("rehearse", "luna")
    assert (result.status, result.out) == (2, "")
    result = rotator("rehearse", NOCTURNA_ADMIN_EMAIL="")
    assert (result.status, result.out) == (2, "")
    assert api.calls == []


def test_of_several_tokens_each_is_rehearsed_and_has_an_object(
    rotator: Runner, api: Sandbox
) -> None:
    rotator.env.pop("ROTATOR_STORE")
    config = ""
    for name in ("luna", "sol", "nyx"):
        (rotator.folder / f"{name}.env").write_text(f"NOCTURNA_SERVICE_TOKEN={api.issue(60)}\n")
        config += f'[[token]]\nname = "{name}"\nstores = ["dotenv:{name}.env"]\n'
    (rotator.folder / "rotator.toml").write_text(config.replace("dotenv:sol", "dotenv:away/sol"))
    result = rotator("rehearse", "--json")
    assert result.status == 1
    luna, sol, nyx = result.json
    assert [each["name"] for each in result.json] == ["luna", "sol", "nyx"]
    assert [each["status"] for each in result.json] == ["passed", "failed", "passed"]
    assert (sol["token_id"], sol["failure"]) == (None, "store-unreachable")
    assert luna["token_id"] != nyx["token_id"]
    assert ", ".join(dict.fromkeys(each["step"] for each in luna["steps"])) == STEPS
    assert len(api.tokens) == 5
    assert len(api.live_tokens()) == 3
    logins = [path for _, path, _ in api.calls if path == "/auth/login"]
    assert len(logins) == 1
    assert [path for _, path, _ in api.calls].count("/auth/logout") == 1


def test_hooks_restarts_and_notices_are_tried_and_told_so(rotator: Runner, api: Sandbox) -> None:
    with listener() as (url, arrived):
        hook = 'echo "$ROTATOR_REHEARSAL $ROTATOR_TOKEN_ID" >> ran'
        configured(rotator, api, hooks=[["sh", "-c", hook]], notify=[url])
        assert rotator("rehearse").status == 0
        assert not (rotator.folder / "ran").exists()
        result = rotator("rehearse", "--hooks", "--json")
        (report,) = result.json
        assert (result.status, result.err, report["error"]) == (0, "", None)
        # As from a hook of a rehearsal, which passes it on.
        outer = dict.fromkeys((*HOOK_VARIABLES, "ROTATOR_REHEARSAL"), "1")
        assert rotator("rotate", **outer).status == 0
    current, _, canary, new = (row.id for row in api.tokens)
    assert (rotator.folder / "ran").read_text() == f"1 {current}\n {new}\n"
    assert report["token_id"] == canary
    rehearsed, renewed = arrived
    assert rehearsed["title"] == "luna: rehearsal"
    assert rehearsed["message"].startswith("This is a test by rotator rehearse.")
    assert renewed["title"] == "luna: token renewed"
    messages = [each["message"] for each in report["steps"] if each["step"] == "hook"]
    assert messages == ['hook 1 ("sh") works', "the notice to URL 1 works"]


def test_a_hook_that_would_fail_is_told_today(rotator: Runner, api: Sandbox) -> None:
    configured(rotator, api, hooks=[["no-such-program"], ["true"]])
    result = rotator("rehearse", "--hooks")
    assert result.status == 1
    assert result.err == (
        "rotator: error: luna: the rehearsal failed at hook: hook 1 (no-such-program) was not"
        " found, or the interpreter that it names: install it or correct the hook; nothing is left"
        f" of the canary {api.tokens[-1].id}\n"
    )


def test_a_signal_lets_the_rehearsal_in_hand_be_finished(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(old := api.issue(days=60))
    before = rotator.env_file.read_bytes()
    api.misbehave(Fault.delay(2), MINT)
    with rotator.started("rehearse") as running:
        wait_until(lambda: len(api.tokens) == 2, "that the canary is minted")
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(PATIENCE) == 0
    assert [row.secret for row in api.live_tokens()] == [old]
    assert rotator.env_file.read_bytes() == before


def test_a_bot_under_exec_is_not_restarted_by_a_rehearsal(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(old := api.issue(days=60))
    with rotator.started("exec", *SOON, "--poll", "1s", *BOT) as running:
        running.wait_for(has(old))
        for _ in range(3):
            assert rotator("rehearse").status == 0
        assert rotator("rotate", "--force").status == 0
        new = next(row.secret for row in api.live_tokens() if row.secret != old)
        running.wait_for(has(new))
        assert count(running, "has ") == 2
        assert running.stop() in (0, 143)


def test_rehearsals_and_a_rotation_of_one_file_take_turns(
    rotator: Runner, api: Sandbox, crew: Crew
) -> None:
    rotator.write_env(api.issue(days=60))
    url = f"dotenv://{rotator.env_file}"
    commands = [["rehearse"], ["rotate", "--force"], ["rehearse"], ["rehearse"]]
    jobs = []
    for number, arguments in enumerate(commands):
        folder = rotator.folder / f"here-{number}"
        folder.mkdir()
        given = {**rotator.env, "ROTATOR_STORE": url, "ROTATOR_RETIRE": "now"}
        jobs.append(crew.start(Job(str(folder), arguments, given)))
    results = [job.result() for job in jobs]
    assert [(result.status, result.err) for result in results] == [(0, "")] * len(commands)
    (survivor,) = api.live_tokens()
    text = rotator.env_file.read_text()
    assert f"NOCTURNA_SERVICE_TOKEN={survivor.secret}\n" in text
    assert "REHEARSAL" not in text
    assert len(api.tokens) == len(commands) + 1


def test_its_audit_trail_tells_the_canary_from_a_rotation(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=60))
    result = rotator("rehearse", "--log-format", "json")
    trail = [json.loads(line) for line in result.err.splitlines()]
    assert [line["event"] for line in trail] == [
        *("intended", "minted", "intended", "written", "revoked", "removed", "finished")
    ]
    assert (trail[-1]["action"], trail[-1]["outcome"]) == ("rehearsed", "done")
    assert [line["reason"] for line in trail if line["event"] == "revoked"] == ["rehearsal"]
    assert all(re.search("_REHEARSAL$", line["store"]) for line in trail if "store" in line)
