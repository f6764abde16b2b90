"""Notices by apprise, which lives in a process of its own: see `rotator.hooks.messenger`."""

import re
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from rotator.config.settings import Secret
from rotator.errors import ConfigError
from rotator.hooks import processes

TIMEOUT = timedelta(seconds=20)
_MISSING = "notices need the package apprise: pip install 'nocturna-rotator[notify]'"
_FAULTS = {
    "sent": None,
    "refused": "the notice could not be delivered; check the URL, and that its server is up",
    "unknown": "apprise does not understand this URL; compare it with apprise's documentation",
}


_ANSWER = re.compile(rb"^([0-9]{1,6}) (sent|refused|unknown)$", re.MULTILINE)


class NoticeKind(StrEnum):
    """How a notice looks, and whom filters let it reach: apprise's own words."""

    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"


class Notice(NamedTuple):
    """What is sent."""

    title: str
    body: str
    kind: NoticeKind


def require_apprise(origin: str) -> None:
    """Raise `ConfigError` when apprise is not installed; it is looked for and not loaded.

    `origin` is the place that wants notices.
    """
    from importlib.util import find_spec  # noqa: PLC0415 - only who wants notices pays for it

    if find_spec("apprise") is None:
        raise ConfigError(f"{origin}: {_MISSING}")


def send_notice(
    urls: Sequence[Secret],
    notice: Notice,
    environ: Mapping[str, str],
    timeout: timedelta = TIMEOUT,
) -> list[str | None]:
    """Send a notice to each URL, all at the same time and within `timeout`.

    Returns for each URL None, or what went wrong: a line that names the URL's place and shows
    nothing of it.
    """
    if not urls:
        return []
    try:
        require_apprise(urls[0].origin)
    except ConfigError as error:
        return [str(error)] * len(urls)
    order = {"urls": [url.get() for url in urls], **notice._asdict()}
    answers, silence = _answers(order, environ, timeout)
    faults = [_FAULTS.get(answers.get(number, ""), silence) for number in range(len(urls))]
    return [fault and f"{url.origin}: {fault}" for url, fault in zip(urls, faults, strict=True)]


def _answers(
    order: object, environ: Mapping[str, str], timeout: timedelta
) -> tuple[dict[int, str], str]:
    """Return what became of the URLs, by number, and why nothing is known of the others."""
    import json  # noqa: PLC0415 - (the same)

    messenger = str(Path(__file__).with_name("messenger.py"))
    # -P: what lies beside that file must not be taken for other modules of the same names.
    command = [sys.executable, "-P", messenger]
    try:
        ended = processes.run_process(command, environ, timeout, json.dumps(order).encode())
    except OSError as error:
        return {}, f"Python could not be started to send the notice ({error.strerror})"
    # The loader, or Python itself, may have had a word to say on the same pipe.
    answers = {int(number): answer.decode() for number, answer in _ANSWER.findall(ended.output)}
    if ended.status is None:
        silence = f"no answer within {timeout.seconds} s; check the URL, and that its server is up"
    else:
        silence = f"apprise broke off with the exit status {ended.status}; reinstall it"
    return answers, silence
