"""The loop around the state machine: turns what happens into events, and takes its actions."""

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from random import SystemRandom

from rotator.cli.exec import state_machine as machine
from rotator.cli.exec.child import Child, Terminal, inherit_orphans
from rotator.cli.exec.delivery import Delivery, choose_variables
from rotator.cli.exec.runtime_folder import secret_folder
from rotator.cli.exec.store_poller import FileWatcher, StorePoller, WatchedToken, path_of
from rotator.clock import utc_now
from rotator.config.settings import Settings
from rotator.errors import ConfigError, internal_error
from rotator.signals import WAKE_UP, SelfPipe, forwarded_signals
from rotator.wiring import open_selected

_FAILED = 1  # the exit code of every command
_NOT_EXECUTABLE, _NOT_FOUND = 126, 127  # as in sh
_GROUP_PAUSE = 0.05  # seconds between two checks whether the group is gone: no signal tells
_SPREAD = 0.2  # of the pause between two reads, so that many bots do not come at once
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Supervisor:
    """Runs the child until it ends by itself; `monotonic` is a clock of seconds."""

    child: Child
    poller: StorePoller
    delivery: Delivery
    plan: machine.Plan
    monotonic: Callable[[], float]
    state: machine.ExecState = field(default=machine.ExecState(), init=False)

    def run(self, pipe: SelfPipe) -> int:
        """Return the exit status; raises `StoreError` if there is no token to begin with."""
        self.poller.start()
        try:
            while True:
                for event in self._wait_for_events(pipe):
                    status = self._handle(event)
                    if status is not None:
                        return status
        except BaseException:
            self.child.signal_group(signal.SIGTERM)  # nobody would restart it
            raise

    def _wait_for_events(self, pipe: SelfPipe) -> Iterator[machine.Event]:
        timeout = None if self.state.due is None else max(0.0, self.state.due - self.monotonic())
        if self.state.phase is machine.ChildPhase.LEAVING_GROUP:
            timeout = _GROUP_PAUSE
        for number in pipe.wait(timeout):
            if number == WAKE_UP:
                yield from self._take_secrets()
            elif number != signal.SIGCHLD:
                yield machine.SignalReceived(number)
        # Even without a SIGCHLD: two signals of a kind may arrive as one.
        if (status := self.child.poll()) is not None:
            yield machine.ChildExited(status)
        if self.poller.busy.acquire(blocking=False):  # a store may wait for a child of its own
            self.child.reap_orphans()
            self.poller.busy.release()
        if self.state.phase is machine.ChildPhase.LEAVING_GROUP and self.child.group_is_gone():
            yield machine.GroupGone()
        yield machine.Tick()

    def _take_secrets(self) -> Iterator[machine.Event]:
        found = self.poller.result
        if isinstance(found, Exception):
            if self.state.phase is machine.ChildPhase.WAITING:
                raise found
            _log.error("%s", internal_error(found))
        elif found is not None:
            yield machine.SecretsRead(found)

    def _handle(self, event: machine.Event) -> int | None:
        """Take the actions that follow an event; return the exit status if it is the end."""
        before = self.state
        self.state, actions = machine.step(before, event, self.monotonic(), self.plan)
        for action in actions:
            match action:
                case machine.Start(secrets):
                    if (status := self._start(secrets)) is not None:
                        return status
                case machine.ReplaceFiles(secrets):
                    changes = _describe_changes(before.held, secrets)
                    try:
                        self.delivery.write_files(secrets)
                    except OSError as error:
                        text = "%s: its file cannot be replaced (%s); the next look tries again"
                        _log.error(text, changes, error.strerror)
                        self.state = self.state._replace(held=before.held)
                        return None
                    _log.info("%s: its file is replaced", changes)
                case machine.Signal(number):
                    self.child.signal(number)
                case machine.SignalGroup(signal.SIGKILL as number):
                    _log.warning("the program did not end within its grace: it is killed")
                    self.child.signal_group(number)
                case machine.SignalGroup(number):
                    changes = _describe_changes(before.held, before.wanted)
                    _log.info("%s: the program is restarted", changes)
                    self.child.signal_group(number)
                case machine.Finish(status):
                    return status
        return None

    def _start(self, secrets: machine.Secrets) -> int | None:
        try:
            environment = self.delivery.environment(secrets)
        except OSError as error:
            _log.error("exec: the secret cannot be written to a file (%s)", error.strerror)
            return _FAILED
        program = self.child.program
        try:
            with self.poller.files.opening:
                self.child.start(environment)
        except (FileNotFoundError, ValueError):  # an empty name
            _log.error("exec: %s: there is no such program", program or "''")
            return _NOT_FOUND
        except OSError as error:
            _log.error("exec: %s: it cannot be started (%s)", program, error.strerror)
            return _NOT_EXECUTABLE
        return None


def _describe_changes(held: machine.Secrets, wanted: machine.Secrets) -> str:
    changes = [
        f"{name}: token {held[name].name} became {token.name}"
        for name, token in wanted.items()
        if held[name] != token
    ]
    return ", ".join(changes)


def run(settings: Settings, names: Sequence[str], options: machine.ExecOptions) -> int:
    """Run the program until it ends, and return its exit status.

    Raises `ConfigError` if settings or options are wrong, and `StoreError` if no store has a live
    token to begin with.
    """
    plan = machine.plan_for(options)
    if not options.program:
        raise ConfigError(
            "exec: found no program, expected one behind --: put it there, as in"
            " rotator exec -- python bot.py"
        )
    tokens = open_selected(settings, names, with_bare_files=True)
    variables = choose_variables([token for token, _ in tokens], settings.folder, options.env)
    paths = [
        path
        for token, stores in tokens
        for store, text in zip(stores, token.stores, strict=True)
        if (path := path_of(store, text, settings.folder))
    ]
    watched = {token.name: WatchedToken(token.name, stores) for token, stores in tokens}
    poll, uniform = options.poll.total_seconds(), SystemRandom().uniform

    def pause() -> float:
        return poll * uniform(1 - _SPREAD, 1 + _SPREAD)

    inherit_orphans()
    child = Child(options.program, Terminal())
    private = secret_folder(os.environ) if options.in_file else nullcontext()
    with forwarded_signals() as pipe, private as folder:
        poller = StorePoller(watched, FileWatcher(paths), utc_now, pause, pipe.wake_up)
        delivery = Delivery(os.environ, variables, folder)
        return Supervisor(child, poller, delivery, plan, time.monotonic).run(pipe)
