"""The HTML, as text: what is on it, and that nothing which comes from elsewhere is markup."""

import re
from datetime import timedelta
from html import unescape
from html.parser import HTMLParser

from rotator.config.settings import TokenSettings
from rotator.daemon.health import DaemonPhase
from rotator.daemon.rows import FleetStatus, build_rows
from rotator.daemon.views import StatusPage
from rotator.rotation.model import Action, OldToken, OldTokenState, StoreReport, StoreState
from rotator.rotation.policy import Status
from rotator.rotation.report import Report
from rotator.rotation.states import Look, TokenStates
from tests.page import fleets
from tests.support.clock import NOON

EVIL = "</li><script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202e"
HOUR = timedelta(hours=1)


class Elements(HTMLParser):
    """What a browser would make of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.kinds.add(tag)
        self.attributes |= {name for name, _ in attrs}


def page(*looks: Look, trouble: str | None = None, phase: DaemonPhase = DaemonPhase.RUNNING) -> str:
    states = TokenStates()
    names = list(dict.fromkeys(look.report.name for look in looks))
    states.watch(names)
    for look in looks:
        states.record(look)
    rows = build_rows(states.by_name(), [TokenSettings(name, "", ()) for name in names], NOON)
    return StatusPage().render(FleetStatus(rows, NOON, phase, trouble))


def text(html: str) -> str:
    """Return what is to be read, without tags."""
    body = html.partition("<body>")[2].partition("<script>")[0]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


def look(report: Report, ago: timedelta = HOUR) -> Look:
    return Look(report, NOON - ago - timedelta(seconds=2), NOON - ago, NOON + HOUR)


def test_a_row_says_that_somebody_still_uses_an_old_token() -> None:
    old = OldToken(
        *("11112222-aaaa", OldTokenState.IN_USE, NOON + 23 * HOUR, "restart it", NOON - HOUR),
        at_most=NOON + 5 * HOUR,
    )
    fine = Report("luna-bot", Status.OK, "ok", "fine", Action.KEPT, old_tokens=(old,))
    read = text(page(look(fine)))
    assert "1 ok" in read
    assert "the old token 11112222-aaaa is still in use, last 1 hour ago" in read
    assert "Old token 11112222-aaaa in-use; to be revoked from 2026-11-24 11:00 UTC on" in read
    failing = fine._replace(error="it is revoked soon", level="warning", failure="laggard")
    assert "it is revoked soon" in text(page(look(failing)))


def test_all_that_is_known_of_a_token_can_be_read() -> None:
    old = OldToken("11112222-aaaa", OldTokenState.IN_USE, NOON + HOUR, "it was last used now")
    stores = (
        StoreReport("dotenv:///srv/luna/.env#API_TOKEN", StoreState.WRITTEN),
        StoreReport("vault://secret/luna#T", StoreState.UNREACHABLE, "Vault does not answer"),
    )
    renewed = Report(
        *("luna-bot", Status.OK, "expiring", "expires in 90 days", Action.ROTATED),
        *("33334444-bbbb", "55556666-cccc", NOON + timedelta(days=90), 90 * 86400.0, stores),
        old_tokens=(old,),
        remarks=("a mint that was cut off is settled",),
    )
    failing = renewed._replace(
        action=Action.FAILED,
        error="Vault is away",
        failure="store-unreachable",
        level="error",
        unsettled=2,
        hooks_left=1,
        attempts_left=17,
    )
    read = text(page(look(renewed, 5 * HOUR), look(failing)))
    for expected in (
        "1 failing",
        "dotenv:///srv/luna/.env#API_TOKEN written",
        "vault://secret/luna#T unreachable Vault does not answer",
        "Token id 33334444-bbbb",
        "Replaced 55556666-cccc",
        "Expires 2027-02-21 12:00 UTC · in 90 days",
        "To be renewed 2027-02-14 12:00 UTC · in 83 days",
        "Last look 2026-11-23 11:00 UTC · 1 hour ago It took 2.0 seconds",
        "Next look 2026-11-23 13:00 UTC · in 1 hour",
        "Last renewal 2026-11-23 07:00 UTC · 5 hours ago",
        "Last without a failure 2026-11-23 07:00 UTC",
        "Renewals 1 (1 expiring)",
        "Failures 1 (1 store-unreachable)",
        "Attempts left 17",
        "Hooks to be repeated 1",
        "Unsettled 2",
        "Old token 11112222-aaaa in-use; to be revoked from 2026-11-23 13:00 UTC on; it was last",
        "Finished as well a mint that was cut off is settled",
        "failed: store-unreachable Vault is away",
        "rotated expires in 90 days (expiring)",
    ):
        assert expected in read


def test_a_token_that_was_not_looked_at_yet_is_shown() -> None:
    rows = build_rows({"luna-bot": None}, [], NOON)
    read = text(StatusPage().render(FleetStatus(rows, NOON, DaemonPhase.STARTING)))
    assert "starting · as of 2026-11-23 12:00:00 UTC" in read
    assert "1 waiting" in read
    assert "first look: now" in read


def test_nothing_that_comes_from_elsewhere_is_markup() -> None:
    report = Report(
        *(EVIL, Status.OK, EVIL, EVIL, Action.FAILED, EVIL, EVIL, NOON),
        stores=(StoreReport(EVIL, StoreState.BEHIND, EVIL),),
        error=EVIL,
        failure=EVIL,
        remarks=(EVIL,),
        old_tokens=(OldToken(EVIL, OldTokenState.FAILED, NOON, EVIL),),
    )
    html = page(look(report), look(report._replace(action=Action.ROTATED)), trouble=EVIL)
    assert html.count("<script") == 1
    assert "<img" not in html
    assert "\u202e" not in html
    assert html.count("&lt;script&gt;") > 10
    elements = Elements()
    elements.feed(html)
    assert elements.kinds.isdisjoint({"img", "iframe", "object"})
    assert not [name for name in elements.attributes if name.startswith("on") or name == "style"]


def test_only_ids_of_a_token_are_on_the_page() -> None:
    shown = fleets.of_three()
    rows = build_rows(shown.states.by_name(), shown.tokens, NOON)
    html = StatusPage().render(FleetStatus(rows, NOON, DaemonPhase.RUNNING))
    assert not re.search(r"eyJ", html)


def test_settings_that_could_not_be_read_again_are_told() -> None:
    report = Report("luna-bot", Status.ETERNAL, "eternal", "never expires")
    read = text(page(look(report), trouble="rotator.toml: found broken TOML"))
    assert (
        "The settings could not be read again, and the old ones stay in force:"
        " rotator.toml: found broken TOML"
    ) in read


def test_the_bar_marks_the_life_below_which_a_token_is_renewed() -> None:
    end = NOON + timedelta(days=45)
    html = page(look(Report("luna-bot", Status.OK, "ok", "…", expires_at=end)))
    assert 'class="fill" width="500.0"' in html
    assert 'class="boundary" x="75.8"' in html  # 7 of 90 days, and the mark is 4 wide
    assert 'aria-label="45 days left; 50% of its life"' in html
