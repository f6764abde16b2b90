"""What happens after a rotation: commands, restarts and notices, none of which sees the token."""

from __future__ import annotations

import logging
import re
import signal
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from rotator.clock import minute, rfc3339
from rotator.config.settings import Secret
from rotator.errors import one_line
from rotator.hooks import notify, processes
from rotator.hooks.notify import NoticeKind

if TYPE_CHECKING:
    from rotator.hooks.restarts import Restarts

_log = logging.getLogger(__name__)
_TOKEN = re.compile(r"eyJ[\w.-]+")  # a cut one, too
_LONGEST_NAME = 200
_AGAIN = "the next run tries it again"
_NOT_FOR_HOOKS = ("NOCTURNA_ADMIN_", "ROTATOR_NOTIFY")


class HookEvent(NamedTuple):
    """What a hook is told; never the token.

    `expires_at` is aware UTC, None when the token is eternal; `stores` are the URLs of those that
    hold it. `known_as` is the token's id, or a fingerprint where it has none.
    """

    name: str
    token_id: str | None
    expires_at: datetime | None
    stores: tuple[str, ...]
    known_as: str = "none"

    @property
    def state(self) -> str:
        """A word that changes with the token, and when a store gets it that was away."""
        return f"{self.known_as}/{_id(' '.join(sorted(self.stores)))}"


class HookFailure(NamedTuple):
    """A hook that did not work; `message` is one line: which, what happened, and what to do."""

    hook_id: str
    message: str


class Hooks:
    """The commands, restarts and notify URLs of one token; each of the first two has `timeout`.

    Commands get `environ` without the admin's credentials, notify URLs and tokens, and with
    `ROTATOR_NAME`, `ROTATOR_TOKEN_ID`, `ROTATOR_EXPIRES_AT` (RFC 3339; empty when eternal) and
    `ROTATOR_STORES` (URLs, separated by spaces).
    """

    def __init__(
        self,
        commands: Sequence[Sequence[str]],
        notify: Sequence[Secret],
        timeout: timedelta,
        environ: Mapping[str, str],
        restarts: Restarts | None = None,
    ) -> None:
        self._commands = commands
        self._restarts = restarts
        self._urls = notify
        self._timeout = timeout
        self._environ = {
            name: value
            for name, value in environ.items()
            if not name.startswith(_NOT_FOR_HOOKS) and not _TOKEN.match(value)
        }

    @property
    def ids(self) -> tuple[str, ...]:
        """One for each command, restart and URL: 8 hex digits, the same in every run."""
        hooks = (*self._commands_by_id(), *self._workloads_by_id(), *self._urls_by_id())
        return tuple(each for each, _ in hooks)

    @property
    def notice_ids(self) -> tuple[str, ...]:
        """One for each URL: who has the same ones tells the same people."""
        return tuple(each for each, _ in self._urls_by_id())

    def run(self, ids: Collection[str], occasion: HookEvent) -> list[HookFailure]:
        """Run those of these ids, in order, whether or not others fail; pass over unknown ids.

        Restarts come after the commands, which may prepare what new pods need, and notices at the
        end of it all.
        """
        failures = []
        for hook_id, command in self._commands_by_id():
            message = self._failed(command, occasion) if hook_id in ids else None
            if message:
                failures.append(HookFailure(hook_id, message))
        for hook_id, workload in self._workloads_by_id():
            if hook_id in ids and self._restarts:
                message = self._restarts.failed(workload, occasion.state, self._timeout)
                if message:
                    failures.append(HookFailure(hook_id, f"{message}; {_AGAIN}"))
        wanted = [(hook_id, url) for hook_id, url in self._urls_by_id() if hook_id in ids]
        answers = notify.send_notice([url for _, url in wanted], _notice(occasion), self._environ)
        for (hook_id, _), fault in zip(wanted, answers, strict=True):
            if fault:
                failures.append(
                    HookFailure(hook_id, f"{fault}; the next run sends the notice again")
                )
        return failures

    def tell(self, title: str, body: str, kind: NoticeKind) -> None:
        """Send a notice to all URLs; what fails becomes a warning in the log."""
        for fault in notify.send_notice(
            self._urls, notify.Notice(title, body, kind), self._environ
        ):
            if fault:
                _log.warning("%s", fault)

    def _commands_by_id(self) -> list[tuple[str, Sequence[str]]]:
        import json  # noqa: PLC0415 - most runs rotate nothing

        return [(_id(json.dumps(list(command))), command) for command in self._commands]

    def _workloads_by_id(self) -> list[tuple[str, str]]:
        workloads = self._restarts.workloads if self._restarts else ()
        return [(_id(f"restart {workload}"), workload) for workload in workloads]

    def _urls_by_id(self) -> list[tuple[str, Secret]]:
        return [(_id(url.get()), url) for url in self._urls]

    def _failed(self, command: Sequence[str], occasion: HookEvent) -> str | None:
        program = _safe(command[0])[:_LONGEST_NAME]
        hook = f"hook {self._commands.index(command) + 1} ({program})"
        try:
            ended = processes.run_process(command, self._environ | _told(occasion), self._timeout)
        except FileNotFoundError:
            where = "was not found, or the interpreter that it names"
            return f"{hook} {where}; install it or correct the hook, {_AGAIN}"
        except PermissionError:
            return f"{hook} may not be executed; make it executable, {_AGAIN}"
        except OSError as error:
            return f"{hook} could not be started ({error.strerror}); {_AGAIN}"
        level = logging.ERROR if ended.status != 0 else logging.INFO
        if ended.cut:
            _log.log(level, "%s: %s: … (the end of more than 8 KiB)", occasion.name, hook)
        for line in filter(None, map(_safe, _lines(ended))):
            _log.log(level, "%s: %s: %s", occasion.name, hook, line)
        if ended.status == 0:
            return None
        logged = "its output is above, " if ended.output else ""
        return f"{hook} {_end(ended.status, self._timeout)}; {logged}{_AGAIN}"


def _lines(ended: processes.ProcessResult) -> list[str]:
    text = ended.output.decode(errors="replace")
    if ended.cut:  # the first word may be the end of a token, which nothing would recognise
        text = "".join(text.split(maxsplit=1)[1:])
    return text.splitlines()


def _end(status: int | None, timeout: timedelta) -> str:
    if status is None:
        return f"did not end within {timeout.total_seconds():g} s and was killed"
    if status > 0:
        return f"ended with exit status {status}"
    name = str(-status)
    with suppress(ValueError):  # the real-time signals have no names
        name = signal.Signals(-status).name
    return f"was killed by the signal {name}"


def _told(occasion: HookEvent) -> dict[str, str]:
    return {
        "ROTATOR_NAME": occasion.name,
        "ROTATOR_TOKEN_ID": occasion.token_id or "",
        "ROTATOR_EXPIRES_AT": rfc3339(occasion.expires_at) if occasion.expires_at else "",
        "ROTATOR_STORES": " ".join(occasion.stores),
    }


def _notice(occasion: HookEvent) -> notify.Notice:
    until = f"valid until {minute(occasion.expires_at)}" if occasion.expires_at else "valid forever"
    token = f"Token {occasion.token_id or 'without an id'}, {until}"
    body = "\n".join((token, "Stored in:", *occasion.stores))
    return notify.Notice(f"{occasion.name}: token renewed", body, NoticeKind.SUCCESS)


def _safe(text: str) -> str:
    return _TOKEN.sub("<token>", one_line(text))


def _id(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]
