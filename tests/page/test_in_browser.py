"""The page in a real browser; run these before each release."""

from collections.abc import Iterator

import pytest

from rotator.daemon.web import LOOPBACK
from rotator.rotation.model import Action, StoreReport, StoreState
from rotator.rotation.policy import Status
from rotator.rotation.report import Report
from rotator.rotation.states import Look, TokenStates
from tests.page import fleets
from tests.page.browser import Browser, missing, started
from tests.page.contrast import CONTRASTS
from tests.page.serving import Served, served
from tests.page.test_document import EVIL
from tests.support.clock import FakeClock

LACKING = missing()
pytestmark = pytest.mark.skipif(
    LACKING is not None, reason=f"{LACKING}: install chromium and chromium-driver"
)
FLEETS = {3: fleets.of_three, 200: fleets.of_many}
SHOWN = "return [...document.querySelectorAll('.token')].filter((token) => !token.hidden).length"
UNFOLD_ALL = "for (const each of document.querySelectorAll('details')) each.open = true"
REFRESHED = "document.querySelector('#state time').textContent.includes('12:01:00')"
DESKTOP = (1120, 720)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started() as browser:
        browser.hurry(times=20)
        yield browser


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=FLEETS, ids="{} tokens".format)
def page(request: pytest.FixtureRequest, clock: FakeClock) -> Iterator[Served]:
    shown = FLEETS[request.param]()
    with served(shown.states, tokens=shown.tokens, clock=clock) as page:
        yield page


@pytest.fixture
def many(clock: FakeClock) -> Iterator[Served]:
    shown = fleets.of_many()
    with served(shown.states, tokens=shown.tokens, clock=clock) as page:
        yield page


def pass_a_minute(clock: FakeClock) -> None:
    clock.now = clock.now.replace(minute=1)


@pytest.mark.sample(2)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_asks_nobody_else_complains_of_nothing_and_can_be_read(
    browser: Browser, page: Served, clock: FakeClock, theme: str
) -> None:
    browser.look(*DESKTOP, theme)
    browser.open(page.url)
    pass_a_minute(clock)
    browser.wait(REFRESHED)
    browser.run(UNFOLD_ALL)
    asked = {url for url in browser.requested() if not url.startswith("data:")}
    assert asked == {page.url}
    assert browser.complaints() == []
    contrasts = browser.run(CONTRASTS)
    assert len(contrasts) >= 8
    assert not [each for each in contrasts if each["ratio"] < 4.5]  # WCAG 2.2, 1.4.3: level AA


def test_the_themes_differ(browser: Browser, many: Served) -> None:
    colour = "return getComputedStyle(document.body).backgroundColor"
    found = []
    for theme in ("light", "dark"):
        browser.look(*DESKTOP, theme)
        browser.open(many.url)
        found.append(browser.run(colour))
    assert found == ["rgb(244, 246, 248)", "rgb(14, 18, 23)"]


@pytest.mark.sample(2)
@pytest.mark.parametrize("width", [360, 1120])
def test_nothing_is_wider_than_the_screen(browser: Browser, page: Served, width: int) -> None:
    browser.look(width, 780, "light")
    browser.open(page.url)
    browser.run(UNFOLD_ALL)
    assert browser.run("return document.documentElement.scrollWidth") == width


def test_words_without_end_are_broken(browser: Browser, clock: FakeClock) -> None:
    store = StoreReport(f"vault://{'s' * 300}", StoreState.UNREACHABLE, "m" * 300)
    endless = Report(
        *("n" * 300, Status.OK, "r" * 300, "m" * 300, Action.FAILED, "i" * 64),
        stores=(store,),
        error="e" * 900,
        failure="f" * 60,
    )
    states = TokenStates()
    states.watch([endless.name])
    states.record(Look(endless, clock(), clock()))
    browser.look(360, 780, "light")
    with served(states, clock=clock) as page:
        browser.open(page.url)
        browser.run(UNFOLD_ALL)
        assert browser.run("return document.documentElement.scrollWidth") == 360


@pytest.mark.parametrize("width", [360, 1120])
def test_the_count_of_further_stores_is_not_broken(
    browser: Browser, clock: FakeClock, width: int
) -> None:
    stores = tuple(
        StoreReport(f"dotenv:///{name * 30}/.env", StoreState.CURRENT) for name in ("luna", "sol")
    )
    states = TokenStates()
    states.watch(["luna"])
    report = Report("luna", Status.OK, "ok", "fine", Action.KEPT, "1", stores=stores)
    states.record(Look(report, clock(), clock()))
    browser.look(width, 780, "light")
    with served(states, clock=clock) as page:
        browser.open(page.url)
        lines = browser.run(
            "const text = document.createRange();"
            "text.selectNodeContents(document.querySelector('.more-stores'));"
            "return text.getClientRects().length"
        )
    assert lines == 1


