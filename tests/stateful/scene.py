"""A fleet of two tokens in real files, the API in which they live, and all who act on them."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from rotator.config.settings import TokenSettings, Unused
from tests.stateful.calendar import Calendar
from tests.stateful.disuse import DisuseWatch
from tests.stateful.history import History
from tests.stateful.places import Place
from tests.stateful.stores import Locks
from tests.stateful.wire import Wire

Retire = timedelta | Unused | None


class Scene:
    """What lies outside of every rotator; `retire` is that of each of the two tokens."""

    def __init__(self, folder: Path, retire: Sequence[Retire], stores: int, *, hosts: bool) -> None:
        self.clock = Calendar()
        self.wire = Wire(self.clock)
        self.locks = None if hosts else Locks()
        third = Place("sol", folder / "a.env", "SOL_TOKEN")
        self.places = [
            Place("luna", folder / "a.env", "NOCTURNA_SERVICE_TOKEN"),
            Place("sol", folder / "b.env", "NOCTURNA_SERVICE_TOKEN"),
            Place("sol", folder / "c.env", "NOCTURNA_SERVICE_TOKEN"),
            third,
        ][: 1 + stores]
        self.tokens = [
            TokenSettings(name=name, origin="test", stores=(), retire=grace)
            for name, grace in zip(("luna", "sol"), retire, strict=True)
        ]
        self.history = History(self.wire, self.places)
        self.disuse = DisuseWatch(self.wire, self.places, self.tokens, self.history)

    def stored(self) -> None:
        """Look at what the bots see, now that somebody changed something."""
        self.history.look()
        self.disuse.look()
