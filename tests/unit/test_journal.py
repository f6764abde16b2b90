import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.stores.journal import (
    Disuse,
    Intent,
    Journal,
    Leak,
    NamedStore,
    PendingRevocation,
    ReplacedToken,
    is_taken_over,
    new_mint_id,
    scope_digest,
)

# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Tag.html
TAG_LETTERS = re.compile(r"[A-Za-z0-9 _.:/=+@-]*")
EMPTY = Journal()
MINTED = datetime(2026, 11, 23, 9, 12, 33, tzinfo=UTC)

ids = st.none() | st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
zones = st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours)))
moments = st.none() | st.datetimes(
    datetime(2020, 1, 2),  # noqa: DTZ001 - hypothesis wants naive bounds and adds the zone
    datetime(2399, 1, 1),  # noqa: DTZ001 - the same
    timezones=zones,
)
whole_seconds = st.datetimes(
    datetime(2020, 1, 2),  # noqa: DTZ001 - the same
    datetime(2399, 1, 1),  # noqa: DTZ001 - the same
    timezones=st.just(UTC),
).map(lambda moment: moment.replace(microsecond=0))
digests = st.from_regex(r"[0-9a-f]{8}", fullmatch=True)
known_ids = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
intents = st.builds(
    Intent,
    mint_id=st.from_regex(r"[0-9a-f]{12}", fullmatch=True),
    begun_at=whole_seconds,
    days=st.none() | st.integers(1, 365),
    scope=st.builds(scope_digest, st.none() | st.text()),
    token_id=ids,
    earlier=st.lists(known_ids, max_size=3).map(tuple),
)
replaced_tokens = st.lists(
    st.builds(ReplacedToken, known_ids, st.none() | whole_seconds), max_size=8
).map(tuple)
spans = st.integers(1, 366 * 86400).map(lambda seconds: timedelta(seconds=seconds))
disuses = st.builds(
    Disuse,
    quiet=spans,
    is_bounded=st.booleans(),
    since=st.none() | whole_seconds,
    used_at=st.none() | whole_seconds,
    pause=st.none() | spans,
    is_hushed=st.booleans(),
)
timers = st.builds(PendingRevocation, known_ids, whole_seconds, st.none())
owed = st.builds(PendingRevocation, known_ids, whole_seconds, st.none() | disuses)
journals = st.builds(Journal, token_id=ids, previous_token_id=ids, minted_at=moments)
busy_journals = st.builds(
    Journal,
    token_id=ids,
    previous_token_id=ids,
    minted_at=moments,
    intents=st.lists(intents, max_size=8).map(tuple),
    pending=st.lists(owed, max_size=9, unique_by=lambda each: each.token_id).map(tuple),
    hooks=st.lists(digests, unique=True).map(tuple),
    replaced=replaced_tokens,
    put_back_at=st.none() | whole_seconds,
    leak=st.none() | st.builds(Leak, whole_seconds, replaced_tokens, replaced_tokens),
    stores=st.lists(
        st.builds(
            NamedStore,
            st.text("ab:/#?%@=&,. ~é", min_size=1, max_size=9),
            st.none() | whole_seconds,
        ),
        max_size=2,
    ).map(tuple),
)


@given(busy_journals)
def test_what_is_written_is_read_again_to_the_second(journal: Journal) -> None:
    whole = journal.minted_at and journal.minted_at.replace(microsecond=0)
    assert Journal.from_text(journal.to_text()) == replace(journal, minted_at=whole)


@given(busy_journals)
def test_the_text_is_made_of_what_every_store_takes(journal: Journal) -> None:
    assert TAG_LETTERS.fullmatch(journal.to_text())


@given(busy_journals)
def test_versions_that_know_nothing_of_disuse_read_all_the_rest(journal: Journal) -> None:
    words = [word for word in journal.to_text().split() if not word.startswith("unused=")]
    known = tuple(each._replace(disuse=None) for each in journal.pending)
    assert Journal.from_text(" ".join(words)) == replace(
        Journal.from_text(journal.to_text()), pending=known
    )


