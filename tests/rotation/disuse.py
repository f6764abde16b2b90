"""Runs that look after an old token which ends when it is unused, and somebody who uses it."""

from datetime import timedelta

from rotator.config.settings import Unused
from rotator.embedded_api.state import ServiceTokenRow
from rotator.rotation.model import OldToken
from rotator.rotation.policy import RotateOptions
from rotator.rotation.report import Report
from tests.support.world import World

MOMENT = timedelta(seconds=5)  # the API's times are whole seconds, and rounded to the safe side
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
UNUSED = Unused(DAY)
USED_FOR_DAYS = 6.9  # a token that is due, and that outlives these tests


def run(world: World, retire: Unused = UNUSED, *, after: timedelta = timedelta()) -> Report:
    """Rotate as a process of its own does, after so much time."""
    world.clock.advance(after)
    return world.rotation(retire=retire).rotate(RotateOptions())


def use(world: World, secret: str) -> None:
    """Exchange a token, as a bot does."""
    world.open_api()().exchange(secret)


def row_of(world: World, secret: str) -> ServiceTokenRow:
    return next(row for row in world.api.tokens if row.secret == secret)


def only(report: Report) -> OldToken:
    (old,) = report.old_tokens
    return old


def text(world: World) -> str:
    return (world.folder / ".env").read_text()
