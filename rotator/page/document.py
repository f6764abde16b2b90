"""The whole page: one file that asks for nothing else, and the policy that holds it to that."""

from base64 import b64encode
from datetime import datetime
from hashlib import sha256
from importlib.resources import files
from string import Template

from rotator.clock import rfc3339
from rotator.daemon.health import Phase
from rotator.daemon.rows import Fleet, Row, Tone, counted, rows
from rotator.page.markup import Html, element, joined
from rotator.page.token import sign, token


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
