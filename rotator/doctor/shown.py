"""Findings for people and programs, and the exit status that they come to."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence

from rotator.cli import exit_codes
from rotator.doctor.findings import Finding, Result, Topic
from rotator.errors import one_line

_MARKS = {Result.OK: "✓", Result.WARNING: "!", Result.PROBLEM: "✗"}
_MOST_FINE = 30  # lines that tell nothing new; a fleet has thousands


def as_json(found: Sequence[Finding]) -> str:
    """Return one JSON array."""
    return json.dumps([finding.to_json() for finding in found], indent=2) + "\n"


def as_lines(found: Sequence[Finding], encoding: str | None) -> str:
    """Return a line for each finding, what is worst last, with marks if `encoding` has them."""
    marks = _MARKS if _can_print("".join(_MARKS.values()), encoding) else {}
    return "".join(f"{line}\n" for line in _lines(found, marks))


def exit_status(found: Sequence[Finding]) -> int:
    """Return 2 when the settings are wrong, 1 for any other problem, else 0."""
    problems = {finding.topic for finding in found if finding.result is Result.PROBLEM}
    if Topic.SETTINGS in problems:
        return exit_codes.USAGE
    return exit_codes.FAILED if problems else exit_codes.FINE


def _lines(found: Sequence[Finding], marks: dict[Result, str]) -> Iterator[str]:
    counts = Counter(finding.result for finding in found)
    for result in Result:
        group = [finding for finding in found if finding.result is result]
        if result is Result.OK and len(group) > _MOST_FINE:
            group, rest = [each for each in group if not each.token], counts[result]
            rest -= len(group)
            yield from (_line(each, marks) for each in group)
            yield f"{_mark(result, marks)}{rest} checks of single tokens (--json shows them)"
            continue
        yield from (_line(each, marks) for each in group)
    words = (("problem", "problems"), ("warning", "warnings"))
    bad = [counts[Result.PROBLEM], counts[Result.WARNING]]
    told = [
        f"{n or 'no'} {one if n == 1 else many}" for n, (one, many) in zip(bad, words, strict=True)
    ]
    yield ", ".join((*told, f"{counts[Result.OK]} ok"))


def _line(finding: Finding, marks: dict[Result, str]) -> str:
    subject = finding.token or finding.topic
    return one_line(f"{_mark(finding.result, marks)}{subject}: {finding.message}")


def _mark(result: Result, marks: dict[Result, str]) -> str:
    mark = f"{marks[result]} " if marks else ""
    return f"{mark}{result}: "


def _can_print(text: str, encoding: str | None) -> bool:
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
