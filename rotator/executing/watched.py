"""One token and its stores, looked at again and again: what the child should hold."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from rotator.errors import StoreError
from rotator.rotation.observe import Reading, Silence, Survey, look, surveyed
from rotator.stores.port import SecretStore
from rotator.stores.readonly import lack_of, lives
from rotator.tokens import ServiceToken

_log = logging.getLogger(__name__)


class Watched:
    """Remembers what each store said last, so that one that goes silent takes nothing back."""

    def __init__(self, name: str, stores: Sequence[SecretStore]) -> None:
        self._name = name
        self._stores = stores
        self._last: dict[str, Reading | Silence] = {}
        self._token: ServiceToken | None = None
        self._told: frozenset[str] = frozenset()

    def look(self, now: datetime) -> ServiceToken:
        """Return the current live token, or the last one where the stores show none any more.

        What is wrong is told once. Raises `StoreError` when there has never been a token.
        """
        answers = [look(store) for store in self._stores]
        for answer in answers:
            if isinstance(answer, Reading) or answer.store.url not in self._last:
                self._last[answer.store.url] = answer
        seen = surveyed(self._last.values(), now)
        live = seen.current if seen.current and lives(seen.current, now) else None
        troubles = dict([*_silences(answers), *(() if live else _lacks(seen, now))])
        self._token = live or self._token
        if self._token is None:
            raise StoreError(f"{self._name}: {'; '.join(troubles.values())}")
        self._tell(troubles)
        return self._token

    def _tell(self, troubles: dict[str, str]) -> None:
        for kind, trouble in troubles.items():
            if kind not in self._told:
                text = "%s: %s; the program goes on with the token that it has"
                _log.warning(text, self._name, trouble)
        if self._told and not troubles:
            _log.info("%s: its stores are in order again", self._name)
        self._told = frozenset(troubles)


def _silences(answers: Iterable[Reading | Silence]) -> Iterator[tuple[str, str]]:
    """Return what is wrong, by a word for its kind: the text may differ each time."""
    for answer in answers:
        if isinstance(answer, Silence):
            yield f"silent {answer.store.url}", str(answer.error)


def _lacks(seen: Survey, now: datetime) -> Iterator[tuple[str, str]]:
    for reading in seen.reachable:
        lack = lack_of(reading, now)
        yield f"{lack.reason} {reading.store.url}", lack.message
