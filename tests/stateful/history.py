"""What has happened to the tokens, told by the server's table and by looks at the files."""

from pathlib import Path

from rotator.embedded_api.state import ServiceTokenRow
from tests.stateful.places import Place
from tests.stateful.wire import Wire


class History:
    """Knows where each token stood, and what the hands of people did to it."""

    def __init__(self, wire: Wire, places: list[Place]) -> None:
        self._wire = wire
        self._places = places
        self._excused: dict[Place, str] = {}
        self.stood: dict[str, str] = {}  # ids, and the name of the token that they were
        self.revoked_by_hand: set[str] = set()
        self.edited: set[str] = set()

    def look(self) -> None:
        """Make sure that no bot was left without its token by anybody but people."""
        rows = {row.secret: row for row in self._wire.state.rows}
        for place in self._places:
            secret = place.secret
            if self._excused.get(place) == secret:
                continue
            self._excused.pop(place, None)
            row = rows.get(secret)
            assert row, f"{place} shows {secret!r}"
            self.stood.setdefault(row.id, place.name)
            by_us = row.revoked and row.id not in self.revoked_by_hand
            assert not by_us, f"{place} shows {row.id}, which a rotator revoked"

    def accept(self, path: Path) -> None:
        """Take what a file shows for what somebody wanted there."""
        for place in self._places:
            if place.path == path:
                row = self.row_of(place)
                self._excused[place] = place.secret
                if row and not row.revoked:
                    del self._excused[place]

    def edit(self, path: Path, text: str) -> None:
        """Let somebody change a file between two runs."""
        before = self._runs()
        path.write_text(text)
        lost = before - self._runs()
        for place in self._places:
            if place.path == path:
                self.edited.add(place.name)
        for mint in self._wire.mints:
            never_stood = mint.token_id not in self.stood
            mint.is_untold |= never_stood and any(name == mint.name for name, _ in lost)
        self._clear_up()
        self.accept(path)
        self.look()

    def _clear_up(self) -> None:
        """Do what a rotator cannot: nobody knows of these tokens any more but the API.

        Whoever removes a record has to see to its token, or the next mint that is lost has a
        stranger beside it.
        """
        untold = {mint.token_id for mint in self._wire.mints if mint.is_untold}
        for row in self._wire.state.rows:
            if row.id in untold and row.id not in self.stood:
                self.revoke(row)

    def row_of(self, place: Place) -> ServiceTokenRow | None:
        secret = place.secret
        return next((row for row in self._wire.state.rows if row.secret == secret), None)

    def revoke(self, row: ServiceTokenRow) -> None:
        row.revoked = True
        self.revoked_by_hand.add(row.id)

    def _runs(self) -> set[tuple[str, str]]:
        return {
            (place.name, intent.mint_id)
            for place in self._places
            for intent in place.reading.journal.intents
        }
