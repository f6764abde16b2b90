"""Policy: an ordered chain of pure checks over what was observed.

The first check that objects gives the verdict. All I/O happens before; the time is a value.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from rotator.clock import ONE_DAY, in_words, minute
from rotator.errors import MalformedTokenError
from rotator.stores.journal import Leak
from rotator.tokens import ServiceToken

# A younger token is not renewed unless forced: another mint would not help it.
TOO_YOUNG = timedelta(hours=1)
CAN_WAIT = ("expiring", "scope")
_STOP = "stop that, or let it leave this value alone"


@dataclass(frozen=True, slots=True)
class RotateOptions:
    """What a run is asked for by hand; `eternal`, `validity` and `scope` shape a new token.

    `revoke_old` revokes old tokens now: one of them leaked. `leak` is noted beside a new token.
    With `hold_back` a token that can wait for a later run is not renewed. `shared` are the
    workloads and the URLs of notices that other tokens of the run have, too: they are left to its
    end, where `fleet.finish_together` restarts and tells each once.
    """

    force: bool = False
    dry_run: bool = False
    eternal: bool = False
    validity: timedelta | None = None
    scope: str | None = None
    revoke_old: bool = False
    leak: Leak | None = None
    hold_back: bool = False
    shared: frozenset[str] = field(default=frozenset(), repr=False)


class Status(StrEnum):
    """The state of a token, as `--json` shows it."""

    OK = "ok"
    DUE = "due"
    EXPIRED = "expired"
    MISSING = "missing"
    INVALID = "invalid"
    REFUSED = "refused"
    ETERNAL = "eternal"
    UNKNOWN = "unknown"


class Need(StrEnum):
    """What a verdict asks for: nothing, a new token, a copy to the stores behind, or to wait.

    With `HELP` a person has to act first: a rotation would do no good, and fails.
    """

    NOTHING = "nothing"
    MINT = "mint"
    COPY = "copy"
    PATIENCE = "patience"
    HELP = "help"


class PutBack(NamedTuple):
    """An old token in a store, into which somebody put it back in the place of `lost_id`.

    `changed_at` is when, and `owner` who owns the secret there, as far as the store tells.
    `is_lost` tells that no store shows the newer token, `is_repeated` that it happened before.
    """

    store: str
    token_id: str
    lost_id: str
    is_lost: bool
    is_repeated: bool = False
    changed_at: datetime | None = None
    owner: str | None = None

    @property
    def message(self) -> str:
        """What happened, and who must have done it."""
        at = f" (last changed {minute(self.changed_at)})" if self.changed_at else ""
        owner = f"{self.owner} writes it" if self.owner else "something else writes this secret"
        again = " again" if self.is_repeated else ""
        return (
            f"the old token {self.token_id} was put back{again} into {self.store} in the place of"
            f" {self.lost_id}{at}; {owner}"
        )


@dataclass(frozen=True)
class Inputs:
    """Everything a verdict depends on.

    `token` is the current one, None where no store holds a readable token; `fault` then says what
    is wrong with the text there. `scope` is None unless configured; `refused` is the server's
    answer; `lacking` counts the stores that do not hold the current one. `put_back` is the first
    store, if any, into which somebody put an old token. `ends_at` is when the first store deletes
    the token by itself, as Vault does after `delete_version_after`.
    """

    now: datetime
    renew_before: timedelta
    token: ServiceToken | None = None
    fault: MalformedTokenError | None = None
    scope: str | None = None
    refused: bool = False
    minted_at: datetime | None = None
    lacking: int = 0
    forced: bool = False
    put_back: PutBack | None = None
    hold_back: bool = False
    ends_at: datetime | None = None

    @cached_property
    def left(self) -> timedelta | None:
        """The exact life left; None without a token, and of an eternal one."""
        return self.end - self.now if self.end else None

    @cached_property
    def end(self) -> datetime | None:
        """When the token or what a store holds of it ends, whichever is first."""
        return earlier(self.token.expires_at, self.ends_at) if self.token else None

    @property
    def is_deleted_before(self) -> bool:
        """Whether a store deletes the token before it expires."""
        return self.end is not None and self.end == self.ends_at


def earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the earlier of two moments, of which None is never."""
    if one is None or other is None:
        return one or other
    return min(one, other)


class Verdict(NamedTuple):
    """A status, a machine-readable reason, a sentence, and what the rotation needs to do."""

    status: Status
    reason: str
    message: str
    need: Need


def decide(inputs: Inputs) -> Verdict:
    verdict = next(found for check in CHAIN if (found := check(inputs)))
    young = inputs.minted_at and timedelta() <= inputs.now - inputs.minted_at < TOO_YOUNG
    # A refused token is useless, however young.
    can_be_too_young = verdict.need is Need.MINT and verdict.status is not Status.REFUSED
    if inputs.hold_back and verdict.reason in CAN_WAIT and not inputs.forced:
        message = f"{verdict.message}; left for a later run, as at_most permits no more in this one"
        return verdict._replace(need=Need.PATIENCE, message=message)
    if can_be_too_young and young and not inputs.forced:
        why = "left alone, since it was minted less than an hour ago (--force renews it)"
        message = f"{verdict.message}; {why}"
        return verdict._replace(need=Need.PATIENCE, message=message)
    return verdict


def _missing(inputs: Inputs) -> Verdict | None:
    if inputs.token or inputs.fault:
        return None
    return Verdict(Status.MISSING, "missing", "there is no token", Need.MINT)


