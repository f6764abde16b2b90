"""Two writers at the same moment, each with an instance of its own."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

from rotator.errors import ConflictError
from rotator.stores.journal import Journal
from rotator.stores.port import SecretStore
from rotator.testing.rig import Rig, new_intent, new_journal, new_secret, shown, write

ROUNDS = 10
_WAIT = 60.0  # seconds


class RacingStores:
    """Racing: of two that start from the same version only one gets through."""

    def test_of_two_writers_one_wins_and_the_other_is_told(self, rig: Rig) -> None:
        write(rig.open(), new_secret(), new_journal())
        for _ in range(ROUNDS):
            version = rig.open().read().version
            wanted = [(new_secret(), new_journal()) for _ in range(2)]
            [winner] = _raced(rig, [partial(_write, *each, version) for each in wanted])
            assert shown(rig.open()) == wanted[winner]

    def test_of_two_intents_at_most_one_gets_through(self, rig: Rig) -> None:
        write(rig.open(), new_secret(), new_journal())
        for _ in range(ROUNDS):
            found = rig.open().read()
            intents = [new_intent() for _ in range(2)]
            wanted = [found.journal.with_intent(intent) for intent in intents]
            winners = _raced(rig, [partial(_note, each, found.version) for each in wanted])
            left = rig.open().read()
            assert list(left.journal.intents) == [intents[winner] for winner in winners]
            rig.open().note(found.journal, expected=left.version)

    def test_neighbours_survive_a_race(self, rig: Rig) -> None:
        before = rig.neighbours()
        version = rig.open().read().version
        wanted = [(new_secret(), new_journal()) for _ in range(2)]
        _raced(rig, [partial(_write, *each, version) for each in wanted])
        assert rig.neighbours() == before

    def test_nobody_is_kept_out_after_a_hold(self, rig: Rig) -> None:
        with (store := rig.open()).hold():
            write(store, new_secret(), new_journal())
        assert rig.open().held_elsewhere() in (False, None)
        with rig.open().hold():
            write(rig.open(), new_secret(), new_journal())


def _write(secret: str, journal: Journal, version: str, store: SecretStore) -> None:
    store.write(secret, journal, expected=version)


def _note(journal: Journal, version: str, store: SecretStore) -> None:
    store.note(journal, expected=version)


def _raced(rig: Rig, acts: Sequence[Callable[[SecretStore], None]]) -> list[int]:
    """Let writers start together; return the numbers of those that got through."""
    start = Barrier(len(acts))

    def run(act: Callable[[SecretStore], None]) -> bool:
        store = rig.open()
        start.wait(_WAIT)
        try:
            act(store)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(len(acts)) as pool:
        through = list(pool.map(run, acts))
    return [number for number, won in enumerate(through) if won]
