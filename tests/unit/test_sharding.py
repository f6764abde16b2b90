from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.rotation.shards import Shard, parse_shard, tokens_of_shard

NAMES = st.lists(st.text("abcdefghijklmnopqrstuvwxyz0123456789._-", min_size=1), unique=True)
MANY = [f"bot-{number}" for number in range(10_000)]


def owners(names: list[str], count: int) -> dict[str, int]:
    return {name: index for index in range(count) for name in tokens_of_shard(names, index, count)}


@given(NAMES, st.integers(1, 12))
def test_every_token_is_in_exactly_one_share(names: list[str], count: int) -> None:
    shares = [tokens_of_shard(names, index, count) for index in range(count)]
    assert sorted(name for each in shares for name in each) == sorted(names)


@given(NAMES, st.integers(1, 12))
def test_one_shard_more_takes_tokens_and_moves_no_other(names: list[str], count: int) -> None:
    before, after = owners(names, count), owners(names, count + 1)
    assert {after[name] for name in names if after[name] != before[name]} <= {count}


@given(NAMES, st.integers(1, 12), st.data())
def test_a_share_does_not_depend_on_who_else_is_there(
    names: list[str], count: int, data: st.DataObject
) -> None:
    some = [name for name in names if data.draw(st.booleans())]
    for index in range(count):
        whole = tokens_of_shard(names, index, count)
        assert tokens_of_shard(some, index, count) == [name for name in whole if name in some]


@pytest.mark.parametrize("count", [1, 4])
def test_of_ten_thousand_tokens_few_move(count: int) -> None:
    before, after = owners(MANY, count), owners(MANY, count + 1)
    moved = [name for name in MANY if before[name] != after[name]]
    assert {after[name] for name in moved} == {count}
    assert len(moved) == pytest.approx(len(MANY) / (count + 1), rel=0.1)


@pytest.mark.parametrize("count", [2, 5])
def test_shares_are_balanced(count: int) -> None:
    sizes = Counter(owners(MANY, count).values())
    for index in range(count):
        assert sizes[index] == pytest.approx(len(MANY) / count, rel=0.1)


def test_shares_are_the_same_in_every_version() -> None:
    # Two versions that disagree would leave tokens to nobody while a fleet is being updated.
    names = ["luna-bot", "sol-bot", "mars-bot", "default", "venus-bot", "io"]
    assert [owners(names, 3)[name] for name in names] == [0, 2, 1, 1, 1, 0]


def test_a_shard_is_read_and_written_alike() -> None:
    assert parse_shard("2/3") == Shard(2, 3)
    assert str(Shard(2, 3)) == "2/3"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3",
        "/",
        "1/",
        "/3",
        "3/3",
        "0/0",
        "-1/3",
        "1/3/5",
        "0/1001",
        "\u0660/\u0663",
        "0x1/3",
        " 0/3",
    ],
)
def test_anything_else_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="expected INDEX/COUNT such as 0/3") as caught:
        parse_shard(text)
    assert "\n" not in str(caught.value)