@given(journals, timers.filter(lambda each: len(each.token_id) <= 36))
def test_at_rest_it_fits_one_aws_tag(journal: Journal, pending: PendingRevocation) -> None:
    assert len(journal.to_text()) <= 256
    uuids = Journal("t" * 36, "p" * 36, MINTED, hooks=("0123abcd",))
    assert len(replace(uuids, pending=(pending,)).to_text()) <= 256
    left = replace(uuids, replaced=(ReplacedToken("p" * 36, MINTED),), put_back_at=MINTED)
    assert len(left.to_text()) <= 256
    leak = Leak(MINTED, (ReplacedToken("p" * 36, MINTED),))
    assert len(replace(uuids, hooks=(), leak=leak).to_text()) <= 256


def test_each_kind_of_record_is_a_word_of_its_own() -> None:
    journal = Journal(
        intents=(Intent("0123456789ab", MINTED, None, "89abcdef", "5f0c"),),
        pending=(
            PendingRevocation("1b2d", MINTED),
            PendingRevocation("0a1c", MINTED, Disuse(timedelta(days=1), is_bounded=True)),
        ),
        hooks=("01234567",),
        replaced=(ReplacedToken("2c3e", MINTED), ReplacedToken("3d4f", None)),
        put_back_at=MINTED,
        leak=Leak(MINTED, (ReplacedToken("4e5f", MINTED), ReplacedToken("5f6a", None))),
    )
    assert journal.to_text() == (
        "v=1 intent=0123456789ab/2026-11-23T09:12:33Z/eternal/89abcdef/5f0c"
        " owed=1b2d@2026-11-23T09:12:33Z owed=0a1c@2026-11-23T09:12:33Z"
        " unused=0a1c/86400/bounded/-/-/-/- hook=01234567"
        " old=2c3e@2026-11-23T09:12:33Z old=3d4f@eternal back=2026-11-23T09:12:33Z"
        " leak=2026-11-23T09:12:33Z leaked=4e5f@2026-11-23T09:12:33Z leaked=5f6a@eternal"
    )


@pytest.mark.parametrize(
    "word",
    [
        "intent=0123456789ab",
        "intent=0123456789ab/2026-11-23T09:12:33Z/0/89abcdef",
        "intent=0123456789ab/2026-11-23T09:12:33Z/1000/89abcdef",
        "intent=0123456789ab/2026-11-33T09:12:33Z/90/89abcdef",
        "intent=0123456789ab/2026-11-23T09:12:33Z/90/89abcdef/../etc",
        "intent=0123456789ab/2026-11-23T09:12:33Z/90/89abcdef/",
        "owed=1b2d",
        "owed=@2026-11-23T09:12:33Z",
        "owed=../../x@2026-11-23T09:12:33Z",
        "unused=1b2d",
        "unused=1b2d/0/-/-/-/-/-",
        "unused=1b2d/86400/-/-/-/-/-",
        "hook=$(reboot)",
        "hook=",
        "old=2c3e",
        "old=2c3e@soon",
        "old=../x@eternal",
        "back=soon",
        "leak=yesterday",
        "leaked=4e5f@eternal",
    ],
)
def test_a_record_that_is_not_understood_is_ignored(word: str) -> None:
    assert Journal.from_text(f"v=1 token=a {word} previous=b") == Journal("a", "b")


def test_a_leak_is_known_without_the_tokens_that_leaked() -> None:
    text = "v=1 leak=2026-11-23T09:12:33Z leaked=../x@eternal"
    assert Journal.from_text(text) == Journal(leak=Leak(MINTED))


def test_a_token_that_leaked_is_an_old_one() -> None:
    leak = Leak(MINTED, (ReplacedToken("a", None), ReplacedToken("b", MINTED)))
    assert Journal("c", "b", leak=leak).old_ids == {"a", "b"}


