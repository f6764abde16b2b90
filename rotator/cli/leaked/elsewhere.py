"""Elsewhere: the other APIs of the config, one of which may list a token that leaked.

A token that moved to another API leaves its old one alive at the API that it came from: the new one
does not list it, which proves nothing then.
"""

import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from rotator.errors import RotatorError
from rotator.rotation.model import RotationContext
from rotator.rotation.observe import Snapshot
from rotator.tokens import LONGEST_VALIDITY

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import ListedToken


class Elsewhere:
    """The `others`, by name, are asked once, where a token is in question; threads may share it."""

    def __init__(self, others: Mapping[str, RotationContext]) -> None:
        self._others = others
        self._lock = threading.Lock()
        self._has_asked = False
        self._wanted: set[str] = set()
        self._listed: dict[str, tuple[str, ListedToken]] = {}
        self._failures: list[str] = []

    def look_for(self, token_ids: Collection[str]) -> "dict[str, ListedToken]":
        """Return those of the tokens that another API lists."""
        if not self._others or not token_ids:
            return {}
        with self._lock:
            self._wanted |= set(token_ids)
            if not self._has_asked:
                self._has_asked = True
                for name, context in self._others.items():
                    self._ask(name, context)
            return {each: self._listed[each][1] for each in token_ids if each in self._listed}

    def _ask(self, name: str, context: RotationContext) -> None:
        try:
            api = context.api()
            rows, now = api.list_tokens(), api.time.now()
        except RotatorError as error:
            self._failures.append(str(error))
        else:
            alive = (row for row in rows if row.expires_at > now)
            self._listed |= {row.token_id: (name, row) for row in alive}

    @property
    def doubtful(self) -> frozenset[str]:
        """The tokens that were looked for, and that an API may have which did not answer."""
        return frozenset(self._wanted - self._listed.keys() if self._failures else ())

    @property
    def alive(self) -> dict[str, str]:
        """The tokens that were looked for and found, each with the name of its API."""
        return {each: self._listed[each][0] for each in self._wanted if each in self._listed}

    def troubles(self) -> Iterator[str]:
        """Tell what is not known."""
        if unknown := ", ".join(sorted(self.doubtful)):
            for failure in self._failures:
                yield (
                    f"{failure}; until then nobody knows whether {unknown} lives there: run the"
                    " same command again"
                )

    def log_out(self) -> None:
        """End the sessions."""
        for each in self._others.values():
            with suppress(RotatorError):
                each.api.log_out()


def may_live(snapshot: Snapshot, now: datetime) -> dict[str, datetime | None]:
    """Return the tokens that the stores show, and those that their journals take for alive.

    Each has its end, None where it never ends. A journal does not tell that of a token that is to
    be revoked: the latest possible is taken.
    """
    ends: dict[str, datetime | None] = {}
    for journal in (each.journal for each in snapshot.reachable):
        ends |= {each.token_id: now + LONGEST_VALIDITY for each in journal.pending}
        ends |= dict(journal.replaced)
        ends |= dict(journal.leak.tokens if journal.leak else ())
    shown = (each.token for each in snapshot.reachable if each.token)
    ends |= {token.token_id: token.expires_at for token in shown if token.token_id}
    return {token_id: end for token_id, end in ends.items() if end is None or end > now}
