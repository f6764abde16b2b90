"""Report: what a command says of one token, built from what a rotation or a look came to.

A report becomes a line of text, a JSON object and a part of the exit code; that of a failure gets a
level (`severity`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from rotator.clock import ONE_DAY, describe_skew, in_days, in_words, minute, rfc3339_or_none
from rotator.errors import join_names, kind
from rotator.rotation.disuse import Fate, Ruling, describe_use, due_at, is_used, recall
from rotator.rotation.model import (
    CHANGED,
    GONE,
    Action,
    OldToken,
    OldTokenState,
    RotationResult,
    StoreReport,
    StoreState,
)
from rotator.rotation.observe import Observation, Snapshot, Unreachable
from rotator.rotation.policy import Status, describe_deletion, earlier
from rotator.stores.journal import PendingRevocation

MIRROR_BEHIND = "mirror-behind"
LAGGARD = "laggard"  # the failure of a look: an old token in use is soon revoked all the same
_CHANGES = (*CHANGED, Action.WOULD_ROTATE, Action.WOULD_CONVERGE)
_MIRRORS_IN_NEED = (StoreState.UNREACHABLE, StoreState.BEHIND, StoreState.ABSENT)


class Report(NamedTuple):
    """What a command says about one token; `action` is None for `check`.

    `error` joins all that went wrong, `remarks` (`notes` in JSON) all that was done besides.
    `expires_at` is aware UTC and None when eternal or unknown, like `seconds_left`. `failure` is
    the kind of the first error. `unsettled` counts, by the journals, mints that were cut off and
    old tokens that could not be revoked. `hooks_left` counts the hooks that have not worked yet,
    `attempts_left` the attempts that fit into the life of a token that could not be renewed. `api`
    is the name of its API, where there are several.
    """

    name: str
    status: Status
    reason: str
    message: str
    action: Action | None = None
    token_id: str | None = None
    previous_token_id: str | None = None
    expires_at: datetime | None = None
    seconds_left: float | None = None
    stores: tuple[StoreReport, ...] = ()
    error: str | None = None
    old_tokens: tuple[OldToken, ...] = ()
    remarks: tuple[str, ...] = ()
    level: str | None = None
    failure: str | None = None
    unsettled: int = 0
    hooks_left: int = 0
    attempts_left: int | None = None
    mirrors: tuple[StoreReport, ...] = ()
    api: str = ""

    @property
    def has_failed(self) -> bool:
        """Whether anything is wrong or unfinished, which makes the exit code of a rotation 1."""
        return self.error is not None or self.action is Action.FAILED

    @property
    def has_changes(self) -> bool:
        """Whether the run changed something, or a real one would: 3 with `--detailed-exitcode`."""
        has_revoked = any(old.state is OldTokenState.REVOKED for old in self.old_tokens)
        return self.action in _CHANGES or bool(self.remarks) or has_revoked

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints, with stable keys (docs/commands.md)."""
        left = self.seconds_left
        return {
            "name": self.name,
            **({"api": self.api} if self.api else {}),
            "status": self.status,
            "action": self.action,
            "reason": self.reason,
            "message": self.message,
            "token_id": self.token_id,
            "previous_token_id": self.previous_token_id,
            "expires_at": rfc3339_or_none(self.expires_at),
            "seconds_left": None if left is None else int(left),
            "days_left": in_days(left),
            "stores": [each._asdict() for each in self.stores],
            "mirrors": [each._asdict() for each in self.mirrors],
            "old_tokens": [old.to_json() for old in self.old_tokens],
            "notes": list(self.remarks),
            "unsettled": self.unsettled,
            "hooks_left": self.hooks_left,
            "attempts_left": self.attempts_left,
            "level": self.level,
            "failure": self.failure,
            "error": self.error,
        }


