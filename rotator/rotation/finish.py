"""Retirement: old tokens are revoked once nobody can need them any more.

Revoking stops the exchange only: as a direct bearer a token works until it expires.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from rotator.errors import RotatorError, TokenRefusedError
from rotator.recovery.holdings import Fleet
from rotator.rotation.observe import Reading, Survey
from rotator.stores.journal import Owed
from rotator.tokens import ServiceToken

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import ServiceTokens

MOST_OWED = 8
GONE = "it was gone already"
_WHOLE_SECONDS = timedelta(seconds=2)  # in which servers tell their time


class OldState(StrEnum):
    """What became of an old token, as `--json` shows it."""

    REVOKED = "revoked"
    WAITING = "waiting"
    FAILED = "failed"


class OldToken(NamedTuple):
    """An old token that is, or is to be, revoked; `message` says why it was not by this run."""

    token_id: str
    state: OldState
    due_at: datetime
    message: str | None = None


def owed_after(
    seen: Survey, replaced: Iterable[Reading], grace: timedelta | None, now: datetime
) -> tuple[Owed, ...]:
    """Return what is owed once these readings are replaced: old debts, and what stood there.

    `grace` None lets the replaced tokens expire by themselves; `now` is the server's time. Of many
    the oldest have to go early: a journal is small.
    """
    owed = {each.token_id: each for each in seen.owed}
    if grace is not None:
        ids = [reading.token.token_id for reading in replaced if reading.token]
        owed |= {each: Owed(each, now + grace) for each in ids if each and each not in owed}
    by_age = sorted(owed.values(), key=lambda each: each.due_at)
    early, rest = by_age[:-MOST_OWED], by_age[-MOST_OWED:]
    return (*(each._replace(due_at=min(now, each.due_at)) for each in early), *rest)


class Retirement:
    """Revokes what is owed for one token, never one that a store of the fleet still shows."""

    def __init__(self, fleet: Fleet, api: Callable[[], ServiceTokens]) -> None:
        self._fleet = fleet
        self._api = api
        self._proven: str | None = None

    def is_due(self, owed: Owed) -> bool:
        """Tell whether the time has come, by the server's clock where it has told it."""
        return self._api().now() + _WHOLE_SECONDS >= owed.due_at

    def hastened(self, seen: Survey) -> tuple[Owed, ...]:
        """Return all that is owed, with the token that was last replaced, as due at once."""
        previous = seen.journal.previous_token_id
        ids = [each.token_id for each in seen.owed] + ([previous] if previous else [])
        now = self._api().now()
        return tuple(Owed(token_id, now) for token_id in dict.fromkeys(ids))

    def carry_out(self, seen: Survey) -> list[OldToken]:
        """Revoke the tokens that are due; every failure becomes part of the answer."""
        return [self._one(seen, owed) for owed in seen.owed]

    def _one(self, seen: Survey, owed: Owed) -> OldToken:
        old = OldToken(owed.token_id, OldState.WAITING, owed.due_at)
        try:
            if not self.is_due(owed):
                return old
            self._prove(seen.current)
            if seen.shows(owed.token_id):
                again = "it stands in the stores again; rotate --force makes another one"
                return old._replace(message=again)
            if holders := self._holders(seen, owed.token_id):
                stores = ", ".join(sorted(holders))
                return old._replace(message=f"{stores} may still need it: renew it there, too")
            self._api().log_in()  # which tells the server's time: ours may be ahead
            if not self.is_due(owed):
                return old
            done = self._api().ensure_revoked(owed.token_id, "replaced")
        except RotatorError as error:
            message = f"{error}; the next run tries again"
            return old._replace(state=OldState.FAILED, message=message)
        return old._replace(state=OldState.REVOKED, message=None if done else GONE)

    def _prove(self, current: ServiceToken | None) -> None:
        """Raise unless the server accepts the token that is to do without the old one."""
        if current is None or current.secret == self._proven:
            return
        try:
            self._api().exchange(current.secret)
        except TokenRefusedError:
            raise TokenRefusedError(
                f"the API does not accept {current.name}, which replaced it"
            ) from None
        self._proven = current.secret

    def _holders(self, seen: Survey, token_id: str) -> frozenset[str]:
        """Return the stores that are not known to do without the token."""
        lagging = seen.silent_urls | {reading.store.url for reading in seen.behind}
        if not self._fleet.recent().holders(token_id) - seen.urls:
            return frozenset(lagging)
        return frozenset(lagging | (self._fleet.look().holders(token_id) - seen.urls))
