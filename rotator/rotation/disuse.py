"""Disuse: the proof that nobody needs an old token any more, out of the API's list of tokens.

Revoking stops the exchange only, and only the exchange moves a token's `last_used_at`. So revoking
hurts nobody where a token has been quiet for long enough since every store shows the new one. All
here is arithmetic over what was read before; what proves nothing revokes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from rotator.clock import SLACK, in_words, minute
from rotator.config.settings import Unused
from rotator.stores.journal import FAR, Disuse, PendingRevocation

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import ListedToken, UsageList
    from rotator.tokens import ServiceToken

_SECOND = timedelta(seconds=1)
_WHOLE_SECONDS = timedelta(seconds=2)  # the precision of the server's time


class Fate(StrEnum):
    """What is to become of an old token now: `UNUSED` and `OVERDUE` ones are revoked."""

    QUIET = "quiet"  # nobody uses it, but not for long enough yet
    IN_USE = "in use"
    UNKNOWN = "unknown"
    UNUSED = "unused"
    OVERDUE = "overdue"  # it has had the most time that it may have
    ENDED = "ended"
    GONE = "gone"


class Ruling(NamedTuple):
    """A fate, and the disuse as it is to be noted; `why` says what keeps it from being known."""

    fate: Fate
    disuse: Disuse
    why: str | None = None
    is_odd: bool = False  # somebody has to look after it


def owe(token: ServiceToken, retire: Unused, now: datetime) -> PendingRevocation:
    """Return the pending revocation of a token that is replaced at `now`, the server's time."""
    end = _whole(min(token.expires_at or FAR, FAR))
    most = _whole(now) + retire.at_most if retire.at_most else end
    disuse = Disuse(retire.quiet, is_bounded=most < end)
    return PendingRevocation(token.token_id or "", min(most, end), disuse)


def begin(disuse: Disuse, now: datetime) -> Disuse:
    """Return what is known once every store shows the new token, at `now` by the server's clock."""
    return disuse._replace(since=_whole(now) + _SECOND)


def judge(pending: PendingRevocation, disuse: Disuse, usage: UsageList, now: datetime) -> Ruling:
    """Decide about an old token that no store shows any more, at `now` by the server's clock.

    It has been quiet up to the moment of the list: who uses it between that and the revocation
    paused for longer than anybody may.
    """
    if not usage.is_dated:
        return Ruling(Fate.UNKNOWN, disuse, _NOT_DATED, is_odd=True)
    if disuse.since is None or usage.taken_at < disuse.since:
        return Ruling(Fate.QUIET, disuse)  # an older list may lack even the token itself
    rows = usage.rows.get(pending.token_id, ())
    return _judge_rows(rows, pending, disuse, usage.taken_at, now)


def _judge_rows(
    rows: Sequence[ListedToken],
    pending: PendingRevocation,
    disuse: Disuse,
    taken_at: datetime,
    now: datetime,
) -> Ruling:
    is_due = is_over(pending, now)
    if is_due and not disuse.is_bounded:
        return Ruling(Fate.ENDED, disuse)
    if not rows:
        return Ruling(Fate.GONE, disuse)
    disuse, oddity = _with_use(disuse, rows, taken_at)
    if oddity:
        return Ruling(Fate.OVERDUE if is_due else Fate.UNKNOWN, disuse, oddity, is_odd=True)
    if taken_at - _last(disuse, taken_at) >= disuse.quiet:
        return Ruling(Fate.UNUSED, disuse)
    if is_due:
        return Ruling(Fate.OVERDUE, disuse)
    return Ruling(Fate.IN_USE if is_used(disuse) else Fate.QUIET, disuse)


def recall(pending: PendingRevocation, disuse: Disuse, now: datetime) -> Ruling:
    """Return what the journal alone says of an old token at `now`, the server's time."""
    if is_over(pending, now):
        return Ruling(Fate.OVERDUE if disuse.is_bounded else Fate.ENDED, disuse)
    return Ruling(Fate.IN_USE if is_used(disuse) else Fate.QUIET, disuse)


def is_used(disuse: Disuse) -> bool:
    """Tell whether it was used after every store showed the new token."""
    if disuse.since is None or disuse.used_at is None:
        return False
    return disuse.used_at > disuse.since + SLACK


def is_over(pending: PendingRevocation, now: datetime) -> bool:
    """Tell whether a pending revocation is due, at `now` by the server's clock."""
    return now + _WHOLE_SECONDS >= pending.due_at


def due_at(pending: PendingRevocation, disuse: Disuse) -> datetime:
    """Return from when on the token is revoked if nobody uses it any more."""
    if disuse.since is None:
        return pending.due_at
    return min(_last(disuse, disuse.since) + disuse.quiet + _SECOND, pending.due_at)


def describe_use(disuse: Disuse, stores: Sequence[str]) -> str:
    """Say when the old token was last used, and what helps; the `stores` show the new one."""
    if disuse.used_at is None or disuse.since is None:
        return "it was not used since every store shows the new one"
    show = "show" if len(stores) > 1 else "shows"
    return (
        f"it was last used {minute(disuse.used_at)}, though {', '.join(stores)} {show} the new one"
        f" since {minute(disuse.since)}: restart a bot that reads it only when it starts, or let"
        " rotator exec do that"
    )


_NOT_DATED = (
    "the API's list does not show, or dates wrongly, a use of the current token a moment before:"
    " rotator doctor compares the API's clocks"
)


def _with_use(
    disuse: Disuse, rows: Sequence[ListedToken], now: datetime
) -> tuple[Disuse, str | None]:
    """Return what is known with this row of the list, and why that proves nothing, if so."""
    used, known = rows[0].last_used_at, disuse.used_at
    if len(rows) > 1:
        return disuse, "the API's list has it twice"
    if used is not None and used > now + SLACK:
        return disuse, f"its last use is dated {minute(used)}, which is yet to come"
    if used is not None and used < rows[0].created_at - SLACK:
        return disuse, f"its last use is dated {minute(used)}, before it was made"
    if known is not None and (used is None or used < known - SLACK):
        # A database that was restored has lost the uses since its backup.
        then = minute(used) if used else "never"
        restarted = begin(disuse, now)._replace(used_at=used and _whole(used))
        return restarted, (
            f"its last use was {minute(known)}, and is {then} now: {in_words(disuse.quiet)} without"
            " use begin anew"
        )
    if used is not None and (known is None or _whole(used) > known):
        disuse = disuse._replace(used_at=_whole(used))
    return disuse, None


def _last(disuse: Disuse, now: datetime) -> datetime:
    since = disuse.since or now
    # Whole seconds are noted: the use may have been a moment later.
    return max(since, disuse.used_at + _SECOND) if disuse.used_at else since


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
