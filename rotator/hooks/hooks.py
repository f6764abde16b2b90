"""Hooks: commands, restarts and notices after a rotation. None of them sees the token."""

from __future__ import annotations

import json
import logging
import signal
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

from rotator.clock import minute, rfc3339
from rotator.config.keys import CREDENTIALS
from rotator.config.settings import NOTICES, NoticeEvent, TokenSettings
from rotator.errors import hide_tokens, quote_value
from rotator.hooks import notify
from rotator.hooks.notify import NoticeKind
from rotator.hooks.processes import ProcessResult, run_process
from rotator.hooks.restarts import Restarts

_log = logging.getLogger(__name__)
REHEARSAL = "ROTATOR_REHEARSAL"
_JWT_START = "eyJ"
_LONGEST_NAME = 200
_AGAIN = "the next run tries it again"
_SENT_AGAIN = "the next run sends the notice again"


class HookEvent(NamedTuple):
    """What a hook is told; never the token.

    `expires_at` is aware UTC, None when the token is eternal; `stores` are the URLs of the stores
    that hold it. `known_as` is the token's id, or its fingerprint where it has none. In a rehearsal
    nothing is renewed: the token is the current one, commands find `ROTATOR_REHEARSAL=1`, workloads
    are not restarted, and a notice says that it is a test.
    """

    name: str
    token_id: str | None
    expires_at: datetime | None
    stores: tuple[str, ...]
    known_as: str = "none"
    is_rehearsal: bool = False

    @property
    def then(self) -> str:
        """What happens after a failure, as a clause."""
        return "" if self.is_rehearsal else "; the next run tries it again"

    @property
    def state(self) -> str:
        """A word that changes with the token, and with the stores that hold it."""
        return f"{self.known_as}/{_digest(' '.join(sorted(self.stores)))}"


class HookFailure(NamedTuple):
    """A hook that failed; `message` is one line: which, what happened, and what to do."""

    hook_id: str
    message: str


