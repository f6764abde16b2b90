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

from rotator.clock import ONE_DAY, SLACK, in_words, minute
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
    """A fate, and the disuse as it is to be noted; `why` says what keeps it from being known.

    `is_odd` says that somebody has to look after that. `silence` is for how long nobody had used
    the token before its last use, if that use is an alarm.
    """

    fate: Fate
    disuse: Disuse
    why: str | None = None
    is_odd: bool = False
    silence: timedelta | None = None


def owe(token: ServiceToken, retire: Unused, now: datetime) -> PendingRevocation:
    """Return the pending revocation of a token that is replaced at `now`, the server's time."""
    end = _whole(min(token.expires_at or FAR, FAR))
    most = _whole(now) + retire.at_most if retire.at_most else end
    disuse = Disuse(retire.quiet, is_bounded=most < end)
    return PendingRevocation(token.token_id or "", min(most, end), disuse)


def begin(disuse: Disuse, now: datetime) -> Disuse:
    """Return what is known once every store shows the new token, at `now` by the server's clock."""
    return disuse._replace(since=_whole(now) + _SECOND, is_hushed=False)


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
    before = disuse
    disuse, oddity = _with_use(before, rows, taken_at)
    if oddity:
        return Ruling(Fate.OVERDUE if is_due else Fate.UNKNOWN, disuse, oddity, is_odd=True)
    silence = _find_silence(before, disuse)
    if taken_at - _last(disuse, taken_at) >= disuse.quiet:
        return Ruling(Fate.UNUSED, disuse, silence=silence)
    disuse = _hush(disuse, taken_at)
    if is_due:
        return Ruling(Fate.OVERDUE, disuse, silence=silence)
    return Ruling(Fate.IN_USE if is_used(disuse) else Fate.QUIET, disuse, silence=silence)


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


def describe_late_use(token_id: str, disuse: Disuse, silence: timedelta) -> str:
    """Say that a use is an alarm."""
    used = minute(disuse.used_at) if disuse.used_at else "now"
    return (
        f"the old token {token_id} was used at {used}, after nobody had used it for"
        f" {in_words(silence)}: a bot that seldom wakes has not moved to the new one, or somebody"
        " else has a copy; if no bot of yours did it, the token has leaked"
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
        disuse = _note_use(disuse, _whole(used))
    return disuse, None


def _note_use(disuse: Disuse, used_at: datetime) -> Disuse:
    """Return what is known after a use; the longest pause so far is one between two such uses."""
    pauses = [disuse.pause] if disuse.pause else []
    if is_used(disuse) and disuse.used_at:
        pauses.append(used_at - disuse.used_at)
    noted = disuse._replace(used_at=used_at, is_hushed=False)
    if silence := _find_silence(disuse, noted):
        pauses += [silence, ONE_DAY]  # so a token is told of once a day at most
    return noted._replace(pause=max(pauses, default=None))


def _find_silence(before: Disuse, after: Disuse) -> timedelta | None:
    """Return how long nobody had used a token before a use that ends an unusual silence."""
    if not before.is_hushed or after.used_at == before.used_at or not is_used(after):
        return None
    last = max(each for each in (before.since, before.used_at) if each)
    return after.used_at - last if after.used_at else None


def _hush(disuse: Disuse, now: datetime) -> Disuse:
    """Note that nobody has used a token for much longer than its users ever paused.

    How long they paused before the token was replaced is not known: the rotator itself used it.
    """
    usual = 2 * disuse.pause if disuse.pause else disuse.quiet / 2
    return disuse._replace(is_hushed=disuse.is_hushed or now - _last(disuse, now) > usual)


def _last(disuse: Disuse, now: datetime) -> datetime:
    since = disuse.since or now
    # Whole seconds are noted: the use may have been a moment later.
    return max(since, disuse.used_at + _SECOND) if disuse.used_at else since


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