def build_report(name: str, result: RotationResult, now: datetime, api: str = "") -> Report:
    """Return the report on a token, of this `api`, by this machine's `now`.

    The failures of single stores join its `error`.
    """
    now -= result.skew
    snapshot, verdict = result.snapshot, result.verdict
    after = result.after or snapshot
    shown = result.token or snapshot.current
    end = earlier(shown.expires_at, after.ends_at(shown)) if shown else None
    left = end - now if end else None
    previous = snapshot.journal.previous_token_id
    if result.token and snapshot.current:
        previous = snapshot.current.token_id
    remarks, message = result.remarks, verdict.message
    if shown and end != shown.expires_at and left is not None and result.action in CHANGED:
        remarks = (*remarks, f"it {describe_deletion(end, in_words(left))}")
        message = remarks[-1]
    stores = _report_stores(result)
    old_tokens = (*result.old_tokens, *_report_pending(result.old_tokens, after, now))
    laggards = [old for old in old_tokens if is_ended_soon_in_use(old, now)]
    troubles = dict.fromkeys(_find_troubles(result, stores, laggards, now))
    unrevoked = [old for old in result.old_tokens if old.state is OldTokenState.FAILED]
    return Report(
        name=name,
        status=verdict.status,
        reason=verdict.reason,
        message=message,
        action=result.action,
        token_id=shown.token_id if shown else None,
        previous_token_id=previous,
        expires_at=end,
        seconds_left=left.total_seconds() if left is not None else None,
        stores=stores,
        error="; ".join(troubles) or None,
        old_tokens=old_tokens,
        remarks=remarks,
        failure=result.failure or _find_failure(result) or (LAGGARD if laggards else None),
        unsettled=len(after.intents) + len(unrevoked),
        hooks_left=len(after.hooks),
        mirrors=result.mirrors,
        api=api,
    )


def _find_troubles(
    result: RotationResult,
    stores: Iterable[StoreReport],
    laggards: Iterable[OldToken],
    now: datetime,
) -> Iterator[str]:
    """Yield all that went wrong, the reason why no step was taken first."""
    found = [result.error]
    found += [store.message for store in stores if store.status is StoreState.UNREACHABLE]
    found += [store.message for store in result.written if store.status is StoreState.BEHIND]
    found += [each.message for each in result.mirrors if each.status in _MIRRORS_IN_NEED]
    found += result.troubles
    told = [trouble for trouble in found if trouble]
    yield from told
    wrong = describe_skew(result.skew) if abs(result.skew) > ONE_DAY else None
    if wrong and not any(wrong in trouble for trouble in told):
        yield wrong
    for old in laggards:
        yield (
            f"the old token {old.token_id} is still in use, and is revoked at"
            f" {minute(old.at_most or now)} all the same: {old.message}"
        )


def _report_stores(result: RotationResult) -> tuple[StoreReport, ...]:
    """Return what each store holds: as it was seen at first, unless the run has written it."""
    snapshot = result.snapshot
    stores = {each.store.url: _report_store(each, snapshot) for each in snapshot.answers}
    stores |= {report.store: report for report in result.written}
    return tuple(stores.values())


def _report_pending(
    dealt_with: Iterable[OldToken], after: Snapshot, now: datetime
) -> Iterator[OldToken]:
    """Yield the old tokens that wait for their time, the next one first."""
    ids = {old.token_id for old in dealt_with}
    for pending in sorted(after.pending, key=lambda each: each.due_at):
        if pending.token_id in ids:
            continue
        if pending.disuse is None:
            yield OldToken(pending.token_id, OldTokenState.WAITING, pending.due_at)
        else:
            yield report_ruling(pending, recall(pending, pending.disuse, now), after)


def is_ended_soon_in_use(old: OldToken, now: datetime) -> bool:
    """Tell whether somebody uses an old token that is revoked within a day all the same."""
    return old.is_in_use and old.at_most is not None and now >= old.at_most - ONE_DAY


def report_ruling(pending: PendingRevocation, ruling: Ruling, snapshot: Snapshot) -> OldToken:
    """Return what is to be said of an old token that ends when it is unused."""
    disuse, message = ruling.disuse, ruling.why
    match ruling.fate:
        case Fate.GONE:
            state, message = OldTokenState.REVOKED, GONE
        case Fate.ENDED:
            state = OldTokenState.EXPIRED
        case Fate.IN_USE:
            holders = [e.store.url for e in snapshot.reachable if e.shows(snapshot.current)]
            state, message = OldTokenState.IN_USE, describe_use(disuse, holders)
        case Fate.UNKNOWN if is_used(disuse):
            state = OldTokenState.IN_USE
        case _:
            state = OldTokenState.WAITING
    return OldToken(
        pending.token_id,
        state,
        due_at(pending, disuse),
        message,
        disuse.used_at,
        pending.due_at if disuse.is_bounded else None,
        ends_unused=True,
    )


def _find_failure(result: RotationResult) -> str | None:
    if result.snapshot.unreachable:
        return kind(result.snapshot.unreachable[0].error)
    if any(each.status is StoreState.BEHIND for each in result.written):
        return "store-behind"
    if any(each.status is StoreState.UNREACHABLE for each in result.mirrors):
        return "mirror-unreachable"
    if any(each.status in _MIRRORS_IN_NEED for each in result.mirrors):
        return MIRROR_BEHIND
    return "unfinished" if result.troubles else None