class Hooks:
    """The hooks of one token; each command and each restart may take its `hook_timeout`.

    Commands get `environ` without the admin's credentials, notify URLs and tokens, and with
    `ROTATOR_NAME`, `ROTATOR_TOKEN_ID`, `ROTATOR_EXPIRES_AT` (RFC 3339; empty when eternal) and
    `ROTATOR_STORES` (URLs, separated by spaces), in a rehearsal also with `ROTATOR_REHEARSAL`.
    """

    def __init__(self, token: TokenSettings, environ: Mapping[str, str]) -> None:
        self._commands = [(_digest(json.dumps(command)), command) for command in token.hooks]
        self._workloads = [(_digest(f"restart {workload}"), workload) for workload in token.restart]
        self._urls = [(_digest(url.get()), url) for url in token.notify]
        self._events = NOTICES if token.notify_on is None else token.notify_on
        self._restarts = Restarts(token)
        self._timeout = token.hook_timeout
        self._whole_environ = environ

    @property
    def _environ(self) -> dict[str, str]:
        # Taken where it is needed: each token of a fleet has hooks, and few run any.
        return clean_environ(self._whole_environ)

    @property
    def ids(self) -> tuple[str, ...]:
        """The id of each command, restart and URL: 8 hex digits, the same in every run."""
        hooks = (*self._commands, *self._workloads)
        return (*(hook_id for hook_id, _ in hooks), *self.recipients(NoticeEvent.ROTATED))

    @property
    def names(self) -> dict[str, str]:
        """What each is called, by its id; without arguments and URLs, which may hold secrets."""
        commands = enumerate(self._commands, 1)
        notices = enumerate(self.recipients(NoticeEvent.ROTATED), 1)
        return {
            **{each: name_command(number, command) for number, (each, command) in commands},
            **{each: f"the restart of {workload}" for each, workload in self._workloads},
            **{each: f"the notice to URL {number}" for number, each in notices},
        }

    def recipients(self, event: NoticeEvent) -> tuple[str, ...]:
        """Return the id of each URL that gets such a notice; the same ones are the same people."""
        return tuple(hook_id for hook_id, _ in self._urls) if event in self._events else ()

    def run(self, ids: Collection[str], event: HookEvent) -> list[HookFailure]:
        """Run the hooks with these ids, in order, whether or not others fail; skip unknown ids.

        Restarts come after the commands, which may prepare what new pods need; notices come last.
        """
        return [
            *self._run_commands(ids, event),
            *self._restart_workloads(ids, event),
            *self._send_notices(ids, event),
        ]

    def _run_commands(self, ids: Collection[str], event: HookEvent) -> Iterator[HookFailure]:
        for number, (hook_id, command) in enumerate(self._commands, 1):
            if hook_id in ids and (fault := self._run_command(number, command, event)):
                message = fault if event.is_rehearsal else f"{fault}; {_AGAIN}"
                yield HookFailure(hook_id, message)

    def _restart_workloads(self, ids: Collection[str], event: HookEvent) -> Iterator[HookFailure]:
        for hook_id, workload in self._workloads:
            if hook_id in ids and (fault := self._restart(workload, event)):
                message = fault if event.is_rehearsal else f"{fault}; {_AGAIN}"
                yield HookFailure(hook_id, message)

    def _send_notices(self, ids: Collection[str], event: HookEvent) -> Iterator[HookFailure]:
        due = [(hook_id, url) for hook_id, url in self._urls if hook_id in ids]
        faults = notify.send_notice([url for _, url in due], _notice_of(event), self._environ)
        for (hook_id, _), fault in zip(due, faults, strict=True):
            if fault:
                message = fault if event.is_rehearsal else f"{fault}; {_SENT_AGAIN}"
                yield HookFailure(hook_id, message)

    def notify(self, notice: notify.Notice) -> None:
        """Send a notice to all URLs that want it; what fails becomes a warning in the log."""
        if notice.event not in self._events:
            return
        for fault in notify.send_notice([url for _, url in self._urls], notice, self._environ):
            if fault:
                _log.warning("%s", fault)

    def _restart(self, workload: str, event: HookEvent) -> str | None:
        if event.is_rehearsal:
            return self._restarts.preflight(workload, self._timeout)
        return self._restarts.restart(workload, event.state, self._timeout)

    def _run_command(self, number: int, command: Sequence[str], event: HookEvent) -> str | None:
        """Run a command; return a line about its failure, None when it worked."""
        hook = f"hook {number} ({hide_tokens(command[0])[:_LONGEST_NAME]})"
        variables = {
            "ROTATOR_NAME": event.name,
            "ROTATOR_TOKEN_ID": event.token_id or "",
            "ROTATOR_EXPIRES_AT": rfc3339(event.expires_at) if event.expires_at else "",
            "ROTATOR_STORES": " ".join(event.stores),
        }
        if event.is_rehearsal:
            variables[REHEARSAL] = "1"
        try:
            result = run_process(command, self._environ | variables, self._timeout)
        except FileNotFoundError:
            where = "was not found, or the interpreter that it names"
            return f"{hook} {where}: install it or correct the hook"
        except PermissionError:
            return f"{hook} may not be executed: make it executable"
        except OSError as error:
            return f"{hook} could not be started ({error.strerror})"
        level = logging.ERROR if result.status != 0 else logging.INFO
        if result.cut:
            _log.log(level, "%s: %s: … (the end of more than 8 KiB)", event.name, hook)
        for line in filter(None, map(hide_tokens, _lines_of(result))):
            _log.log(level, "%s: %s: %s", event.name, hook, line)
        if result.status == 0:
            return None
        logged = "; its output is above" if result.output else ""
        return f"{hook} {_describe_end(result.status, self._timeout)}{logged}"


def clean_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without credentials, URLs of notices, and tokens."""
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith((*CREDENTIALS, REHEARSAL)) and not value.startswith(_JWT_START)
    }


def name_command(number: int, command: Sequence[str]) -> str:
    return f"hook {number} ({quote_value(command[0])})"


def _lines_of(result: ProcessResult) -> list[str]:
    text = result.output.decode(errors="replace")
    if result.cut:  # the first word may be the end of a token, which nothing recognises
        text = "".join(text.split(maxsplit=1)[1:])
    return text.splitlines()


def _describe_end(status: int | None, timeout: timedelta) -> str:
    if status is None:
        return f"did not end within {timeout.total_seconds():g} s and was killed"
    if status > 0:
        return f"ended with exit status {status}"
    name = str(-status)
    with suppress(ValueError):  # the real-time signals have no names
        name = signal.Signals(-status).name
    return f"was killed by the signal {name}"


def _notice_of(event: HookEvent) -> notify.Notice:
    end = rfc3339(event.expires_at) if event.expires_at else None
    token = notify.NoticedToken(event.name, event.token_id, end, event.stores)
    if event.is_rehearsal:
        body = "This is a test by rotator rehearse. No token was renewed, and nobody has to act."
        title = f"{event.name}: rehearsal"
        return notify.Notice(title, body, NoticeKind.SUCCESS, NoticeEvent.TEST, (token,))
    until = f"valid until {minute(event.expires_at)}" if event.expires_at else "valid forever"
    life = f"Token {event.token_id or 'without an id'}, {until}"
    body = "\n".join((life, "Stored in:", *event.stores))
    title = f"{event.name}: token renewed"
    return notify.Notice(title, body, NoticeKind.SUCCESS, NoticeEvent.ROTATED, (token,))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]
