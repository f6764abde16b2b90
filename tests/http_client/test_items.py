"""Long arrays, read item by item, however the body is cut into pieces."""

import io
import json
from typing import Any

import pytest
import requests
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from rotator.http.failures import AnswerTooLargeError, FailureKind, explain_failure
from rotator.http.items import NotAnArrayError, read_json_items

plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


class Body(io.BytesIO):
    """A body that comes in pieces of so many bytes."""

    size = 1

    def read1(self, size: int | None = -1) -> bytes:
        del size
        return super().read1(self.size)


def response_of(body: bytes, size: int = 1 << 16, length: int | None = None) -> requests.Response:
    response, raw = requests.Response(), Body(body)
    raw.size = size
    headers = {"Content-Length": str(len(body) if length is None else length)}
    response.raw = urllib3.HTTPResponse(raw, headers, preload_content=False)
    return response


def read(body: bytes, size: int = 1 << 16) -> list[Any]:
    return read_json_items(response_of(body, size), len(body), lambda item: item)


@given(st.lists(values), st.sampled_from([None, 1]), st.integers(1, 40))
def test_it_is_what_it_would_be_as_a_whole(array: list[Any], indent: int | None, size: int) -> None:
    body = json.dumps(array, indent=indent, ensure_ascii=indent is None)
    assert read(body.encode("utf-8", "surrogatepass"), size) == array


@given(st.text('[]{}",:1e. \n\\utrfn\ufeff☃', max_size=12), st.integers(1, 5))
def test_what_is_no_array_as_a_whole_is_none_in_pieces(text: str, size: int) -> None:
    body = text.encode()
    try:
        whole = json.loads(body)
    except ValueError:
        whole = None
    if isinstance(whole, list):
        assert read(body, size) == whole
    else:
        with pytest.raises((NotAnArrayError, requests.exceptions.InvalidJSONError)):
            read(body, size)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"<html>", b"[1", b"[1,", b"[1,]", b"[,1]", b"[1 2]", b"[1]]", b"[1] x", b"[\xff]"),
        *(b"[" * 100_000, b'["a]', b"[01]", b"[1" + b"1" * 5000 + b"]"),
    ],
    ids=lambda body: repr(body[:8]),
)
def test_what_is_no_json_is_told(body: bytes) -> None:
    with pytest.raises(requests.RequestException) as caught:
        read(body)
    assert explain_failure(caught.value).kind is FailureKind.NOT_JSON


@pytest.mark.parametrize("body", [b"{}", b' {"a": [1]}', b'"text"', b"null", b"-1", b"true"])
def test_other_json_is_no_array(body: bytes) -> None:
    with pytest.raises(NotAnArrayError):
        read(body, 1)


def test_what_makes_the_items_may_refuse_one() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        read_json_items(response_of(b'["1", "x", "2"]'), 99, int)


def test_a_long_array_is_cut_off_and_a_broken_connection_told() -> None:
    with pytest.raises(AnswerTooLargeError):
        read_json_items(response_of(b"[1, 2, 3]"), 8, int)
    with pytest.raises(AnswerTooLargeError):  # small as a text, but 200 MB once it is parsed
        read(b"[{}, [" + b"[]," * (1 << 20) + b"[]]]")
    with pytest.raises(requests.RequestException) as caught:
        read_json_items(response_of(b"[1, 2", length=9), 99, int)
    assert explain_failure(caught.value).kind is FailureKind.BROKEN
