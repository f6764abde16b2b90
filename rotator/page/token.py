"""One token as HTML: a line that tells how it is, and the rest to be unfolded."""

from datetime import datetime

from rotator.clock import in_words
from rotator.daemon.rows import Row, Tone, moment, next_look, remaining
from rotator.daemon.views import details
from rotator.page.markup import Html, element, joined
from rotator.stores.port import DEFAULT_FIELD

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
