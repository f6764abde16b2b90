"""Lines on stderr, also of what is not the rotator's own."""

import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest

from rotator.cli import logs


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.raiseExceptions
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level, logging.raiseExceptions = before
    for name in ("rotator", "rotator.audit", "urllib3"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_warning_of_python_is_a_json_line() -> None:
    stream = io.StringIO()
    logs.configure("json", stream)
    with warnings.catch_warnings():
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.simplefilter("always")
        warnings.warn("boto3 will\nno longer support this Python", DeprecationWarning, stacklevel=1)
    (line,) = stream.getvalue().splitlines()
    told = json.loads(line)
    assert (told["level"], told["logger"]) == ("warning", "py.warnings")
    assert "DeprecationWarning: boto3 will" in told["message"]


def test_each_warning_is_told_once_and_again_after_a_while() -> None:
    seconds = [0.0]
    once = logs.OncePerRun(lambda: seconds[0])

    def is_told(text: str) -> bool:
        return once.filter(logging.LogRecord("x", logging.WARNING, "", 0, text, (), None))

    assert [is_told("a"), is_told("b"), is_told("a")] == [True, True, False]
    seconds[0] = 599.0
    assert [is_told("c"), is_told("b")] == [True, False]
    seconds[0] = 601.0
    assert [is_told("b"), is_told("c"), is_told("b")] == [True, False, False]
