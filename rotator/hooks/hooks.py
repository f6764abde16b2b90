"""Hooks: commands, restarts and notices after a rotation. None of them sees the token."""

from __future__ import annotations

import json
import logging
import signal
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import NamedTuple

from rotator.clock import minute, rfc3339, rfc3339_or_none
from rotator.config.keys import CREDENTIALS
from rotator.config.settings import NOTICES, NoticeEvent, Secret, TokenSettings
from rotator.errors import hide_tokens, join_names, quote_value
from rotator.hooks import notify
from rotator.hooks.notify import NoticeKind
from rotator.hooks.processes import ProcessResult, run_process
from rotator.hooks.restarts import Restarts

_log = logging.getLogger(__name__)
REHEARSAL = "ROTATOR_REHEARSAL"
_JWT_START = "eyJ"
_LONGEST_NAME = 200
_MOST_TOLD = 50  # tokens in the text of a notice; a webhook gets all
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
        self.timeout = token.hook_timeout
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
        failures = [*self._run_commands(ids, event)]
        [others] = run_together([HookTask(self, tuple(ids), event)])
        return failures + others

    @property
    def places(self) -> dict[str, str]:
        """What other tokens may restart or tell as well, by the ids of restarts and notices."""
        workloads = {each: _place_of(workload) for each, workload in self._workloads}
        return workloads | {each: url.get() for each, url in self._urls}

    def _run_commands(self, ids: Collection[str], event: HookEvent) -> Iterator[HookFailure]:
        for number, (hook_id, command) in enumerate(self._commands, 1):
            if hook_id in ids and (fault := self._run_command(number, command, event)):
                message = fault if event.is_rehearsal else f"{fault}; {_AGAIN}"
                yield HookFailure(hook_id, message)

    def restarts(self, ids: Collection[str]) -> Iterator[tuple[str, str]]:
        """Yield the id of each of these restarts, and the workload."""
        yield from ((each, workload) for each, workload in self._workloads if each in ids)

    def locate(self, workload: str) -> Hashable:
        """Return what is equal for one workload, whichever token names it."""
        return self._restarts.locate(workload)

    def restart(
        self, workload: str, events: Sequence[HookEvent], timeout: timedelta
    ) -> list[str | None]:
        """Restart a workload for the tokens of these events; return what went wrong, or None."""
        if any(event.is_rehearsal for event in events):
            return [self._restarts.preflight(workload, timeout)]
        return [self._restarts.restart(workload, {e.name: e.state for e in events}, timeout)]

    def notices(self, ids: Collection[str]) -> Iterator[tuple[str, Secret]]:
        """Yield the id of each of these notices, and where it is sent."""
        yield from ((each, url) for each, url in self._urls if each in ids)

    def send(self, urls: Sequence[Secret], events: Sequence[HookEvent]) -> list[str | None]:
        """Tell each URL of these events; return for each what went wrong, or None."""
        return notify.send_notice(urls, _notice_of(events), self._environ)

    def notify(self, notice: notify.Notice) -> None:
        """Send a notice to all URLs that want it; what fails becomes a warning in the log."""
        if notice.event not in self._events:
            return
        for fault in notify.send_notice([url for _, url in self._urls], notice, self._environ):
            if fault:
                _log.warning("%s", fault)

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
            result = run_process(command, self._environ | variables, self.timeout)
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
        return f"{hook} {_describe_end(result.status, self.timeout)}{logged}"


class HookTask(NamedTuple):
    """What is to be done for one token: restarts and notices, by their ids."""

    hooks: Hooks
    ids: Sequence[str]
    event: HookEvent


Job = Callable[[], list[str | None]]  # returns what went wrong, or None, for each of its targets
Targets = list[list[tuple[int, str]]]  # of each the tokens, by number, and the ids of their hooks


def _in_turn(jobs: Sequence[Job]) -> list[list[str | None]]:
    return [job() for job in jobs]


