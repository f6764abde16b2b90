"""Which store of the config shows which token, or remembers it in its journal."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from rotator.config.settings import TokenSettings
from rotator.listing.parallel import side_by_side
from rotator.rotation.observe import Reading, Silence, look
from rotator.stores.port import SecretStore


class Part(StrEnum):
    """What a token is to a store, as `--json` shows it."""

    HELD = "held"
    REPLACED = "replaced"
    OWED = "owed"
    MINTING = "minting"


class Place(NamedTuple):
    """A store, the name of the token that is kept there, and what some token id is to it.

    `due_at` is when a token that is owed is to be revoked (aware UTC).
    """

    name: str
    store: str
    part: Part
    due_at: datetime | None = None


class Stock(NamedTuple):
    """One look at all stores: by token id the places that know it, and the stores that are silent.

    The silent ones come with the name of their token.
    """

    places: Mapping[str, Sequence[Place]]
    silent: Sequence[tuple[str, Silence]] = ()

    def of(self, token_id: str) -> Sequence[Place]:
        """Return the places that know a token."""
        return self.places.get(token_id, ())

    def holders(self, token_id: str) -> list[Place]:
        """Return the places that show a token to their readers."""
        return [place for place in self.of(token_id) if place.part is Part.HELD]


def read_all(tokens: Sequence[tuple[TokenSettings, Sequence[SecretStore]]]) -> Stock:
    """Read every store of these tokens once."""

    def answers(each: tuple[TokenSettings, Sequence[SecretStore]]) -> list[Reading | Silence]:
        return [look(store) for store in each[1]]

    return stocked([token.name for token, _ in tokens], side_by_side(answers, tokens))


def stocked(names: Sequence[str], answers: Sequence[Sequence[Reading | Silence]]) -> Stock:
    """Return what these answers of the stores of each named token tell."""
    places: defaultdict[str, list[Place]] = defaultdict(list)
    silent = []
    for name, each in ((n, one) for n, many in zip(names, answers, strict=True) for one in many):
        if isinstance(each, Silence):
            silent.append((name, each))
            continue
        for token_id, place in _known(name, each):
            if place.store not in {other.store for other in places[token_id]}:
                places[token_id].append(place)
    return Stock(dict(places), silent)


def _known(name: str, reading: Reading) -> Iterator[tuple[str, Place]]:
    """Return the ids that a store knows; of one that it knows twice, what matters more is first."""
    url, journal = reading.store.url, reading.found.journal
    if reading.token and reading.token.token_id:
        yield reading.token.token_id, Place(name, url, Part.HELD)
    for intent in journal.intents:
        if intent.token_id:
            yield intent.token_id, Place(name, url, Part.MINTING)
    for owed in journal.owed:
        yield owed.token_id, Place(name, url, Part.OWED, owed.due_at)
    for token_id in (journal.token_id, journal.previous_token_id):
        if token_id:
            yield token_id, Place(name, url, Part.REPLACED)
