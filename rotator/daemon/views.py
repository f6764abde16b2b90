"""HTML out of elements: every text is escaped unless it is markup already."""

from base64 import b64encode
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template

from rotator.clock import in_words, minute, rfc3339
from rotator.daemon.health import Phase
from rotator.daemon.rows import Fleet, Row, Tone, counted, moment, next_look, remaining, rows
from rotator.errors import one_line
from rotator.rotation.model import CHANGED, Report
from rotator.rotation.states import Look, TokenState
from rotator.stores.port import DEFAULT_FIELD


class Html(str):
    """Text that is markup."""

    __slots__ = ()


def element(kind: str, *children: str, **attributes: str | float | None) -> Html:
    """Return an element; an attribute that is None is left out.

    `_` stands for `-`, and one at the end for nothing: `class_`.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_text(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{kind}{given}>{joined(*children)}</{kind}>")


def joined(*children: str) -> Html:
    """Return the children one after another, each text among them escaped."""
    return Html("".join(each if isinstance(each, Html) else _text(each) for each in children))


def _text(text: str) -> str:
    # Without what turns the direction of writing, either: names and errors are not trusted.
    return escape(one_line(text) if not text.isprintable() else text)


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


def _known(row: Row, card: TokenState, now: datetime) -> Iterable[tuple[str, str]]:
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


def _history(card: TokenState, now: datetime) -> Html:
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


_WIDTH = 1000  # of a bar, in units of its own


def token(row: Row, now: datetime) -> Html:
    """Return the list item of a token."""
    heading = element("span", row.name, class_="name")
    top = joined(
        badge(row.word, row.tone),
        element("span", heading, _store_names(row), class_="who"),
        element("span", _bar(row), _life(row, now), class_="life"),
        element("span", _looks(row, now), class_="look"),
        _complaint(row),
    )
    unfolded = element("details", element("summary", top), details(row, now))
    return element(
        "li", unfolded, class_=f"token {row.tone}", data_state=row.word, data_name=row.name
    )


def badge(word: str, tone: Tone, **attributes: str) -> Html:
    """Return a state as a word with a sign, so that nobody needs to tell colours apart."""
    return element("span", sign(tone), word, class_=f"badge {tone}", **attributes)


def sign(tone: Tone) -> Html:
    """Return the sign of a tone, which page.html draws."""
    return element("svg", element("use", href=f"#sign-{tone}"), class_="sign", aria_hidden="true")


def _store_names(row: Row) -> Html:
    if row.card is None or not row.card.last.report.stores:
        return element("span", "", class_="where")
    first, *others = (
        store.store.removesuffix(f"#{DEFAULT_FIELD}") for store in row.card.last.report.stores
    )
    more = element("span", f"+{len(others)}", class_="more-stores") if others else ""
    return element("span", element("span", first), more, class_="where")


def _bar(row: Row) -> Html:
    life, boundary = (round(share * _WIDTH, 1) for share in row.bar)
    marks = joined(
        element("rect", class_="track", width=_WIDTH, height=10, y=3),
        element("rect", class_="zone", width=boundary, height=10, y=3),
        element("rect", class_="fill", width=life, height=10, y=3),
        element("rect", class_="boundary", x=boundary - 2, width=4, height=16) if boundary else "",
    )
    said = f"{remaining(row)}; {row.bar.life:.0%} of its life"
    return element(
        "svg",
        marks,
        class_="bar",
        viewBox=f"0 0 {_WIDTH} 16",
        preserveAspectRatio="none",
        role="img",
        aria_label=said,
    )


def _life(row: Row, now: datetime) -> Html:
    left = element("span", remaining(row), class_="left")
    if row.renews_at is None:
        return element("span", left, class_="caption")
    due = row.renews_at <= now
    plan = "to be renewed now" if due else f"renewed in {in_words(row.renews_at - now)}"
    return element("span", left, element("span", plan, class_="plan"), class_="caption")


def _looks(row: Row, now: datetime) -> Html:
    if row.card is None:
        return joined("first look: now")
    last = element("span", f"looked at {moment(row.card.last.ended_at, now)}")
    return joined(last, element("span", f"next look: {next_look(row.card, now)}"))


def _complaint(row: Row) -> Html:
    """Return what is wrong, for everybody to see."""
    if row.card is None or row.tone is Tone.GOOD:
        return Html()
    report = row.card.last.report
    return element("span", report.error or report.message, class_="complaint")


class Document:
    """Renders the page; reads its parts once, when it is made."""

    def __init__(self) -> None:
        folder = files("rotator.daemon")
        self._page = Template(folder.joinpath("page.html").read_text("utf-8"))
        self._style = folder.joinpath("page.css").read_text("utf-8")
        self._script = folder.joinpath("page.js").read_text("utf-8")
        # https://www.w3.org/TR/CSP3/ – a hash lets these very texts in, and nothing of a token's.
        self.policy = "; ".join(
            (
                "default-src 'none'",
                f"script-src '{_digest(self._script)}'",
                f"style-src '{_digest(self._style)}'",
                "img-src data:",
                "connect-src 'self'",
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
            )
        )

    def render(self, fleet: Fleet, phase: Phase, trouble: str | None) -> str:
        """Return the page as it is at a moment."""
        found = rows(fleet)
        return self._page.substitute(
            title=_title(found),
            style=self._style,
            script=self._script,
            state=_state(phase, trouble, fleet.now),
            summary=_summary(found),
            tokens=element("ol", *(token(row, fleet.now) for row in found), id="tokens"),
        )


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _title(found: list[Row]) -> Html:
    troubled = sum(row.tone in (Tone.BAD, Tone.WARN) for row in found)
    return joined(f"({troubled}) Token rotator" if troubled else "Token rotator")


def _state(phase: Phase, trouble: str | None, now: datetime) -> Html:
    at = element("time", f"{now:%Y-%m-%d %H:%M:%S} UTC", datetime=rfc3339(now))
    line = element("p", element("strong", phase), " · as of ", at, class_="phase")
    if trouble is None:
        return line
    told = f"The settings could not be read again, and those in force stay as they were: {trouble}"
    return joined(line, element("p", sign(Tone.WARN), told, class_="trouble", role="alert"))


def _summary(found: list[Row]) -> Html:
    """Return how many tokens are in each state; with a script each count shows these alone."""
    counts = counted(found)
    chips = [
        element(
            "button",
            sign(tone),
            element("b", str(count)),
            f" {word}",
            type="button",
            class_=f"badge {tone}",
            data_state=word,
            aria_pressed="false",
        )
        for word, (tone, count) in counts.items()
    ]
    return joined(*chips)
