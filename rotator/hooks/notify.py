"""Notices by apprise, which runs in a process of its own: `rotator.hooks.messenger`."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from rotator.config.keys import CREDENTIALS
from rotator.config.settings import NoticeEvent, Secret
from rotator.errors import ConfigError, MissingPackageError
from rotator.hooks.processes import run_process

TIMEOUT = timedelta(seconds=20)
_ANSWER = re.compile(rb"^([0-9]{1,6}) (sent|refused|unknown|known|silent)$", re.MULTILINE)
_MISSING = "notices need the package apprise: pip install 'nocturna-rotator[notify]'"
_FAULTS = {
    "sent": None,
    "known": None,
    "silent": "its server does not take connections; check the URL, and that its server is up",
    "refused": "the notice could not be delivered; check the URL, and that its server is up",
    "unknown": "apprise does not understand this URL; compare it with apprise's documentation",
}


class NoticeKind(StrEnum):
    """What a notice is about, in apprise's own words; recipients can filter by it."""

    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"


class NoticedToken(NamedTuple):
    """A token that a notice is about, as a webhook gets it; times are RFC 3339 in UTC.

    `error`, its `failure` (the kind) and `level` tell of what failed, `last_used_at` of the use.
    """

    name: str
    token_id: str | None = None
    expires_at: str | None = None
    stores: tuple[str, ...] = ()
    last_used_at: str | None = None
    level: str | None = None
    failure: str | None = None
    error: str | None = None


class Notice(NamedTuple):
    title: str
    body: str
    kind: NoticeKind
    event: NoticeEvent
    tokens: tuple[NoticedToken, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what the messenger is told; a webhook gets the `facts` as fields."""
        tokens = [token._asdict() for token in self.tokens]
        facts = {"event": self.event, "tokens": tokens}
        return {"title": self.title, "body": self.body, "kind": self.kind, "facts": facts}


def require_apprise(origin: str) -> None:
    """Raise `MissingPackageError` when apprise is not installed; it is not loaded.

    `origin` is the setting that asks for notices.
    """
    from importlib.util import find_spec  # noqa: PLC0415 - few have notices

    if find_spec("apprise") is None:
        raise MissingPackageError(f"{origin}: {_MISSING}")


def examine_urls(
    urls: Sequence[Secret], environ: Mapping[str, str], timeout: timedelta = TIMEOUT
) -> tuple[list[str], list[str]]:
    """Say what keeps notices from being sent, without sending one: in the URLs, and elsewhere.

    Raises `MissingPackageError` where apprise is not installed.
    """
    known = list({url.get(): url for url in urls}.values())
    if not known:
        return [], []
    require_apprise(known[0].origin)
    safe = {name: value for name, value in environ.items() if not name.startswith(CREDENTIALS)}
    answers, silence = _answers({"urls": [url.get() for url in known]}, safe, timeout)
    mistakes: list[str] = []
    others: list[str] = []
    for number, url in enumerate(known):
        answer = answers.get(number, "")
        if fault := _FAULTS.get(answer, silence):
            (mistakes if answer == "unknown" else others).append(f"{url.origin}: {fault}")
    return mistakes, others


def send_notice(
    urls: Sequence[Secret], notice: Notice, environ: Mapping[str, str], timeout: timedelta = TIMEOUT
) -> list[str | None]:
    """Send a notice to each URL, side by side and within `timeout`.

    Returns for each URL None, or a line about what went wrong, which names the URL's place only.
    """
    if not urls:
        return []
    try:
        require_apprise(urls[0].origin)
    except ConfigError as error:
        return [str(error)] * len(urls)
    order = {"urls": [url.get() for url in urls], **notice.to_json()}
    answers, silence = _answers(order, environ, timeout)
    faults = [_FAULTS.get(answers.get(number, ""), silence) for number in range(len(urls))]
    return [fault and f"{url.origin}: {fault}" for url, fault in zip(urls, faults, strict=True)]


def _answers(
    order: object, environ: Mapping[str, str], timeout: timedelta
) -> tuple[dict[int, str], str]:
    """Return the answer for each URL, by number, and why the others have none."""
    messenger = str(Path(__file__).with_name("messenger.py"))
    # -P: the modules beside that file must not hide others of the same names.
    command = [sys.executable, "-P", messenger]
    try:
        result = run_process(command, environ, timeout, json.dumps(order).encode())
    except OSError as error:
        return {}, f"Python could not be started to send the notice ({error.strerror})"
    # Python or its loader may have written to the same pipe.
    answers = {int(number): answer.decode() for number, answer in _ANSWER.findall(result.output)}
    if result.status is None:
        silence = f"no answer within {timeout.seconds} s; check the URL, and that its server is up"
    else:
        silence = f"apprise broke off with the exit status {result.status}; reinstall it"
    return answers, silence
