"""From what a rotation saw and did to a report, and from a report to a line."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from rotator.clock import in_words, minute
from rotator.errors import kind
from rotator.rotation.model import (
    CHANGED,
    Action,
    OldTokenState,
    Report,
    RotationResult,
    StoreReport,
    StoreState,
)
from rotator.rotation.observe import Observation, Snapshot, Unreachable
from rotator.rotation.policy import Status


def build_report(name: str, result: RotationResult, now: datetime) -> Report:
    """Return the report on a token; the failures of single stores join its `error`."""
    snapshot, verdict, token = result.snapshot, result.verdict, result.token
    stores = {each.store.url: _store_report(each, snapshot) for each in snapshot.answers}
    stores |= {report.store: report for report in result.written}
    troubles = [result.error]
    troubles += [r.message for r in stores.values() if r.status is StoreState.UNREACHABLE]
    troubles += [report.message for report in result.written if report.status is StoreState.BEHIND]
    troubles += result.troubles
    shown = token or snapshot.current
    left = shown.remaining(now) if shown else None
    previous = snapshot.journal.previous_token_id
    if token and snapshot.current:
        previous = snapshot.current.token_id
    unrevoked = [old for old in result.old_tokens if old.state is OldTokenState.FAILED]
    after = result.after or snapshot
    return Report(
        name=name,
        status=verdict.status,
        reason=verdict.reason,
        message=verdict.message,
        action=result.action,
        token_id=shown.token_id if shown else None,
        previous_token_id=previous,
        expires_at=shown.expires_at if shown else None,
        seconds_left=left.total_seconds() if left is not None else None,
        stores=tuple(stores.values()),
        error="; ".join(dict.fromkeys(trouble for trouble in troubles if trouble)) or None,
        old_tokens=result.old_tokens,
        notes=result.notes,
        failure=result.failure or _find_failure(result),
        orphans=len(after.intents) + len(unrevoked),
        hooks_left=len(after.hooks),
    )


def _find_failure(result: RotationResult) -> str | None:
    if result.snapshot.unreachable:
        return kind(result.snapshot.unreachable[0].error)
    if any(each.status is StoreState.BEHIND for each in result.written):
        return "store-behind"
    return "unfinished" if result.troubles else None


def _store_report(answer: Observation | Unreachable, snapshot: Snapshot) -> StoreReport:
    url = answer.store.url
    if isinstance(answer, Unreachable):
        return StoreReport(url, StoreState.UNREACHABLE, str(answer.error))
    if answer.holds(snapshot.current):
        return StoreReport(url, StoreState.CURRENT)
    if answer.secret is None:
        return StoreReport(url, StoreState.ABSENT)
    message = str(answer.fault) if answer.fault else "holds another token than the current one"
    return StoreReport(url, StoreState.BEHIND, message)


def summarize(report: Report) -> str:
    """Return one token's result as a line."""
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
    return "; ".join((f"{report.name}: {what}", *report.notes, *describe_old_tokens(report)))


def describe_old_tokens(report: Report) -> Iterator[str]:
    """Tell of old tokens what is done, and after a rotation what is planned."""
    revoked = [old for old in report.old_tokens if old.state is OldTokenState.REVOKED]
    if now := [old.token_id for old in revoked if not old.message]:
        yield f"revoked: {', '.join(now)} (no longer exchanged; as a bearer valid until its end)"
    if gone := [old.token_id for old in revoked if old.message]:
        yield f"gone already: {', '.join(gone)}"
    planned = [o for o in report.old_tokens if o.state is OldTokenState.WAITING and not o.message]
    if planned and report.action in CHANGED:
        last = max(planned, key=lambda old: old.due_at)
        more = f" (and {len(planned) - 1} before)" if len(planned) > 1 else ""
        yield f"the old token {last.token_id} is revoked from {minute(last.due_at)} on{more}"


def remaining_life(report: Report) -> str:
    """Return how long the token lives, in words."""
    if report.seconds_left is None:
        return "for ever" if report.status is Status.ETERNAL else "–"
    left = in_words(timedelta(seconds=report.seconds_left))
    return left if report.seconds_left > 0 else f"over for {left}"
