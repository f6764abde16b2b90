"""What of the log is left out."""

import logging
from collections.abc import Callable

from rotator.cli.logs import OncePerRun


def record(text: str, level: int = logging.WARNING, token: str = "") -> logging.LogRecord:
    made = logging.LogRecord("rotator", level, "", 0, "%s", (text,), None)
    if token:
        made.audit = {"token": token}
    return made


def at(times: list[float]) -> Callable[[], float]:
    return lambda: times.pop(0)


def test_the_same_warning_is_told_once_a_run_and_again_by_the_next() -> None:
    once = OncePerRun(at([0.0, 1.0, 2.0, 599.0, 600.0, 601.0]))
    passed = [once.filter(record(text)) for text in ("a", "a", "b", "a", "a", "a")]
    assert passed == [True, False, True, False, True, False]


def test_the_same_words_about_two_tokens_are_two_warnings_and_errors_are_all_told() -> None:
    once = OncePerRun(at([0.0, 1.0]))
    assert once.filter(record("a", token="luna"))
    assert once.filter(record("a", token="sol"))
    for _ in range(2):
        assert once.filter(record("a", logging.ERROR))
