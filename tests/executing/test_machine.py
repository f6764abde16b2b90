"""What `rotator exec` does when, without a process and without time that passes."""

import signal
from collections.abc import Sequence
from datetime import timedelta

import pytest

from rotator.cli.exec.state_machine import (
    Action,
    ChildExited,
    Event,
    ExecState,
    Finish,
    GroupGone,
    Plan,
    ReplaceFiles,
    SecretsRead,
    Signal,
    SignalGroup,
    SignalReceived,
    Start,
    Tick,
    step,
)
from tests.unit.jwts import token

RESTART = Plan(restart=True, signal=None, settle=2, grace=10)
FILE = RESTART._replace(restart=False)
HANGUP = FILE._replace(signal=signal.SIGHUP)
OLD, NEW, NEWER = ({"luna": token(timedelta(days=days), str(days))} for days in (60, 61, 62))
TERM, KILL = SignalGroup(signal.SIGTERM), SignalGroup(signal.SIGKILL)
Story = Sequence[tuple[float, Event]]


def told(plan: Plan, story: Story) -> list[Action]:
    """Return all actions of a child that was started with `OLD`, and what happened to it then."""
    state, actions = step(ExecState(), SecretsRead(OLD), 0, plan)
    assert actions == [Start(OLD)]
    done: list[Action] = []
    for now, event in story:
        state, actions = step(state, event, now, plan)
        done += actions
    return done


CHANGED: Story = [(1, SecretsRead(NEW)), (3, Tick())]
STORIES: dict[str, tuple[Plan, Story, list[Action]]] = {
    "the same token again changes nothing": (RESTART, [(1, SecretsRead(OLD)), (9, Tick())], []),
    "a change acts once it has settled": (RESTART, [(1, SecretsRead(NEW)), (2.9, Tick())], []),
    "a change restarts": (
        RESTART,
        [*CHANGED, (4, ChildExited(143)), (5, GroupGone())],
        [TERM, Start(NEW)],
    ),
    "changes in quick succession are one": (
        RESTART,
        [
            (1, SecretsRead(NEW)),
            (2, SecretsRead(NEWER)),
            (3, Tick()),
            (4, ChildExited(0)),
            (4, GroupGone()),
        ],
        [TERM, Start(NEWER)],
    ),
    "a change that is taken back is none": (
        RESTART,
        [(1, SecretsRead(NEW)), (2, SecretsRead(OLD)), (9, Tick())],
        [],
    ),
    "a change during a restart is in it": (
        RESTART,
        [*CHANGED, (4, SecretsRead(NEWER)), (5, ChildExited(0)), (5, GroupGone()), (99, Tick())],
        [TERM, Start(NEWER)],
    ),
    "a child that outlives its grace is killed": (
        RESTART,
        [*CHANGED, (12.9, Tick()), (13, Tick()), (14, Tick()), (15, ChildExited(137))],
        [TERM, KILL, Start(NEW)],
    ),
    "others of its group that outlive the grace are killed": (
        RESTART,
        [*CHANGED, (4, ChildExited(143)), (12.9, Tick()), (13, Tick())],
        [TERM, KILL, Start(NEW)],
    ),
    "an end by itself is the end": (RESTART, [(1, ChildExited(7))], [Finish(7)]),
    "an end before a change acts is the end": (
        RESTART,
        [(1, SecretsRead(NEW)), (2, ChildExited(7))],
        [Finish(7)],
    ),
    "signals are passed on": (
        RESTART,
        [(1, SignalReceived(signal.SIGHUP))],
        [Signal(signal.SIGHUP)],
    ),
    "who is asked to stop is not restarted": (
        RESTART,
        [(0, SignalReceived(signal.SIGTERM)), *CHANGED, (9, ChildExited(0))],
        [Signal(signal.SIGTERM), Finish(0)],
    ),
    "who is asked to stop during a restart stays away": (
        RESTART,
        [*CHANGED, (4, SignalReceived(signal.SIGINT)), (5, ChildExited(143))],
        [TERM, Signal(signal.SIGINT), Finish(143)],
    ),
    "a stop between two lives is the end": (
        RESTART,
        [
            *CHANGED,
            (4, ChildExited(0)),
            (4, SignalReceived(signal.SIGUSR1)),
            (5, SignalReceived(signal.SIGTERM)),
        ],
        [TERM, Finish(143)],
    ),
    "a file is replaced": (FILE, CHANGED, [ReplaceFiles(NEW)]),
    "a file is replaced before the signal": (
        HANGUP,
        CHANGED,
        [ReplaceFiles(NEW), Signal(signal.SIGHUP)],
    ),
    "a file is replaced also for one who is stopping": (
        FILE,
        [(0, SignalReceived(signal.SIGTERM)), *CHANGED],
        [Signal(signal.SIGTERM), ReplaceFiles(NEW)],
    ),
}


@pytest.mark.parametrize(("plan", "story", "expected"), STORIES.values(), ids=STORIES.keys())
def test_what_happens_when(plan: Plan, story: Story, expected: list[Action]) -> None:
    assert told(plan, story) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [(signal.SIGTERM, [Finish(143)]), (signal.SIGHUP, [Finish(129)]), (signal.SIGUSR1, [])],
)
def test_a_signal_before_the_first_secret(number: signal.Signals, expected: list[Action]) -> None:
    assert step(ExecState(), SignalReceived(number), 0, RESTART)[1] == expected


def test_no_secret_shows_in_a_repr() -> None:
    state, actions = step(ExecState(), SecretsRead(OLD), 0, RESTART)
    assert OLD["luna"].secret not in f"{state!r} {actions!r} {SecretsRead(OLD)!r}"