def test_a_refresh_keeps_what_the_reader_did(
    browser: Browser, many: Served, clock: FakeClock
) -> None:
    browser.look(*DESKTOP, "light")
    browser.open(many.url)
    browser.run("""
        const token = document.querySelectorAll('.token')[9];
        token.querySelector('summary').click();
        token.querySelector('summary').focus();
        window.scrollTo(0, 700);
    """)
    name = browser.run("return document.querySelector('details[open]').parentNode.dataset.name")
    pass_a_minute(clock)
    browser.wait(REFRESHED)
    after = browser.run("""return {
        open: [...document.querySelectorAll('details[open]')].map((d) => d.parentNode.dataset.name),
        focused: document.activeElement.closest('.token')?.dataset.name,
        top: window.scrollY,
    }""")
    assert after == {"open": [name], "focused": name, "top": 700}


def test_a_text_that_is_being_marked_is_left_alone(
    browser: Browser, many: Served, clock: FakeClock
) -> None:
    browser.open(many.url)
    browser.run("getSelection().selectAllChildren(document.querySelector('.complaint'))")
    pass_a_minute(clock)
    for _ in range(2):  # the second one begins after the first one has ended
        browser.wait("performance.getEntriesByType('resource').length > 0")
        browser.run("performance.clearResourceTimings()")
    assert browser.run("return getSelection().toString()").startswith("vault://secret/bots/")
    browser.run("getSelection().removeAllRanges()")
    browser.wait(REFRESHED)


def test_a_daemon_that_is_gone_is_noticed_and_one_that_is_back_as_well(browser: Browser) -> None:
    shown = fleets.of_three()
    lost = "!document.querySelector('#lost').hidden"
    with served(shown.states, tokens=shown.tokens) as page:
        port = page.port
        browser.open(page.url)
    browser.wait(lost)
    text = browser.run("return document.querySelector('#lost').textContent")
    assert text.startswith("Connection lost since ")
    assert browser.run(SHOWN) == 3
    with served(shown.states, LOOPBACK, tokens=shown.tokens, port=port):
        browser.wait(f"!({lost})")


def test_a_filter_finds_tokens_by_their_words(
    browser: Browser, many: Served, clock: FakeClock
) -> None:
    browser.look(*DESKTOP, "light")
    browser.open(many.url)
    fill = (
        "const input = document.querySelector('#filter input');"
        "input.value = arguments[0]; input.dispatchEvent(new Event('input'));"
    )
    assert browser.run(SHOWN) == 200
    browser.run(fill, "VENUS  prices")
    assert browser.run(SHOWN) == 2
    pass_a_minute(clock)
    browser.wait(REFRESHED)
    assert browser.run(SHOWN) == 2
    browser.run(fill, "no such token")
    assert browser.run("return document.querySelector('#none').checkVisibility()")
    browser.run("document.querySelector('#none button').click()")
    assert browser.run(SHOWN) == 200


def test_a_filter_of_a_large_fleet_finds_what_is_on_no_page_that_is_open(browser: Browser) -> None:
    shown = fleets.of_many(450)
    with served(shown.states, tokens=shown.tokens) as page:
        browser.look(*DESKTOP, "light")
        browser.open(page.url)
        last = page.get("api/v1/status?page=3").json()["tokens"][-1]["name"]
        fill = (
            "const input = document.querySelector('#filter input');"
            "input.value = arguments[0]; input.dispatchEvent(new Event('input'));"
        )
        browser.run(fill, last)
        browser.wait(f"document.querySelector('.token')?.dataset.name === '{last}'")
        assert browser.run(SHOWN) == 1
        browser.run(fill, "no such token")
        browser.wait("document.querySelector('#none').checkVisibility()")
        browser.run("document.querySelector('#none button').click()")
        browser.wait("document.querySelectorAll('.token').length === 200")
        browser.run("document.querySelector('#pages a').click()")
        browser.wait("document.querySelector('#pages').textContent.includes('201–400')")


def test_a_count_shows_those_alone_that_it_counts(browser: Browser, many: Served) -> None:
    browser.open(many.url)
    chip = "document.querySelector('#summary [data-state=failing]')"
    count = int(browser.run(f"return {chip}.querySelector('b').textContent"))
    browser.run(f"{chip}.click()")
    assert browser.run(SHOWN) == count
    assert browser.run(f"return {chip}.getAttribute('aria-pressed')") == "true"
    browser.run(f"{chip}.click()")
    assert browser.run(SHOWN) == 200


def test_few_tokens_have_no_filter(browser: Browser) -> None:
    shown = fleets.of_three()
    with served(shown.states, tokens=shown.tokens) as page:
        browser.open(page.url)
        assert not browser.run("return document.querySelector('#filter').checkVisibility()")


def test_a_name_that_is_an_attack_is_but_a_name(browser: Browser, clock: FakeClock) -> None:
    states = TokenStates()
    states.watch([EVIL])
    with served(states, clock=clock) as page:
        browser.open(page.url)
        pass_a_minute(clock)
        browser.wait(REFRESHED)
        assert "<script>alert(1)</script>" in browser.run(
            "return document.querySelector('.name').textContent"
        )
        assert browser.complaints() == []


def test_a_style_or_script_that_slipped_in_would_be_stopped(browser: Browser, many: Served) -> None:
    browser.open(many.url)
    browser.run("""
        document.body.insertAdjacentHTML('beforeend', '<p id="x" style="color: red"></p>');
        const script = document.createElement('script');
        script.textContent = 'window.harmed = true';
        document.body.append(script);
    """)
    assert browser.run("return window.harmed === undefined")
    assert len(browser.complaints()) == 2