def _malformed(inputs: Inputs) -> Verdict | None:
    if inputs.token or not inputs.fault:
        return None
    return Verdict(Status.INVALID, inputs.fault.reason, str(inputs.fault), Need.MINT)


def _put_back(inputs: Inputs) -> Verdict | None:
    found = inputs.put_back
    if not found or not found.is_lost or inputs.forced:
        return None
    dead = _refused(inputs) or _expired(inputs)
    status = dead.status if dead else Status.DUE
    if found.is_repeated:
        # Another token would be lost as well: they would become more with each run.
        message = f"{found.message}: {_STOP}, then run rotate --force; no other token is minted"
        return Verdict(status, "put_back", message, Need.HELP)
    message = f"{found.message}: {_STOP}; it is replaced once, and not a second time"
    return Verdict(status, "put_back", message, Need.MINT)


def _no_token_id(inputs: Inputs) -> Verdict | None:
    if not inputs.token or inputs.token.token_id:
        return None
    message = "the token has no usable token_id, without which the API never exchanges it"
    return Verdict(Status.INVALID, "no_token_id", message, Need.MINT)


def _refused(inputs: Inputs) -> Verdict | None:
    if not inputs.refused:
        return None
    message = "the server does not accept this token (revoked, or signed with another key)"
    return Verdict(Status.REFUSED, "refused", message, Need.MINT)


def _deleted(inputs: Inputs) -> Verdict | None:
    if not inputs.is_deleted_before or inputs.left is None or inputs.left > timedelta():
        return None
    message = f"is being deleted by a store that holds it, since {_expiry(inputs)}"
    return Verdict(Status.EXPIRED, "deleted", message, Need.MINT)


def _expired(inputs: Inputs) -> Verdict | None:
    # RFC 7519, section 4.1.4: not accepted "on or after" the expiry.
    if inputs.left is None or inputs.left > timedelta():
        return None
    message = f"expired {in_words(inputs.left)} ago ({_expiry(inputs)})"
    return Verdict(Status.EXPIRED, "expired", message, Need.MINT)


def _last_day(inputs: Inputs) -> Verdict | None:
    if inputs.left is None or inputs.left >= min(ONE_DAY, inputs.renew_before):
        return None
    how = "is deleted by a store" if inputs.is_deleted_before else "expires"
    message = f"{how} within the day, in {in_words(inputs.left)} ({_expiry(inputs)})"
    return Verdict(Status.DUE, "last_day", message, Need.MINT)


def _expiring(inputs: Inputs) -> Verdict | None:
    if inputs.left is None or inputs.left >= inputs.renew_before:
        return None
    return Verdict(Status.DUE, "expiring", _life(inputs), Need.MINT)


def _other_scope(inputs: Inputs) -> Verdict | None:
    if not inputs.token or inputs.scope in (None, inputs.token.scope):
        return None
    message = f"the token's scope is not the configured {inputs.scope!r}"
    return Verdict(Status.DUE, "scope", message, Need.MINT)


def _forced(inputs: Inputs) -> Verdict | None:
    if not inputs.forced:
        return None
    return Verdict(Status.DUE, "forced", "a new token was asked for", Need.MINT)


def _behind(inputs: Inputs) -> Verdict | None:
    if not inputs.lacking:
        return None
    if inputs.put_back:
        message = f"{inputs.put_back.message}: {_STOP}; the newer token takes its place again"
        return Verdict(Status.DUE, "put_back", message, Need.COPY)
    stores = "store does" if inputs.lacking == 1 else "stores do"
    message = f"{inputs.lacking} {stores} not hold the current token"
    return Verdict(Status.DUE, "behind", message, Need.COPY)


def _eternal(inputs: Inputs) -> Verdict | None:
    if inputs.left is not None:
        return None
    return Verdict(Status.ETERNAL, "eternal", "never expires", Need.NOTHING)


def _fine(inputs: Inputs) -> Verdict | None:
    return Verdict(Status.OK, "ok", _life(inputs), Need.NOTHING)


def _expiry(inputs: Inputs) -> str:
    return minute(inputs.end) if inputs.end else ""


def _life(inputs: Inputs) -> str:
    left, limit = in_words(inputs.left or timedelta()), in_words(inputs.renew_before)
    if inputs.is_deleted_before:
        return f"{describe_deletion(inputs.end, left)}; renewed below {limit}"
    return f"expires in {left} ({_expiry(inputs)}); renewed below {limit}"


def describe_deletion(end: datetime | None, left: str) -> str:
    """Say that a store deletes the token before it expires."""
    when = minute(end) if end else ""
    return (
        f"is gone in {left} ({when}), when a store deletes it, before it expires (see"
        " delete_version_after in Vault)"
    )


CHAIN: tuple[Callable[[Inputs], Verdict | None], ...] = (
    _missing,  # no store holds anything
    _malformed,  # wrapped, garbage, or another kind of token: useless to a bot
    _put_back,  # before all that would be repaired by a new one
    _no_token_id,  # a service token in all but the id, by which the API looks it up
    _refused,  # the server's answer counts more than the claims
    _deleted,  # a store says so itself; before the token's own end
    _expired,
    _last_day,  # "0 days left" is the most urgent of the live ones
    _expiring,
    _other_scope,
    _forced,
    _behind,  # the token is good: copying it is enough
    _eternal,
    _fine,  # objects to nothing, so that there always is a verdict
)
