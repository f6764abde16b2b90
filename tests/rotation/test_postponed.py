"""What a token leaves to the end of its run is postponed, and finished as the stores then are."""

from datetime import timedelta

import pytest

from rotator.config.settings import Secret
from rotator.errors import StoreUnreachableError
from rotator.hooks.hooks import HookFailure
from rotator.rotation.fleet import finish_together
from rotator.rotation.model import Action, OldTokenState
from rotator.rotation.policy import RotateOptions
from rotator.rotation.report import Report
from rotator.rotation.rotation import Rotation
from rotator.stores.port import SecretStore
from tests.support.stores import Failing, MeddledStore
from tests.support.world import World

PLACE = "json://127.0.0.1:1/"
SHARED = RotateOptions(shared=frozenset([PLACE]))


class Bot:
    """A token that tells a URL of others, too."""

    def __init__(self, world: World, *stores: SecretStore, retire: timedelta | None = None) -> None:
        self.world = world
        self.rotation = world.rotation(
            *stores, notify=(Secret("test", value=PLACE),), retire=retire, probe=False
        )

    def owes(self) -> bool:
        return "hook=" in (self.world.folder / ".env").read_text()


def finished(rotation: Rotation, *failures: HookFailure) -> Report:
    report = rotation.finish(failures)
    assert report is not None
    return report


@pytest.fixture
def bot(world: World, old: str) -> Bot:
    assert old
    return Bot(world, retire=timedelta())


def test_it_is_postponed_and_the_old_token_lives_until_it_is_done(
    bot: Bot, world: World, old: str
) -> None:
    report = bot.rotation.rotate(SHARED)
    assert (report.action, report.error) == (Action.ROTATED, None)
    assert bot.rotation.postponed
    assert (bot.owes(), world.api.accepts(old)) == (True, True)
    report = finished(bot.rotation)
    assert (report.action, report.error) == (Action.ROTATED, None)
    assert [each.state for each in report.old_tokens] == [OldTokenState.REVOKED]
    assert (bot.owes(), world.api.accepts(old)) == (False, False)
    assert bot.rotation.finish([]) is None


def test_what_fails_stays_due_and_keeps_the_old_token(bot: Bot, world: World, old: str) -> None:
    bot.rotation.rotate(SHARED)
    assert bot.rotation.postponed
    [hook_id] = bot.rotation.postponed.ids
    report = finished(bot.rotation, HookFailure(hook_id, "it was not told"))
    assert (report.error, report.hooks_left) == ("it was not told", 1)
    assert (bot.owes(), world.api.accepts(old)) == (True, True)


def test_what_nobody_shares_is_done_at_once(world: World, old: str) -> None:
    assert old
    report = Bot(world).rotation.rotate(RotateOptions(shared=frozenset(["json://other"])))
    assert "the next run sends the notice again" in str(report.error)


def test_commands_are_not_left_and_not_repeated(world: World, old: str) -> None:
    assert old
    log = world.folder / "log"
    command = ("sh", "-c", f"echo ran >> {log}; exit 3")
    urls = (Secret("test", value=PLACE),)
    rotation = world.rotation(notify=urls, hooks=(command,), probe=False)
    rotation.rotate(SHARED)
    assert log.read_text() == "ran\n"
    report = finished(rotation)
    assert "ended with exit status 3" in str(report.error)
    assert (log.read_text(), report.hooks_left) == ("ran\n", 1)


def test_the_hooks_of_a_token_that_came_meanwhile_stay_due(bot: Bot, world: World) -> None:
    bot.rotation.rotate(SHARED)
    ours = world.secret()
    Bot(world).rotation.rotate(RotateOptions(force=True, shared=SHARED.shared))
    assert world.secret() != ours
    report = finished(bot.rotation)
    assert (bot.owes(), report.error) == (True, None)
    assert "the stores were changed meanwhile" in report.remarks[-1]
    assert world.api.accepts(ours)


def test_a_store_that_is_away_by_then_leaves_all_to_the_next_run(world: World, old: str) -> None:
    world.put(old, "other.env")
    away = Failing(StoreUnreachableError("other.env: it is away"), 4)
    other = MeddledStore(world.store("other.env"), before_read=away)
    bot = Bot(world, world.store(), other, retire=timedelta())
    bot.rotation.rotate(SHARED)
    report = finished(bot.rotation)
    assert "it is away" in str(report.error)
    assert (bot.owes(), world.api.accepts(old)) == (True, True)
    again = bot.rotation.rotate(SHARED)
    assert (again.action, bot.rotation.postponed is not None) == (Action.KEPT, True)
    report = finished(bot.rotation)
    assert (report.error, bot.owes(), world.api.accepts(old)) == (None, False, False)


@pytest.mark.usefixtures("old")
def test_a_url_that_cannot_be_read_any_more_fails_its_tokens_and_stops_nothing(
    world: World,
) -> None:
    file = world.folder / "notify-url"
    file.write_text(PLACE)
    rotation = world.rotation(notify=(Secret("test", file=file),), probe=False)
    assert rotation.rotate(SHARED).action is Action.ROTATED
    file.unlink()
    [report] = finish_together([rotation]).values()
    assert report.action is Action.FAILED
    assert "test: cannot read" in (report.error or "")
    assert "hook=" in (world.folder / ".env").read_text()