def _report_store(answer: Observation | Unreachable, snapshot: Snapshot) -> StoreReport:
    url = answer.store.url
    if isinstance(answer, Unreachable):
        return StoreReport(url, StoreState.UNREACHABLE, str(answer.error))
    if answer.shows(snapshot.current):
        return StoreReport(url, StoreState.CURRENT)
    if answer.secret is None:
        return StoreReport(url, StoreState.ABSENT)
    message = str(answer.fault) if answer.fault else "holds another token than the current one"
    return StoreReport(url, StoreState.BEHIND, message)


# In words


def summarize(report: Report) -> str:
    needy = (StoreState.BEHIND, StoreState.ABSENT)
    in_need = ", ".join(each.store for each in report.stores if each.status in needy)
    written = ", ".join(s.store for s in report.stores if s.status is StoreState.WRITTEN)
    reachable = (s.store for s in report.stores if s.status is not StoreState.UNREACHABLE)
    match report.action:
        case None:
            what = f"{report.status} – {report.message}"
            # The places where the token was looked for in vain.
            if report.status in (Status.MISSING, Status.INVALID) or report.reason == "behind":
                what += f": {in_need}"
        case Action.ROTATED:
            life = "valid for ever"
            if report.expires_at:
                life = f"valid for {remaining_life(report)} (until {minute(report.expires_at)})"
            what = f"rotated ({report.reason}) – new token {report.token_id}, {life}, in {written}"
        case Action.CONVERGED:
            what = f"converged – {report.message}; copied to {written or 'no store'}"
        case Action.WOULD_ROTATE:
            what = f"would-rotate – {report.message}; stores: {', '.join(reachable)}"
        case Action.WOULD_CONVERGE:
            what = f"would-converge – {report.message}; stores: {in_need}"
        case action:
            what = f"{action} – {report.message}"
    parts = (*report.remarks, *_describe_mirrors(report), *describe_old_tokens(report))
    return "; ".join((f"{report.name}: {what}", *parts))


def _describe_mirrors(report: Report) -> Iterator[str]:
    """Tell of a look what it cannot know: a place that takes a token, and does not show it."""
    for mirror in report.mirrors if report.action is None else ():
        if mirror.status is StoreState.CURRENT and mirror.message:
            yield f"{mirror.store}: {mirror.message}"


def describe_old_tokens(report: Report) -> Iterator[str]:
    """Tell of old tokens what is done, and after a rotation what is planned."""
    revoked = [old for old in report.old_tokens if old.state is OldTokenState.REVOKED]
    if now := [old.token_id for old in revoked if not old.message]:
        yield f"revoked: {', '.join(now)} (no longer exchanged; as a bearer valid until its end)"
    if gone := [old.token_id for old in revoked if old.message == GONE]:
        yield f"gone already: {', '.join(gone)}"
    for old in revoked:
        if old.message not in (None, GONE):
            yield f"the old token {old.token_id}: {old.message}"
    if ended := [o.token_id for o in report.old_tokens if o.state is OldTokenState.EXPIRED]:
        yield f"ended by itself: {', '.join(ended)}"
    for old in report.old_tokens:
        if old.is_in_use:
            yield f"the old token {old.token_id} is still in use: {old.message}"
    planned = [o for o in report.old_tokens if o.state is OldTokenState.WAITING and not o.message]
    if planned and report.action in CHANGED:
        last = max(planned, key=lambda old: old.due_at)
        more = f", and {len(planned) - 1} older before that" if len(planned) > 1 else ""
        unused = " if nobody uses it until then" if last.ends_unused else ""
        when = f"from {minute(last.due_at)} on"
        yield f"the old token {last.token_id} is revoked {when}{unused}{more}"


def remaining_life(report: Report) -> str:
    if report.seconds_left is None:
        return "for ever" if report.status is Status.ETERNAL else "–"
    left = in_words(timedelta(seconds=report.seconds_left))
    return left if report.seconds_left > 0 else f"over for {left}"


# Many failures

_ALIKE = 4  # from so many on, one line tells of them all
_OWN = re.compile(r"\S*[/\d]\S*")  # URLs, ids, times and counts


def group_by_cause(reports: Iterable[Report]) -> list[list[Report]]:
    """Return the failed reports, together where their errors differ by URLs, ids and numbers."""
    groups: defaultdict[tuple[str | None, ...], list[Report]] = defaultdict(list)
    for report in reports:
        if report.error:
            cause = _OWN.sub("", report.error.replace(report.name, ""))
            groups[report.level, report.failure, cause].append(report)
    return list(groups.values())


def describe_others(group: Sequence[Report]) -> str | None:
    """Return a clause about all but the first of a group, None where each is told by itself."""
    if len(group) < _ALIKE:
        return None
    others = [report.name for report in group[1:]]
    return f"the same with {len(others)} others: {join_names(others)}"
