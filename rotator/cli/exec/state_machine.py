"""What `rotator exec` decides: a pure function from state and event to next state and actions.

    WAITING --first secrets--> RUNNING --change, settled--> ENDING --child gone--> LEAVING_GROUP
                                  ^                                                     |
                                  +----------------------- group gone ------------------+

Times are seconds of a monotonic clock.
"""

import signal
from collections.abc import Mapping
from datetime import timedelta
from enum import Enum, auto
from types import MappingProxyType
from typing import NamedTuple

from rotator.errors import ConfigError
from rotator.signals import RELOAD, STOP
from rotator.tokens import ServiceToken

Secrets = Mapping[str, ServiceToken]
"""The current token of each name."""

BY_SIGNAL = 128  # as in sh: this plus n is the exit status of what signal n ended
_ENDS_A_WAIT = (*STOP, *RELOAD, signal.SIGQUIT)


class Plan(NamedTuple):
    """What follows a change: a restart, or new files and, if given, a signal.

    `settle` and `grace` are seconds: from a change to its effect, and from SIGTERM to SIGKILL.
    """

    restart: bool
    signal: signal.Signals | None
    settle: float
    grace: float


# Events: what has happened.


class SecretsRead(NamedTuple):
    secrets: Secrets


class SignalReceived(NamedTuple):
    number: int


class ChildExited(NamedTuple):
    status: int  # its exit status


class GroupGone(NamedTuple):
    """No process of the child's group is left."""


class Tick(NamedTuple):
    """Time has passed."""


Event = SecretsRead | SignalReceived | ChildExited | GroupGone | Tick


# Actions: what is to be done.


class Start(NamedTuple):
    secrets: Secrets


class ReplaceFiles(NamedTuple):
    secrets: Secrets


class Signal(NamedTuple):
    number: int  # for the child alone


class SignalGroup(NamedTuple):
    number: int  # for the child and all that it started


class Finish(NamedTuple):
    status: int  # our exit status


Action = Start | ReplaceFiles | Signal | SignalGroup | Finish


class ChildPhase(Enum):
    WAITING = auto()  # for the first secrets
    RUNNING = auto()
    ENDING = auto()  # it got SIGTERM, for a restart
    LEAVING_GROUP = auto()  # it has ended, others of its group have not


class ExecState(NamedTuple):
    """The child has the secrets `held` and should have `wanted`.

    `due` is the time of the next step without an event: to act on a change, or SIGKILL. `stopping`
    means that the child was asked to stop for good, and is not restarted.
    """

    phase: ChildPhase = ChildPhase.WAITING
    held: Secrets = MappingProxyType({})
    wanted: Secrets = MappingProxyType({})
    due: float | None = None
    stopping: bool = False


Step = tuple[ExecState, list[Action]]


def step(state: ExecState, event: Event, now: float, plan: Plan) -> Step:
    """Return the next state, and the actions to take, in order."""
    match event:
        case SecretsRead(secrets):
            return _compare(state, secrets, now, plan)
        case SignalReceived(number):
            return _forward(state, number)
        case ChildExited(status):
            return _restart_or_finish(state, status)
        case GroupGone() if state.phase is ChildPhase.LEAVING_GROUP:
            return _start(state, state.wanted)
        case Tick() if state.due is not None and now >= state.due:
            return _act_when_due(state, now, plan)
    return state, []


def _compare(state: ExecState, secrets: Secrets, now: float, plan: Plan) -> Step:
    if state.phase is ChildPhase.WAITING:
        return _start(state, secrets)
    state = state._replace(wanted=secrets)
    if state.phase is ChildPhase.RUNNING:
        settled = now + plan.settle if state.due is None else state.due
        state = state._replace(due=None if secrets == state.held else settled)
    return state, []


def _forward(state: ExecState, number: int) -> Step:
    stops = number in STOP
    if state.phase is ChildPhase.WAITING:
        return state, [Finish(BY_SIGNAL + number)] if number in _ENDS_A_WAIT else []
    if state.phase is ChildPhase.LEAVING_GROUP:  # the next child has not been started
        return state, [Finish(BY_SIGNAL + number)] if stops else []
    return state._replace(stopping=state.stopping or stops), [Signal(number)]


def _restart_or_finish(state: ExecState, status: int) -> Step:
    if state.phase is not ChildPhase.ENDING or state.stopping:
        return state, [Finish(status)]
    if state.due is None:  # it was killed together with its group
        return _start(state, state.wanted)
    return state._replace(phase=ChildPhase.LEAVING_GROUP), []


def _act_when_due(state: ExecState, now: float, plan: Plan) -> Step:
    if state.phase is ChildPhase.ENDING:
        return state._replace(due=None), [SignalGroup(signal.SIGKILL)]
    if state.phase is ChildPhase.LEAVING_GROUP:  # not waited for: perhaps nobody reaps them
        state, actions = _start(state, state.wanted)
        return state, [SignalGroup(signal.SIGKILL), *actions]
    if plan.restart and not state.stopping:
        ending = state._replace(phase=ChildPhase.ENDING, due=now + plan.grace)
        return ending, [SignalGroup(signal.SIGTERM)]
    state = state._replace(held=state.wanted, due=None)
    if plan.restart:
        return state, []
    signals: list[Action] = [Signal(plan.signal)] if plan.signal else []
    return state, [ReplaceFiles(state.held), *signals]


def _start(state: ExecState, secrets: Secrets) -> Step:
    running = state._replace(phase=ChildPhase.RUNNING, held=secrets, wanted=secrets, due=None)
    return running, [Start(secrets)]


class ExecOptions(NamedTuple):
    """What to run, and the options: `env` as they were given, `signal` None for no signal."""

    program: tuple[str, ...]
    env: tuple[str, ...]
    in_file: bool
    signal: signal.Signals | None
    restart: bool
    grace: timedelta
    settle: timedelta
    poll: timedelta


_UNHANDLED = (signal.SIGKILL, signal.SIGSTOP)


def plan_for(options: ExecOptions) -> Plan:
    """Return what a change leads to; raises `ConfigError` for options that do not fit together."""
    if options.signal and not options.in_file:
        raise ConfigError(
            "exec: found --signal without --file: a program that runs keeps its environment, so a"
            " signal would tell it nothing; add --file, or leave --signal out for a restart"
        )
    if options.restart and not options.in_file:
        raise ConfigError(
            "exec: found --restart without --file: a restart is what a change leads to anyway;"
            " leave --restart out, or add --file"
        )
    if options.signal in _UNHANDLED:
        raise ConfigError(
            f"exec: found --signal {options.signal.name.removeprefix('SIG')}, which no program can"
            " take as news; take one that it handles, such as HUP, or --restart"
        )
    if options.signal and options.restart:
        raise ConfigError("exec: found both --signal and --restart, expected one of them")
    return Plan(
        restart=options.restart or not options.in_file,
        signal=options.signal,
        settle=options.settle.total_seconds(),
        grace=options.grace.total_seconds(),
    )
