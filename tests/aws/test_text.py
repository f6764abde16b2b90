"""The text of a secret: one value of it changes, and not a byte of the rest."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.aws.text import secret_in, with_secret
from rotator.errors import StoreError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{}", '{"T": "new"}'),
        (" { } ", ' {"T": "new" } '),
        ('{"T":"old"}', '{"T":"new"}'),
        ('{"T" :\n "old" , "A":1}', '{"T" :\n "new" , "A":1}'),
        ('{"A": 1.10,\n "B": 1e400}', '{"A": 1.10,\n "B": 1e400, "T": "new"}'),
        ('{"\\u0054": "old"}', '{"\\u0054": "new"}'),
        ('{"T": "1", "T": "2"}', '{"T": "new", "T": "new"}'),
        ('{"A": {"T": "other"}}', '{"A": {"T": "other"}, "T": "new"}'),
        (f'{{"A": {"9" * 5000}}}', f'{{"A": {"9" * 5000}, "T": "new"}}'),
    ],
)
def test_only_the_value_changes(before: str, after: str) -> None:
    assert with_secret(before, "T", "new") == after
    assert secret_in(after, "T") == "new"


@given(
    others=st.dictionaries(st.text(), VALUES, max_size=4),
    key=st.text(),
    indent=st.sampled_from([None, 2]),
    ascii_only=st.booleans(),
)
def test_whatever_else_is_in_an_object_stays(
    others: dict[str, object], key: str, *, indent: int | None, ascii_only: bool
) -> None:
    before = json.dumps(others, indent=indent, ensure_ascii=ascii_only)
    after = with_secret(before, key, "new")
    assert secret_in(after, key) == "new"
    left = [item for item in json.loads(after, object_pairs_hook=list) if item[0] != key]
    kept = [item for item in json.loads(before, object_pairs_hook=list) if item[0] != key]
    assert repr(left) == repr(kept)


@pytest.mark.parametrize("text", ["bare", '"text"', "[]", "1", "{", '{"T": }', "[" * 100_000])
def test_a_text_without_keys_has_no_field(text: str) -> None:
    with pytest.raises(StoreError, match="is no JSON object"):
        secret_in(text, "T")
    with pytest.raises(StoreError, match="is no JSON object"):
        with_secret(text, "T", "new")
    assert secret_in(text, None) == text


@pytest.mark.parametrize("value", ["1", "null", "true", '["old"]', '{"T": "old"}'])
def test_a_value_that_is_no_text_is_not_taken_for_a_token(value: str) -> None:
    with pytest.raises(StoreError, match="is no text"):
        secret_in(f'{{"T": {value}}}', "T")


def test_an_object_is_not_taken_for_a_bare_token() -> None:
    with pytest.raises(StoreError, match="name one of its keys"):
        secret_in('{"T": "old"}', None)
    with pytest.raises(StoreError, match="name one of its keys"):
        with_secret('{"T": "old"}', None, "new")


def test_an_empty_object_is_a_secret_that_is_not_there_yet() -> None:
    assert secret_in("{}", None) is None
    assert secret_in("{}", "T") is None
    assert with_secret("{}", None, "new") == "new"


def test_an_empty_value_is_a_secret_that_is_not_there_yet() -> None:
    assert secret_in('{"T": ""}', "T") is None
    assert with_secret('{"T": "", "A": 1}', "T", "new") == '{"T": "new", "A": 1}'
    assert secret_in("", None) is None
    assert secret_in("", "T") is None
    assert with_secret("", "T", "new") == '{"T": "new"}'


def test_what_is_no_unicode_does_not_break_a_message() -> None:
    secret = secret_in('{"T": "\\ud800x"}', "T")
    assert (secret or "").encode() == b"?x"
