"""Whether an old token that ends when nobody uses it was really unused when it was revoked."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from rotator.config.settings import TokenSettings, Unused
from rotator.embedded_api.state import ServiceTokenRow
from tests.stateful.history import History
from tests.stateful.places import Place
from tests.stateful.wire import Wire

# By so much may a clock that is set back make a time look shorter than it is.
_SET_BACK = timedelta(minutes=3)


class DisuseWatch:
    """Knows who used a token last, and where it stood last, whatever the rotators believe."""

    def __init__(
        self,
        wire: Wire,
        places: Sequence[Place],
        tokens: Sequence[TokenSettings],
        history: History,
    ) -> None:
        self._wire = wire
        self._places = places
        self._retire = {token.name: token.retire for token in tokens}
        self._history = history
        self._revoked: set[str] = set()
        self._names: defaultdict[str, set[str]] = defaultdict(set)
        self._shown: dict[str, datetime] = {}
        self._leaked: set[str] = set()
        self.is_leaking = False  # while a run is told to revoke all old tokens

    @property
    def is_wanted(self) -> bool:
        return any(isinstance(retire, Unused) for retire in self._retire.values())

    def use(self, number: int) -> None:
        """Let somebody use an old token once more who has a copy of it."""
        held = {place.secret for place in self._places}
        now = self._wire.state.clock()
        old = [
            row
            for row in self._wire.state.rows
            if row.id in self._names and row.secret not in held and row.is_live(now)
        ]
        if old:
            old[number % len(old)].last_used_at = now

    def look(self) -> None:
        """Notice what stands where, and judge each revocation that is new."""
        now = self._wire.state.clock()
        for place in self._places:
            if row := self._history.row_of(place):
                self._names[row.id].add(place.name)
                self._shown[row.id] = now
        if self.is_leaking:
            self._leaked |= self._names.keys()
        for row in self._wire.state.rows:
            if row.revoked and row.id not in self._revoked:
                self._revoked.add(row.id)
                self._judge(row, now)

    def _judge(self, row: ServiceTokenRow, now: datetime) -> None:
        names = self._names.get(row.id, set())
        if not names or row.id in self._leaked | self._history.revoked_by_hand:
            return
        grounds = [self._retire[name] for name in names]
        quiet = [retire.quiet for retire in grounds if isinstance(retire, Unused)]
        if len(quiet) < len(grounds):
            return
        gone = now - self._shown[row.id]
        bounds = [retire.at_most for retire in grounds if isinstance(retire, Unused)]
        if any(bound and gone >= bound - _SET_BACK for bound in bounds):
            return
        unused = now - row.last_used_at if row.last_used_at else quiet[0]
        assert unused >= min(quiet) - _SET_BACK, f"{row.id} is revoked {unused} after its last use"
        if not names & self._history.edited:
            assert gone >= min(quiet) - _SET_BACK, f"{row.id} is revoked {gone} after it was shown"
