"""All that is known of a token, as HTML."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from rotator.clock import in_words, minute
from rotator.daemon.rows import Row, moment
from rotator.daemon.states import Card, Look
from rotator.page.markup import Html, element, joined
from rotator.rotation.model import CHANGED, Report


def details(row: Row, now: datetime) -> Html:
    """Return what is shown when a token is unfolded."""
    if row.card is None:
        return element("div", element("p", "It was not looked at yet."), class_="details")
    report = row.card.last.report
    return element(
        "div",
        element("p", report.message, class_="message"),
        _facts(_known(row, row.card, now)),
        _stores(report),
        _history(row.card, now),
        class_="details",
    )


def when(at: datetime | None, now: datetime, *, never: str) -> Html:
    """Return a moment as a time, and in words."""
    if at is None:
        return joined(never)
    exact = element("time", minute(at), datetime=at.isoformat(timespec="seconds"))
    return joined(exact, element("span", f" · {moment(at, now)}", class_="ago"))


def _known(row: Row, card: Card, now: datetime) -> Iterable[tuple[str, str]]:
    last, report = card.last, card.last.report
    yield "Token id", element("code", report.token_id) if report.token_id else "none"
    yield "Expires", when(report.expires_at, now, never="never" if row.bar.life else "–")
    if row.renews_at and row.renews_at > now:
        yield "To be renewed", when(row.renews_at, now, never="")
    yield "Last look", when(last.ended_at, now, never="")
    yield "It took", _span(last.ended_at - last.begun_at)
    yield "Next look", when(last.next_at, now, never="none is planned")
    yield "Last without a failure", when(card.succeeded_at, now, never="none yet")
    yield "Last renewal", when(card.rotated_at, now, never="none yet")
    if report.previous_token_id:
        yield "Replaced", element("code", report.previous_token_id)
    if card.rotations:
        yield "Renewals", _counts(card.rotations)
    if card.failures:
        yield "Failures", _counts(card.failures)
    if report.attempts_left is not None:
        yield "Attempts left", str(report.attempts_left)
    if report.hooks_left:
        yield "Hooks to be repeated", str(report.hooks_left)
    if report.orphans:
        yield "Orphans", str(report.orphans)
    for old in report.old_tokens:
        told = f" {old.state}; to be revoked from {minute(old.due_at)} on"
        yield "Old token", joined(element("code", old.token_id), told)
    for note in report.notes:
        yield "Finished as well", note


def _facts(known: Iterable[tuple[str, str]]) -> Html:
    pairs = [element("div", element("dt", key), element("dd", value)) for key, value in known]
    return element("dl", *pairs)


def _stores(report: Report) -> Html:
    if not report.stores:
        return Html()
    troubled = any(store.message for store in report.stores)
    lines = [
        element(
            "tr",
            element("td", element("code", store.store)),
            element("td", store.status, class_="what"),
            element("td", store.message or "–") if troubled else "",
        )
        for store in report.stores
    ]
    return _table("Stores", ("store", "token", "trouble")[: 3 if troubled else 2], lines)


def _history(card: Card, now: datetime) -> Html:
    if not card.history:
        return Html()
    lines = [_event(look, now) for look in card.history]
    return _table("History", ("when", "what", "why"), lines)


def _event(look: Look, now: datetime) -> Html:
    report = look.report
    what = str(report.action) if report.action in CHANGED else f"failed: {report.failure}"
    return element(
        "tr",
        element("td", when(look.ended_at, now, never="")),
        element("td", what, class_="what"),
        element("td", report.error or f"{report.message} ({report.reason})"),
    )


def _table(title: str, columns: tuple[str, ...], lines: list[Html]) -> Html:
    head = element("tr", *(element("th", column, scope="col") for column in columns))
    return element(
        "table", element("caption", title), element("thead", head), element("tbody", *lines)
    )


def _counts(counts: Counter[str]) -> str:
    parts = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
    return f"{counts.total()} ({parts})"


def _span(span: timedelta) -> str:
    seconds = span.total_seconds()
    return f"{seconds:.1f} seconds" if seconds < 60 else in_words(span)  # noqa: PLR2004 - a minute
