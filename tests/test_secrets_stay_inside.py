"""The last test of a run: nothing that the program wrote in any of them holds a secret."""

import re
import traceback

import pytest

from rotator.errors import internal_error
from tests.support.process import Runner
from tests.support.sandbox import Sandbox
from tests.support.transcript import Transcript

pytestmark = pytest.mark.last


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
