"""The last test of a run: nothing that the program wrote in any of them holds a secret."""

import re
import traceback

import pytest

from rotator.errors import internal_error
from rotator.sandbox import Fault, Sandbox
from tests.support.process import Runner
from tests.support.transcript import Transcript

pytestmark = pytest.mark.last
CALLS = [
    "POST /auth/login",
    "POST /auth/admin/service-tokens",
    "POST /auth/service-token/refresh",
    "DELETE /auth/admin/service-tokens/{id}",
]
FAULTS = [Fault.server_error(), Fault.status(422), Fault.truncated(), Fault.redirect("http://x/")]


@pytest.mark.parametrize("call", CALLS)
def test_faults_of_every_call_are_told_without_a_secret(
    rotator: Runner, api: Sandbox, call: str
) -> None:
    for fault in FAULTS:
        rotator.write_env(api.issue(days=3))
        api.misbehave(fault, call, times=3)
        if call.startswith("DELETE"):
            api.misbehave(Fault.status(401), "POST /auth/service-token/refresh")
        results = [rotator("rotate", *form) for form in ([], ["--json"], ["--log-format", "json"])]
        api.behave()
        assert results[0].status == 1
        assert not [r for r in results if "Traceback" in r.out + r.err]


def test_nothing_that_was_ever_written_holds_a_secret(
    transcript: Transcript, rotator: Runner, api: Sandbox
) -> None:
    rotator.write_env(api.issue(days=3))
    rotator("rotate", "--json")
    transcript.secrets |= api.secrets
    assert len(transcript.secrets) > 5
    assert transcript.processes > 0
    assert transcript.leaks() == []


def test_no_text_looks_like_a_token_that_we_forgot_to_list(transcript: Transcript) -> None:
    jwt = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}")
    assert [origin for origin, text in transcript.written if jwt.search(text)] == []


def test_the_search_finds_what_is_there(api: Sandbox) -> None:
    secret = api.issue()
    found = Transcript(secrets={secret, "hunter2"})
    found.add("whole", f"token {secret}")
    found.add("signature", secret.split(".")[2])
    found.add("password", "x hunter2 y")
    found.add("clean", secret.split(".")[0])
    assert found.leaks() == ["password", "signature", "whole"]


def test_a_bug_is_told_without_its_text() -> None:
    try:
        int("hunter2")
    except ValueError as error:
        line = internal_error(error)
        assert "hunter2" in traceback.format_exc()
    assert "hunter2" not in line
    assert re.fullmatch(r"internal error: ValueError at \S+:\d+; please report this line", line)
