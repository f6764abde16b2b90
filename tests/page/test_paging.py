"""A fleet of thousands: a page of it at a time, searched by the server, at a bounded load."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from itertools import count
from threading import Event

import pytest

from rotator.daemon.paging import ROWS, BusyError, Pacer
from tests.page import fleets
from tests.page.serving import Served, served
from tests.support.clock import StillTime
from tests.support.waiting import PATIENCE, wait_until

TOKENS = 2 * ROWS + 50


@pytest.fixture(scope="module")
def page() -> Iterator[Served]:
    shown = fleets.of_many(TOKENS)
    with served(shown.states, tokens=shown.tokens) as page:
        yield page


def names(page: Served, query: str = "") -> list[str]:
    return re.findall(r'data-name="([^"]*)"', page.get(query).text)


def test_all_pages_together_have_each_token_once_the_most_urgent_first(page: Served) -> None:
    pages = [names(page, f"?page={number}") for number in (1, 2, 3)]
    assert [len(each) for each in pages] == [ROWS, ROWS, 50]
    urgent_first = [each["name"] for each in page.get("api/v1/status").json()["tokens"]]
    assert [*pages[0], *pages[1], *pages[2]] == urgent_first
    assert names(page) == pages[0]
    assert names(page, "?page=99") == pages[2]


def test_a_page_says_which_part_it_is_and_leads_to_the_others(page: Served) -> None:
    first, middle = page.get().text, page.get("?page=2").text
    assert f"1–{ROWS} of {TOKENS}" in first
    assert f"{ROWS + 1}–{2 * ROWS} of {TOKENS}" in middle
    links = 'href="?page={}"'.format
    assert (links(2) in first, links(0) in first) == (True, False)
    assert (links(1) in middle, links(3) in middle) == (True, True)


def test_a_search_looks_at_all_tokens_and_not_at_the_page_alone(page: Served) -> None:
    last = names(page, "?page=3")[-1]
    assert last in names(page, f"?q={last}")
    middle = names(page, "?page=2")[0]
    assert names(page, f"?q=bots/{middle}%23API_TOKEN") == [middle]
    some = page.get("?q=LUNA+chat").text
    assert all("luna" in name and "chat" in name for name in re.findall(r'data-name="(.*?)"', some))
    found = len(names(page, "?q=LUNA+chat"))
    assert 0 < found < ROWS
    assert f"{found} of {TOKENS}" in some
    assert names(page, "?q=nobody-is-called-so") == []


def test_a_state_is_chosen_among_all_tokens(page: Served) -> None:
    told = page.get("api/v1/status").json()["counts"]
    assert len(names(page, "?state=failing&state=eternal")) == told["failing"] + told["eternal"]
    link = page.get("?state=ok").text
    assert 'href="?state=ok&amp;page=2"' in link
    assert f"<b>{told['failing']}</b>" in link  # the counts are those of the whole fleet


def test_the_json_may_be_had_in_parts_as_well(page: Served) -> None:
    part = page.get("api/v1/status?page=3&state=ok").json()
    assert part["counts"] == page.get("api/v1/status").json()["counts"]
    assert {each["state"] for each in part["tokens"]} == {"ok"}
    assert len(part["tokens"]) <= ROWS
    assert len(page.get("api/v1/status?state=ok").json()["tokens"]) == part["counts"]["ok"]


@pytest.mark.parametrize(
    "query", ["page=0", "page=-1", "page=x", "page=" + "9" * 4000, "q=%ff&&=", "x=1"]
)
def test_a_query_that_makes_no_sense_is_answered_all_the_same(page: Served, query: str) -> None:
    assert page.get(f"?{query}").status_code == HTTPStatus.OK


def test_more_parts_of_a_query_than_anybody_needs_are_refused(page: Served) -> None:
    assert page.get("?" + "&".join(["state=ok"] * 100)).status_code == HTTPStatus.BAD_REQUEST


def test_a_page_of_thousands_is_not_larger_than_one_of_hundreds(page: Served) -> None:
    shown = fleets.of_many(ROWS)
    with served(shown.states, tokens=shown.tokens) as small:
        whole = small.get().text
    assert len(page.get("?page=2").text) < 1.2 * len(whole)
    assert 'id="pages" data-live></nav>' in whole


def burn() -> int:
    began = time.thread_time()
    while time.thread_time() - began < 0.02:
        pass
    return 1


def test_whatever_is_asked_for_a_tenth_of_the_time_is_spent_on_it() -> None:
    passed = StillTime()
    pacer: Pacer[int] = Pacer(passed.monotonic, passed.sleep)
    for number in range(5):
        pacer.get(str(number), burn)
    assert len(passed.naps) == 4
    assert min(passed.naps) >= 10 * 0.02
    # Each waits for the one before it, and not again for those before that one.
    assert max(passed.naps) < 2 * min(passed.naps)


def test_what_costs_much_is_kept_for_longer_and_only_the_newest_few_are_kept() -> None:
    made = count()

    def costly() -> int:
        burn()
        return next(made)

    passed = StillTime()
    pacer: Pacer[int] = Pacer(passed.monotonic, passed.sleep, shortest=0.05, kept=3)
    assert pacer.get("a", costly) == 0
    passed.now += 0.19
    assert pacer.get("a", costly) == 0
    passed.now += 60
    assert pacer.get("a", costly) == 1
    for number in range(3):
        pacer.get(str(number), lambda: 7)
    assert pacer.get("a", costly) == 2


def test_those_who_ask_at_once_for_the_same_get_what_was_made_once() -> None:
    made = count()
    pacer: Pacer[int] = Pacer(time.monotonic)
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: pacer.get("a", lambda: burn() + next(made)), range(8)))
    assert found == {1}


def test_who_asks_for_a_fifth_thing_while_four_are_waited_for_is_refused() -> None:
    pacer: Pacer[str] = Pacer(shortest=0)
    begun, go_on = Event(), Event()

    def make() -> str:
        begun.set()
        go_on.wait(PATIENCE)
        return "made"

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(pacer.get, "a", make)]
        begun.wait(PATIENCE)
        asked += [pool.submit(pacer.get, key, make) for key in ("a", "b", "c", "d", "d")]
        wait_until(lambda: sum(pacer._asked.values()) == 6)  # noqa: SLF001 - nobody else knows
        with pytest.raises(BusyError):
            pacer.get("e", make)
        go_on.set()
        assert [each.result() for each in asked] == ["made"] * 6
    assert pacer.get("e", make) == "made"
