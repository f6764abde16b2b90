"""What people do to the files and to the API between two runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from rotator.embedded_api.state import ServiceTokenRow
from tests.stateful.places import Place, rest_of, text_of
from tests.stateful.scene import Scene

DAY = timedelta(days=1)
# A rotator may take a look at the stores of other tokens that is a second old for the present.
OLDEST_LOOK = timedelta(seconds=2)


@dataclass(frozen=True)
class Edit:
    """One deed; `number` counts days for `issue`, copies for `restore`, and places for `copy`."""

    kind: str
    place: int
    number: int = 0
    text: str = ""


class Hands:
    """Somebody who edits files, keeps copies of them, and knows what else is in them."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._copies: list[tuple[Path, str]] = []
        self._rest: dict[Path, str] = {}
        self._files = sorted({place.path for place in scene.places})

    def lay_out(self, days: Sequence[int]) -> None:
        """Begin with tokens that have so many days left, one for each place; none for 0."""
        texts = dict.fromkeys(self._files, "A=1\n")
        for place, left in zip(self._scene.places, days, strict=False):
            if left:
                row = self._row(left, self._scene.clock.now - DAY)
                texts[place.path] += f"{place.variable}={row.secret}\n"
            texts[place.path] += "B=2\n"
        for path, text in texts.items():
            path.write_text(text)
        for path in self._files:
            self._scene.history.accept(path)
            self._rest[path] = rest_of(path)

    def act(self, edit: Edit) -> None:
        """Do it between two runs or, where nothing that it undoes is known to a rotator, in one."""
        place = self._place(edit.place)
        match edit.kind:
            case "issue":
                self._change(place.path, place.with_secret(self._issued(edit.number)))
            case "copy":
                self._change(place.path, place.with_secret(self._place(edit.number).secret))
                self._scene.clock.advance(OLDEST_LOOK)
            case "spoil":
                self._change(place.path, place.with_secret(edit.text))
            case "delete":
                self._change(place.path, place.without(journal=False))
            case "delete all":
                self._change(place.path, place.without(journal=True))
            case "restore":
                self._change(*self._copies[-1 - edit.number % len(self._copies)])
                self._scene.clock.advance(OLDEST_LOOK)
            case "add":
                self._change(place.path, f"{edit.text}\n{text_of(place.path)}")
            case "revoke":
                row = self._scene.history.row_of(place)
                if row:
                    self._scene.history.revoke(row)

    def keep_copies(self) -> None:
        for path in self._files:
            copy = (path, text_of(path))
            if copy not in self._copies:
                self._copies.append(copy)

    def assert_all_else_is_as_it_was(self) -> None:
        for path, rest in self._rest.items():
            assert rest_of(path) == rest, path.name

    def _place(self, number: int) -> Place:
        return self._scene.places[number % len(self._scene.places)]

    def _issued(self, days: int) -> str:
        """Return a token that a bot has used already."""
        now = self._scene.clock.now
        row = self._row(days, now)
        row.last_used_at = now
        return row.secret

    def _row(self, days: int, created_at: datetime) -> ServiceTokenRow:
        end = self._scene.clock.now + timedelta(days=days)
        return self._scene.wire.state.add_row(
            self._scene.wire.admin.id,
            "calculations",
            created_at=created_at,
            expires_at=end,
            exp=end,
        )

    def _change(self, path: Path, text: str) -> None:
        self._scene.history.edit(path, text)
        self._rest[path] = rest_of(path)
