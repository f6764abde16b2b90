"""What to do when: a pure function from a state and an event to the next state and actions.

    WAITING --first secrets--> RUNNING --change, settled--> ENDING --child gone--> LEAVING_GROUP
                                  ^                                                     |
                                  +----------------------- group gone ------------------+

Moments are seconds of a monotonic clock.
"""

import signal
from collections.abc import Mapping
from datetime import timedelta
from enum import Enum, auto
from types import MappingProxyType
from typing import NamedTuple

from rotator.errors import ConfigError
from rotator.exec.signals import RELOAD, STOP
from rotator.tokens import ServiceToken

Secrets = Mapping[str, ServiceToken]
"""The current token of each name."""

BY_SIGNAL = 128  # an exit status above it names the signal that ended a process, as in sh
_ENDS_A_WAIT = (*STOP, *RELOAD, signal.SIGQUIT)


class Plan(NamedTuple):
    """What a change leads to: a restart, or else a signal, or nothing but new files.

    `settle` and `grace` are seconds: from a change to its effect, and from SIGTERM to SIGKILL.
    """

    restart: bool
    signal: signal.Signals | None
    settle: float
    grace: float


class Found(NamedTuple):
    """The stores were looked at."""

    secrets: Secrets


class Arrived(NamedTuple):
    """Somebody sent us a signal."""

    number: int


class Exited(NamedTuple):
    """The child ended, with this exit status."""

    status: int


class GroupGone(NamedTuple):
    """Of the child's process group nobody is left."""


class Tick(NamedTuple):
    """Time went by."""


Event = Found | Arrived | Exited | GroupGone | Tick


class Start(NamedTuple):
    """Start the child with these secrets."""

    secrets: Secrets


class Replace(NamedTuple):
    """Put these secrets into the files."""

    secrets: Secrets


class Send(NamedTuple):
    """Send the child a signal."""

    number: int


class SendGroup(NamedTuple):
    """Send a signal to the child and all that it started."""

    number: int


class Finish(NamedTuple):
    """Exit with this status."""

    status: int


Action = Start | Replace | Send | SendGroup | Finish


class Phase(Enum):
    """Where the child is in its life."""

    WAITING = auto()  # for the first secrets
    RUNNING = auto()
    ENDING = auto()  # it was asked to, for a restart
    LEAVING_GROUP = auto()  # it ended, and others of its group have not yet


class State(NamedTuple):
    """`due` is the moment for the next step by time: acting on a change, or SIGKILL.

    `stopping` tells that the child was asked to stop for good: it is not restarted any more.
    """

    phase: Phase = Phase.WAITING
    held: Secrets = MappingProxyType({})
    wanted: Secrets = MappingProxyType({})
    due: float | None = None
    stopping: bool = False


Step = tuple[State, list[Action]]


def step(state: State, event: Event, now: float, plan: Plan) -> Step:
    """Return the next state, and what is to be done, in this order."""
    match event:
        case Found(secrets):
            return _found(state, secrets, now, plan)
        case Arrived(number):
            return _arrived(state, number)
        case Exited(status):
            return _exited(state, status)
        case GroupGone() if state.phase is Phase.LEAVING_GROUP:
            return _started(state, state.wanted)
        case Tick() if state.due is not None and now >= state.due:
            return _due(state, now, plan)
    return state, []


def _found(state: State, secrets: Secrets, now: float, plan: Plan) -> Step:
    if state.phase is Phase.WAITING:
        return _started(state, secrets)
    state = state._replace(wanted=secrets)
    if state.phase is Phase.RUNNING:
        settled = now + plan.settle if state.due is None else state.due
        state = state._replace(due=None if secrets == state.held else settled)
    return state, []


def _arrived(state: State, number: int) -> Step:
    stops = number in STOP
    if state.phase is Phase.WAITING:
        return state, [Finish(BY_SIGNAL + number)] if number in _ENDS_A_WAIT else []
    if state.phase is Phase.LEAVING_GROUP:  # the next child is not there yet
        return state, [Finish(BY_SIGNAL + number)] if stops else []
    return state._replace(stopping=state.stopping or stops), [Send(number)]


def _exited(state: State, status: int) -> Step:
    if state.phase is not Phase.ENDING or state.stopping:
        return state, [Finish(status)]
    if state.due is None:  # killed, and its group with it
        return _started(state, state.wanted)
    return state._replace(phase=Phase.LEAVING_GROUP), []


def _due(state: State, now: float, plan: Plan) -> Step:
    if state.phase is Phase.ENDING:
        return state._replace(due=None), [SendGroup(signal.SIGKILL)]
    if state.phase is Phase.LEAVING_GROUP:  # not waited for: nobody may be there to bury them
        state, actions = _started(state, state.wanted)
        return state, [SendGroup(signal.SIGKILL), *actions]
    if plan.restart and not state.stopping:
        ending = state._replace(phase=Phase.ENDING, due=now + plan.grace)
        return ending, [SendGroup(signal.SIGTERM)]
    state = state._replace(held=state.wanted, due=None)
    if plan.restart:
        return state, []
    told: list[Action] = [Send(plan.signal)] if plan.signal else []
    return state, [Replace(state.held), *told]


def _started(state: State, secrets: Secrets) -> Step:
    running = state._replace(phase=Phase.RUNNING, held=secrets, wanted=secrets, due=None)
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


_NO_NEWS = (signal.SIGKILL, signal.SIGSTOP)


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
    if options.signal in _NO_NEWS:
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
