"""The loop around the machine: what happens becomes events, and its actions happen."""

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from random import SystemRandom

from rotator.clock import utc_now
from rotator.config.settings import Settings
from rotator.errors import ConfigError, internal_error
from rotator.exec.child import CannotStartError, Child, Terminal, inherit_orphans
from rotator.exec.delivery import Handing, secret_folder, variables
from rotator.exec.signals import WORD, Wait, mailbox
from rotator.exec.state_machine import (
    Arrived,
    Event,
    ExecOptions,
    Exited,
    Finish,
    Found,
    GroupGone,
    Phase,
    Plan,
    Replace,
    Secrets,
    Send,
    SendGroup,
    Start,
    State,
    Tick,
    plan_for,
    step,
)
from rotator.exec.store_poller import FileEvents, Looking, Rhythm, Watched, path_of
from rotator.wiring import open_readable

FAILED = 1  # the exit code, as of every command

_PAUSE = 0.05  # seconds between two looks at a group that is about to be gone: nobody tells us
_log = logging.getLogger(__name__)


class Supervisor:
    """Runs the child until it ends by itself; `monotonic` is a clock of seconds."""

    def __init__(
        self,
        child: Child,
        looking: Looking,
        handing: Handing,
        plan: Plan,
        monotonic: Callable[[], float],
    ) -> None:
        self._child = child
        self._looking = looking
        self._handing = handing
        self._plan = plan
        self._now = monotonic
        self._state = State()

    def run(self, wait: Wait) -> int:
        """Return the exit status; raises `StoreError` when there is no token to begin with."""
        self._looking.start()
        try:
            return self._run(wait)
        except BaseException:
            self._child.send_group(signal.SIGTERM)  # nobody would be there to restart it
            raise

    def _run(self, wait: Wait) -> int:
        while True:
            for event in self._events(wait(self._patience())):
                status = self._take(event)
                if status is not None:
                    return status

    def _patience(self) -> float | None:
        """Return the seconds until something is to be done without a signal or a word."""
        if self._state.phase is Phase.LEAVING_GROUP:
            return _PAUSE
        return None if self._state.due is None else max(0.0, self._state.due - self._now())

    def _events(self, numbers: bytes) -> Iterator[Event]:
        for number in numbers:
            if number == WORD:
                yield from self._found()
            elif number != signal.SIGCHLD:
                yield Arrived(number)
        # In any case: two signals of a kind may come as one.
        if (status := self._child.exited()) is not None:
            yield Exited(status)
        if self._looking.busy.acquire(blocking=False):  # it may wait for a child of its own
            self._child.bury_orphans()
            self._looking.busy.release()
        if self._state.phase is Phase.LEAVING_GROUP and self._child.group_is_gone():
            yield GroupGone()
        yield Tick()

    def _found(self) -> Iterator[Event]:
        match self._looking.result:
            case Exception() as error:
                if self._state.phase is Phase.WAITING:
                    raise error
                _log.error("%s", internal_error(error))
            case None:
                pass
            case secrets:
                yield Found(secrets)

    def _take(self, event: Event) -> int | None:
        """Let the actions happen; return the exit status if that is the end."""
        before = self._state
        self._state, actions = step(before, event, self._now(), self._plan)
        for action in actions:
            match action:
                case Start(secrets):
                    if (status := self._start(secrets)) is not None:
                        return status
                case Replace(secrets):
                    if not self._replace(before.held, secrets):
                        return None
                case Send(number):
                    self._child.send(number)
                case SendGroup(signal.SIGKILL as number):
                    _log.warning("the program did not end within its grace: it is killed")
                    self._child.send_group(number)
                case SendGroup(number):
                    _log.info("%s: the program is restarted", news(before.held, before.wanted))
                    self._child.send_group(number)
                case Finish(status):
                    return status
        return None

    def _start(self, secrets: Secrets) -> int | None:
        try:
            self._child.start(self._handing.environment(secrets))
        except CannotStartError as error:
            _log.error("exec: %s", error)
            return error.status
        except OSError as error:
            _log.error("exec: the secret cannot be written to a file (%s)", error.strerror)
            return FAILED
        return None

    def _replace(self, held: Secrets, secrets: Secrets) -> bool:
        changes = news(held, secrets)
        try:
            self._handing.put(secrets)
        except OSError as error:
            text = "%s: its file cannot be replaced (%s); the next look tries again"
            _log.error(text, changes, error.strerror)
            self._state = self._state._replace(held=held)
            return False
        _log.info("%s: its file is replaced", changes)
        return True


def news(held: Secrets, wanted: Secrets) -> str:
    """Return which tokens changed, in words."""
    changes = [
        f"{name}: token {held[name].name} became {token.name}"
        for name, token in wanted.items()
        if held[name] != token
    ]
    return ", ".join(changes)


def run(settings: Settings, names: Sequence[str], options: ExecOptions) -> int:
    """Run the program until it ends, and return its exit status.

    Raises `ConfigError` when the settings or options are wrong, and `StoreError` when no store has
    a live token to begin with.
    """
    plan = plan_for(options)
    if not options.program:
        raise ConfigError(
            "exec: found no program, expected one behind --: put it there, as in"
            " rotator exec -- python bot.py"
        )
    tokens = open_readable(settings, names)
    named = variables([token for token, _ in tokens], settings.folder, options.env)
    paths = [
        path_of(store, text, settings.folder)
        for token, stores in tokens
        for store, text in zip(stores, token.stores, strict=True)
    ]
    events = FileEvents([path for path in paths if path])
    watched = {token.name: Watched(token.name, stores) for token, stores in tokens}
    rhythm = Rhythm(options.poll.total_seconds(), SystemRandom().uniform)
    inherit_orphans()
    child = Child(options.program, Terminal())
    private = secret_folder(os.environ) if options.in_file else nullcontext()
    with mailbox() as (wait, ring), private as folder:
        looking = Looking(watched, events, utc_now, rhythm, ring)
        handing = Handing(os.environ, named, folder)
        return Supervisor(child, looking, handing, plan, time.monotonic).run(wait)