def run_together(
    tasks: Sequence[HookTask],
    run_all: Callable[[Sequence[Job]], list[list[str | None]]] = _in_turn,
) -> list[list[HookFailure]]:
    """Restart each workload once for all these tokens, then tell each URL of all by one notice.

    Return what failed, for each token. `run_all` runs jobs that do not depend on each other.
    """
    failures: list[list[HookFailure]] = [[] for _ in tasks]
    for plan, again in ((_plan_restarts, _AGAIN), (_plan_notices, _SENT_AGAIN)):
        planned = [*plan(tasks)]
        faults = run_all([job for job, _ in planned])
        for (_, targets), found in zip(planned, faults, strict=True):
            for target, fault in zip(targets, found, strict=True):
                for number, hook_id in target if fault else ():
                    is_rehearsal = tasks[number].event.is_rehearsal
                    message = f"{fault}" if is_rehearsal else f"{fault}; {again}"
                    failures[number].append(HookFailure(hook_id, message))
    return failures


def _plan_restarts(tasks: Sequence[HookTask]) -> Iterator[tuple[Job, Targets]]:
    groups: defaultdict[Hashable, list[tuple[int, str, str]]] = defaultdict(list)
    for number, each in enumerate(tasks):
        for hook_id, workload in each.hooks.restarts(each.ids):
            groups[each.hooks.locate(workload)].append((number, hook_id, workload))
    for group in groups.values():
        number, _, workload = group[0]
        # One token may name a workload in two ways.
        events = list(dict.fromkeys(tasks[number].event for number, _, _ in group))
        timeout = max(tasks[number].hooks.timeout for number, _, _ in group)
        restart = partial(tasks[number].hooks.restart, workload, events, timeout)
        yield restart, [[(number, hook_id) for number, hook_id, _ in group]]


def _plan_notices(tasks: Sequence[HookTask]) -> Iterator[tuple[Job, Targets]]:
    """One process sends to all URLs that are told of the same tokens."""
    by_url: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    urls: dict[str, Secret] = {}
    for number, each in enumerate(tasks):
        for hook_id, url in each.hooks.notices(each.ids):
            by_url[url.get()].append((number, hook_id))
            urls.setdefault(url.get(), url)
    audiences: defaultdict[tuple[int, ...], list[str]] = defaultdict(list)
    for text, targets in by_url.items():
        audiences[tuple(dict.fromkeys(number for number, _ in targets))].append(text)
    for numbers, texts in audiences.items():
        events = [tasks[number].event for number in numbers]
        send = partial(tasks[numbers[0]].hooks.send, [urls[text] for text in texts], events)
        yield send, [by_url[text] for text in texts]


def places_of(token: TokenSettings) -> Iterator[str]:
    """Yield the workloads that a token restarts, and the URLs that it tells."""
    yield from map(_place_of, token.restart)
    yield from (url.get() for url in token.notify)


def _place_of(workload: str) -> str:
    """Return what two names of one workload have in common."""
    return "/".join(workload.split("/")[-2:])


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


def _notice_of(events: Sequence[HookEvent]) -> notify.Notice:
    tokens = tuple(
        notify.NoticedToken(
            event.name,
            event.token_id,
            rfc3339_or_none(event.expires_at),
            event.stores,
        )
        for event in events
    )
    names = join_names([event.name for event in events])
    if any(event.is_rehearsal for event in events):
        body = "This is a test by rotator rehearse. No token was renewed, and nobody has to act."
        title = f"{names}: rehearsal"
        return notify.Notice(title, body, NoticeKind.SUCCESS, NoticeEvent.TEST, tokens)
    if len(events) == 1:
        title = f"{names}: token renewed"
        lines = [f"Token {_describe_life(events[0])}", "Stored in:", *events[0].stores]
    else:
        title = f"{names}: {len(events)} tokens renewed"
        lines = [
            f"{event.name}: token {_describe_life(event)}, stored in {', '.join(event.stores)}"
            for event in events[:_MOST_TOLD]
        ]
        lines += [f"and {len(events) - _MOST_TOLD} more"] if len(events) > _MOST_TOLD else []
    body = "\n".join(lines)
    return notify.Notice(title, body, NoticeKind.SUCCESS, NoticeEvent.ROTATED, tokens)


def _describe_life(event: HookEvent) -> str:
    until = f"valid until {minute(event.expires_at)}" if event.expires_at else "valid forever"
    return f"{event.token_id or 'without an id'}, {until}"


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]
