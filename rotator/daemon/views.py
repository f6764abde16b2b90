"""The status page as HTML; every text is escaped unless it is markup already."""

from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template

from rotator.clock import in_words, minute, rfc3339
from rotator.daemon.paging import ROWS, Page, View, cut_page
from rotator.daemon.rows import (
    FleetStatus,
    StatusRow,
    Tone,
    count_badges,
    describe_moment,
    describe_reload,
)
from rotator.errors import one_line
from rotator.rotation.model import CHANGED
from rotator.rotation.report import Report
from rotator.rotation.states import HistoryEntry, TokenState
from rotator.stores.port import shorten_url

_BAR_WIDTH = 1000
_FIRST = View()


class Html(str):
    """Text that is markup."""

    __slots__ = ()


def element(tag: str, *children: str, **attributes: str | float | None) -> Html:
    """Return an element; an attribute that is None is left out.

    `_` in an attribute's name stands for `-`, and is dropped at its end: `class_`.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{tag}{given}>{join(*children)}</{tag}>")


def join(*children: str) -> Html:
    """Return the children one after another, each text among them escaped."""
    return Html("".join(each if isinstance(each, Html) else _escape(each) for each in children))


def _escape(text: str) -> str:
    # Names and errors are not trusted: `one_line` also escapes what turns the writing direction.
    return escape(one_line(text) if not text.isprintable() else text)


class StatusPage:
    """Renders the page from its template, style and script, which are read once."""

    def __init__(self) -> None:
        folder = files("rotator.daemon")
        self._template = Template(folder.joinpath("page.html").read_text("utf-8"))
        self._style = folder.joinpath("page.css").read_text("utf-8")
        self._script = folder.joinpath("page.js").read_text("utf-8")
        # https://www.w3.org/TR/CSP3/: a hash allows exactly this text, and nothing of a token's.
        self.policy = (
            f"default-src 'none'; script-src '{_digest(self._script)}';"
            f" style-src '{_digest(self._style)}'; img-src data:; connect-src 'self';"
            " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )

    def render(self, fleet: FleetStatus, view: View = _FIRST) -> str:
        """Return the page of the part of a fleet that `view` names."""
        counts = count_badges(fleet.rows)
        urgent = sum(count for tone, count in counts.values() if tone in (Tone.BAD, Tone.WARN))
        page = cut_page(view.select(fleet.rows), view.page or 1)
        return self._template.substitute(
            title=f"({urgent}) Token rotator" if urgent else "Token rotator",
            style=self._style,
            script=self._script,
            state=_daemon_state(fleet),
            summary=_summary(counts),
            tokens=element("ol", *(_token(row) for row in page.rows), id="tokens"),
            pages=_pages(page, view, len(fleet.rows)),
        )


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _daemon_state(fleet: FleetStatus) -> Html:
    now = fleet.now
    at = element("time", f"{now:%Y-%m-%d %H:%M:%S} UTC", datetime=rfc3339(now))
    line = element("p", element("strong", fleet.phase or ""), " · as of ", at, class_="phase")
    if fleet.reload_error is None:
        return line
    text = describe_reload(fleet.reload_error)
    return join(line, element("p", _sign(Tone.WARN), text, class_="trouble", role="alert"))


def _pages(page: Page, view: View, total: int) -> Html:
    """Return which part is shown, and links to its neighbours; nothing where all are shown."""
    if not view.is_narrowed and total <= ROWS:
        return join()
    last = page.first - 1 + len(page.rows)
    fit = f"{page.fitting:,} of {total:,}" if view.is_narrowed else f"{total:,}"
    part = f"{page.first:,}–{last:,} of {fit}" if page.fitting > ROWS else fit
    neighbours = [("previous", page.number - 1)] if page.number > 1 else []
    neighbours += [("next", page.number + 1)] if page.has_next else []
    links = [
        element("a", word, href=view.query(number), rel=word[:4]) for word, number in neighbours
    ]
    return join(element("span", f"{part} tokens"), *links)


def _summary(counts: Mapping[str, tuple[Tone, int]]) -> Html:
    """Return a button for each state with its count, by which the script filters."""
    buttons = [
        element(
            "button",
            _sign(tone),
            element("b", str(count)),
            f" {word}",
            type="button",
            class_=f"badge {tone}",
            data_state=word,
            aria_pressed="false",
        )
        for word, (tone, count) in counts.items()
    ]
    return join(*buttons)


def _sign(tone: Tone) -> Html:
    """Return the sign of a tone, as nobody should have to tell colours apart."""
    return element("svg", element("use", href=f"#sign-{tone}"), class_="sign", aria_hidden="true")


def _token(row: StatusRow) -> Html:
    word, tone = row.badge
    top = [
        element("span", _sign(tone), word, class_=f"badge {tone}"),
        element("span", element("span", row.name, class_="name"), _stores(row), class_="who"),
        element("span", _bar(row), _life(row), class_="life"),
        element("span", _looks(row), class_="look"),
    ]
    if row.complaint:
        top.append(element("span", row.complaint, class_="complaint"))
    elif laggards := row.describe_laggards():
        top.append(element("span", "; ".join(laggards), class_="remark"))
    body = element("details", element("summary", *top), _details(row))
    return element("li", body, class_=f"token {tone}", data_state=word, data_name=row.name)


def _stores(row: StatusRow) -> Html:
    reports = row.report.stores if row.report else ()
    urls = [shorten_url(store.store) for store in reports]
    parts = [element("span", url) for url in urls[:1]]
    if urls[1:]:
        parts.append(element("span", f"+{len(urls) - 1}", class_="more-stores"))
    return element("span", *parts, class_="where")


def _bar(row: StatusRow) -> Html:
    life, boundary = (round(share * _BAR_WIDTH, 1) for share in row.bar)
    shapes = [
        element("rect", class_=name, width=width, height=10, y=3)
        for name, width in (("track", _BAR_WIDTH), ("zone", boundary), ("fill", life))
    ]
    if boundary:
        shapes.append(element("rect", class_="boundary", x=boundary - 2, width=4, height=16))
    return element(
        "svg",
        *shapes,
        class_="bar",
        viewBox=f"0 0 {_BAR_WIDTH} 16",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"{row.describe_life()}; {row.bar.life:.0%} of its life",
    )


def _life(row: StatusRow) -> Html:
    parts = [element("span", row.describe_life(), class_="left")]
    if row.renews_at is not None:
        due = row.renews_at <= row.now
        plan = "to be renewed now" if due else f"renewed in {in_words(row.renews_at - row.now)}"
        parts.append(element("span", plan, class_="plan"))
    return element("span", *parts, class_="caption")


def _looks(row: StatusRow) -> Html:
    if row.state is None:
        return join("first look: now")
    last = f"looked at {describe_moment(row.state.last.ended_at, row.now)}"
    return join(element("span", last), element("span", f"next look: {row.describe_next_look()}"))


def _details(row: StatusRow) -> Html:
    if row.state is None:
        return element("div", element("p", "It was not looked at yet."), class_="details")
    report = row.state.last.report
    facts = [
        element("div", element("dt", key), element("dd", value))
        for key, value in _facts(row, row.state, report)
    ]
    parts = [element("p", report.message, class_="message"), element("dl", *facts)]
    if report.stores:
        has_trouble = any(store.message for store in report.stores)
        columns = ("store", "token", "trouble") if has_trouble else ("store", "token")
        stores = [
            (element("code", store.store), store.status, store.message or "–")[: len(columns)]
            for store in report.stores
        ]
        parts.append(_table("Stores", columns, stores))
    if row.state.history:
        entries = [_entry(each, row.now) for each in row.state.history]
        parts.append(_table("History", ("when", "what", "why"), entries))
    return element("div", *parts, class_="details")


def _facts(row: StatusRow, state: TokenState, report: Report) -> Iterable[tuple[str, str]]:
    last, now = state.last, row.now
    yield "Token id", element("code", report.token_id) if report.token_id else "none"
    yield "Expires", _moment(report.expires_at, now, "never" if row.bar.life else "–")
    if row.renews_at and row.renews_at > now:
        yield "To be renewed", _moment(row.renews_at, now)
    yield "Last look", _moment(last.ended_at, now)
    yield "It took", _span(last.ended_at - last.started_at)
    yield "Next look", _moment(last.next_at, now, "none is planned")
    yield "Last without a failure", _moment(state.succeeded_at, now, "none yet")
    yield "Last renewal", _moment(state.rotated_at, now, "none yet")
    if report.previous_token_id:
        yield "Replaced", element("code", report.previous_token_id)
    if state.rotations:
        yield "Renewals", _counts(state.rotations)
    if state.failures:
        yield "Failures", _counts(state.failures)
    if report.attempts_left is not None:
        yield "Attempts left", str(report.attempts_left)
    if report.hooks_left:
        yield "Hooks to be repeated", str(report.hooks_left)
    if report.unsettled:
        yield "Unsettled", str(report.unsettled)
    for old in report.old_tokens:
        plan = f"; to be revoked from {minute(old.due_at)} on" if old.is_pending else ""
        why = f"; {old.message}" if old.message else ""
        yield "Old token", join(element("code", old.token_id), f" {old.state}{plan}{why}")
    for remark in report.remarks:
        yield "Finished as well", remark


def _moment(at: datetime | None, now: datetime, without: str = "") -> Html:
    """Return a moment as a time and in words; `without` stands for None."""
    if at is None:
        return join(without)
    exact = element("time", minute(at), datetime=at.isoformat(timespec="seconds"))
    return join(exact, element("span", f" · {describe_moment(at, now)}", class_="ago"))


def _span(span: timedelta) -> str:
    seconds = span.total_seconds()
    return f"{seconds:.1f} seconds" if seconds < 60 else in_words(span)  # noqa: PLR2004 - a minute


def _counts(counts: Counter[str]) -> str:
    parts = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
    return f"{counts.total()} ({parts})"


def _entry(entry: HistoryEntry, now: datetime) -> tuple[str, ...]:
    what = str(entry.action) if entry.action in CHANGED else f"failed: {entry.failure}"
    why = entry.error or f"{entry.message} ({entry.reason})"
    return _moment(entry.at, now), what, why


def _table(title: str, columns: Iterable[str], lines: Iterable[tuple[str, ...]]) -> Html:
    head = element("tr", *(element("th", column, scope="col") for column in columns))
    rows = []
    for first, what, *others in lines:
        cells = [element("td", first), element("td", what, class_="what")]
        rows.append(element("tr", *cells, *(element("td", other) for other in others)))
    caption, body = element("caption", title), element("tbody", *rows)
    return element("table", caption, element("thead", head), body)
