"""A world in which much time passes: a bot at work, a rotator that comes daily, and misfortunes."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from rotator.config.settings import Unused
from rotator.rotation.policy import RotateOptions
from rotator.rotation.report import Report
from tests.support.clock import NOON
from tests.support.sandbox import Fault
from tests.support.world import EXCHANGE, World

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MIDNIGHT = NOON - 12 * HOUR
ANSWERED = ("POST", EXCHANGE, 200)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """Return a moment of the simulated time, which begins at noon of day 0."""
    return MIDNIGHT + day * DAY + hour * HOUR + minute * MINUTE


class Span(NamedTuple):
    begin: datetime
    end: datetime

    def __contains__(self, moment: object) -> bool:
        return isinstance(moment, datetime) and self.begin <= moment < self.end

    def with_hours_around(self) -> "Span":
        return Span(self.begin - HOUR, self.end + 2 * HOUR)


class Call(NamedTuple):
    """A call of the bot, as its log tells of it."""

    moment: datetime
    answered: bool


class EndOfTimeError(Exception):
    """The simulation is over: the bot would go on for ever."""


@dataclass
class Life:
    """Lets time pass whenever the bot sleeps; what is planned then happens, each at its moment.

    The bot works from noon for as long as `daily`, and in the `busy` spans, and is asleep between.
    `retire` is that of the rotator.
    """

    world: World
    end: datetime
    daily: timedelta
    retire: timedelta | Unused = DAY
    busy: list[Span] = field(default_factory=list)
    reports: list[tuple[datetime, Report]] = field(default_factory=list)
    _plans: list[tuple[datetime, Callable[[], object]]] = field(default_factory=list)
    _exchanges_of_others: int = 0

    def __post_init__(self) -> None:
        self._store = self.world.store()

    def plan(self, moment: datetime, act: Callable[[], object]) -> None:
        self._plans.append((moment, act))
        self._plans.sort(key=lambda plan: plan[0], reverse=True)

    def plan_outage(self, span: Span, fault: Fault) -> None:
        self.plan(span.begin, lambda: self.world.api.misbehave(fault, times=None))
        self.plan(span.end, self.world.api.behave)
        self.busy.append(span.with_hours_around())

    def rotate(self) -> None:
        """Run the rotator as cron does: a new process, with a session of its own."""
        before = self.world.api.calls.count(ANSWERED)
        report = self.world.rotation(self._store, retire=self.retire).rotate(RotateOptions())
        self.reports.append((self.world.clock.now, report))
        self._exchanges_of_others += self.world.api.calls.count(ANSWERED) - before

    def exchanges(self) -> int:
        """Return how many exchanges of the bot were answered."""
        return self.world.api.calls.count(ANSWERED) - self._exchanges_of_others

    def sleep(self, seconds: float) -> None:
        """Let so much time pass for the bot, and more if its work is done for now."""
        moment = self.world.clock.now + timedelta(seconds=seconds)
        while not self._works_at(moment):
            moment += timedelta(seconds=seconds)
        while self._plans and self._plans[-1][0] <= moment:
            self.world.clock.now, act = self._plans.pop()
            act()
        self.world.clock.now = moment
        if moment >= self.end:
            raise EndOfTimeError

    def _works_at(self, moment: datetime) -> bool:
        since_noon = (moment - NOON) % DAY
        return since_noon < self.daily or any(moment in span for span in self.busy)


class Diary(logging.Handler):
    """Reads in the log of a bot what became of its calls, and when."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._clock = clock

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text.startswith(("a chart", "no chart")):
            self.calls.append(Call(self._clock(), text.startswith("a chart")))
