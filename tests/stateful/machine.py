"""A fleet to which everything happens that can happen, in any order."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rotator.config.settings import Unused
from rotator.rotation.policy import RotateOptions
from rotator.rotation.report import Report
from tests.stateful import draws
from tests.stateful.draws import Weather
from tests.stateful.hands import Edit, Hands
from tests.stateful.life import Life, Turns
from tests.stateful.rotator import Rotator
from tests.stateful.scene import Retire, Scene
from tests.stateful.settling import settle

HOUR = timedelta(hours=1)
UNUSED = [Unused(20 * HOUR), Unused(HOUR), Unused(HOUR, at_most=6 * HOUR)]
RETIRE = st.sampled_from([None, timedelta(), timedelta(days=1), *UNUSED, *UNUSED])


class FleetMachine(RuleBasedStateMachine):
    """Rules are what rotators and people do; the invariants are the rotator's promises."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._daemon: Rotator | None = None

    @initialize(
        retire=st.tuples(RETIRE, RETIRE),
        stores=st.integers(2, 3),
        hosts=st.booleans(),
        stays_up=st.booleans(),
        days=st.lists(st.sampled_from([0, 3, 60]), min_size=4, max_size=4),
    )
    def begin(
        self,
        retire: tuple[Retire, Retire],
        stores: int,
        days: list[int],
        *,
        hosts: bool,
        stays_up: bool,
    ) -> None:
        self._scene = Scene(self._folder, retire, stores, hosts=hosts)
        self._hands = Hands(self._scene)
        self._stays_up = stays_up
        self._hands.lay_out(days)

    @rule(weather=draws.WEATHERS)
    def run(self, weather: Weather) -> None:
        self._sail([self._rotator(weather.skew)], [weather])

    @rule(weathers=st.tuples(draws.WEATHERS, draws.WEATHERS), turns=draws.TURNS)
    def race(self, weathers: tuple[Weather, Weather], turns: list[int]) -> None:
        first, second = weathers
        rotators = [self._rotator(first.skew), Rotator(self._scene, second.skew)]
        self._sail(rotators, list(weathers), turns)

    @rule(span=draws.SPANS)
    def pass_time(self, span: int) -> None:
        self._scene.clock.advance(timedelta(seconds=span))
        for place in self._scene.places:  # the bots use what they have
            row = self._scene.history.row_of(place)
            if row and row.is_live(self._scene.clock()):
                row.last_used_at = self._scene.clock()

    @rule(edit=draws.EDITS)
    def edit(self, edit: Edit) -> None:
        self._hands.act(edit)

    @precondition(lambda self: self._scene.disuse.is_wanted)
    @rule(number=st.integers(0, 7))
    def use_an_old_token(self, number: int) -> None:
        self._scene.disuse.use(number)

    @precondition(lambda self: self._scene.disuse.is_wanted)
    @rule(number=st.integers(0, 7), span=st.sampled_from([HOUR / 2, HOUR * 0.8, 15 * HOUR]))
    def use_an_old_token_again_and_again(self, number: int, span: timedelta) -> None:
        for _ in range(3):
            self._scene.disuse.use(number)
            self._scene.clock.advance(span)
            self._sail([self._rotator()], [Weather(RotateOptions())])

    @rule()
    def settle(self) -> None:
        settle(self._scene, self._rotator())

    @invariant()
    def all_is_as_promised(self) -> None:
        self._scene.stored()
        self._hands.assert_all_else_is_as_it_was()
        self._hands.keep_copies()

    def teardown(self) -> None:
        if hasattr(self, "_scene"):
            self.settle()
            self.all_is_as_promised()

    def _sail(
        self, rotators: list[Rotator], weathers: list[Weather], turns: Sequence[int] = ()
    ) -> None:
        reports: list[Report] = []
        tasks: list[tuple[Life, Callable[[], None]]] = []
        for rotator, weather in zip(rotators, weathers, strict=True):
            weather.come_over(self._scene)
            rotator.suffer(weather.troubles)
            tasks.append((rotator.life, partial(self._go, rotator, weather, reports)))
        self._scene.disuse.is_leaking = any(each.order.revoke_old for each in weathers)
        Turns(turns).run(*tasks)
        self._scene.stored()
        self._scene.disuse.is_leaking = False
        self._scene.wire.faults.clear()
        self._scene.wire.late.clear()
        for report in reports:
            note(f"{report.name}: {report.action} {report.reason}; {report.error}")
            text = str(report.to_json())
            assert not [s for s in self._scene.wire.faults.secrets if s in text]

    def _rotator(self, skew: timedelta = timedelta()) -> Rotator:
        """Return the one that stays up while its clock is set, or a new one."""
        daemon = self._daemon if self._stays_up else None
        if daemon is None or daemon.life.is_over:
            self._daemon = daemon = Rotator(self._scene, skew)
        daemon.skew = skew
        return daemon

    def _go(self, rotator: Rotator, weather: Weather, reports: list[Report]) -> None:
        at, edit = weather.meanwhile or (0, None)
        meanwhile = (at, partial(self._hands.act, edit)) if edit else None
        reports.extend(rotator.run(weather.order, weather.dies_at, meanwhile))