def test_a_disuse_that_is_not_understood_leaves_the_token_owed() -> None:
    words = "owed=1b2d@2026-11-23T09:12:33Z unused=1b2d/1/-/-/-/-/soon"
    assert Journal.from_text(f"v=1 {words}").pending == (PendingRevocation("1b2d", MINTED),)


def test_an_intent_takes_the_place_of_an_earlier_state_of_itself() -> None:
    intent = Intent("0123456789ab", MINTED, 90, "89abcdef")
    answered = intent._replace(token_id="t1")
    journal = Journal("a").with_intent(intent).with_intent(answered)
    assert journal.intents == (answered,)
    assert journal.without_intents({intent.mint_id}) == Journal("a")


def test_of_more_than_eight_intents_the_oldest_is_forgotten() -> None:
    journal = EMPTY
    for number in range(9):
        journal = journal.with_intent(Intent(f"{number:012x}", MINTED, 90, "89abcdef"))
    assert [intent.mint_id for intent in journal.intents] == [f"{n:012x}" for n in range(1, 9)]


def test_the_text_is_what_the_module_promises() -> None:
    assert Journal("5f0c", "1b2d", MINTED).to_text() == (
        "v=1 token=5f0c previous=1b2d minted=2026-11-23T09:12:33Z"
    )


def test_an_empty_journal_is_no_text_at_all() -> None:
    assert EMPTY.to_text() == ""
    assert Journal.from_text("") == EMPTY


def test_a_moment_of_another_zone_is_written_in_utc() -> None:
    local = MINTED.astimezone(timezone(timedelta(hours=2)))
    assert Journal(minted_at=local).to_text() == "v=1 minted=2026-11-23T09:12:33Z"


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "v=2 token=5f0c",
        "token=5f0c v=1",
        "v=1",
        "v=1 token",
        "v=1 token=",
        "v=1 token=../../etc",
        "v=1 token=" + "t" * 65,
        "v=1 token=$(reboot)",
        "v=1 previous=é",
        "v=1 minted=yesterday",
        "v=1 minted=2026-13-23T09:12:33Z",
        "v=1 minted=2026-11-23T09:12:33",
        "v=1 minted=",
        "v=1 colour=blue",
        "\0" * 300,
        "=" * 10_000_000,
    ],
    ids=lambda text: text[:30].replace("\0", "0"),
)
def test_text_that_is_not_understood_is_ignored(text: str) -> None:
    assert Journal.from_text(text) == EMPTY


def test_what_is_understood_counts_among_what_is_not() -> None:
    text = "v=1  token=a%b previous=1b2d minted=soon later=9 previous"
    assert Journal.from_text(text) == Journal(previous_token_id="1b2d")


@given(st.text())
def test_any_text_is_read_without_trouble_and_keeps_its_meaning(text: str) -> None:
    journal = Journal.from_text(f"v=1 {text}")
    assert TAG_LETTERS.fullmatch(journal.to_text())
    assert Journal.from_text(journal.to_text()) == journal


def test_an_intent_is_taken_over_once_and_by_all_under_the_same_name() -> None:
    intent = Intent(new_mint_id(), MINTED, 90, "3f0a11c2", "t-1")
    taken = intent.taken_over()
    assert is_taken_over(taken.mint_id)
    assert not is_taken_over(intent.mint_id)
    assert taken == taken.taken_over() == intent.taken_over()
    assert taken[1:] == intent[1:]
    assert Intent.from_text(taken.to_text()) == taken
    # One that died in between left both.
    journal = Journal(intents=(intent, taken)).with_taken_over({intent.mint_id})
    assert journal.intents == (taken,)


def test_stores_are_named_as_far_as_one_more_tag_has_room() -> None:
    names = ("a" * 100, "é" * 40, "b" * 90, "c" * 90)
    stores = [NamedStore(f"dotenv:///{name}") for name in names]
    text = Journal(stores=tuple(stores)).to_text()
    assert Journal.from_text(text).stores == (stores[0], stores[2])
    assert len(text) <= 256
