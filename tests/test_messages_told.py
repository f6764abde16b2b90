"""The last test of a run: what the program told in any of them stands on the page of messages."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.messages.page import Pattern, find
from tests.messages.source import Source
from tests.support.transcript import Transcript

pytestmark = pytest.mark.last

_OF_OTHERS = "a shelf: store is"  # the store of tests/door
_USAGE = re.compile(r"; see rotator[a-z -]* --help$")
_PROBLEMS = ("warning", "error", "critical")


@pytest.fixture(scope="module")
def documented() -> list[Pattern]:
    by_topic = find(Source.read()).by_topic
    return [Pattern.of(text) for texts in by_topic.values() for text in texts]


def test_every_failure_that_was_told_is_documented(
    transcript: Transcript, documented: list[Pattern]
) -> None:
    assert "\n".join(undocumented(transcript, documented)) == ""


def test_one_that_is_not_documented_is_found(documented: list[Pattern]) -> None:
    told = Transcript()
    told.add("rotator check: stderr", "rotator: there is no such folder as ours\nno message\n")
    told.add(
        "rotator rotate: stderr", '{"level": "info", "logger": "rotator", "message": "ours"}\n'
    )
    told.add("rotator mint: stderr", "rotator: .env: it is a folder: name the file in it")
    assert undocumented(told, documented) == ["rotator: there is no such folder as ours"]


def undocumented(transcript: Transcript, documented: list[Pattern]) -> list[str]:
    told = {line for origin, text in transcript.written for line in _told(origin, text)}
    return sorted(
        line
        for line in told
        if _OF_OTHERS not in line and not any(each.is_in(line) for each in documented)
    )


def _told(origin: str, text: str) -> Iterator[str]:
    """Yield the lines about warnings and errors on stderr."""
    if not origin.endswith(": stderr"):
        return
    for line in text.splitlines():
        if _USAGE.search(line):  # the parser's words, which the page leaves to --help
            continue
        if line.startswith("rotator: ") and not line.startswith("rotator: info: "):
            yield line
        elif line.startswith("{") and line.endswith("}"):
            entry = json.loads(line)
            if entry["level"] in _PROBLEMS and entry["logger"].startswith("rotator"):
                yield entry["message"]
