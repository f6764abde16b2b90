r"""The text of a secret: a bare token, or a JSON object of which one key is the token.

Only that one value is replaced, in the text itself: order, spaces, 1.10, big integers, `\u00e9`
and all else that a JSON library would rewrite stay as they are.
"""

import json
import re
from typing import NamedTuple

from rotator.errors import StoreError

# Numbers stay text: nobody computes with them, and Python refuses the longest as int.
_JSON = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
_SPACE = re.compile(r"[ \t\n\r]*")


class _Member(NamedTuple):
    key: str
    value: object
    start: int
    end: int


def secret_in(text: str | None, field: str | None) -> str | None:
    """Return the token in a secret's text, None where there is none yet, or an empty one.

    Raises `StoreError` where the secret does not have the shape that its URL says.
    """
    if not text:
        return None
    if field is None:
        if (members := _members(text)) is None:
            return text
        if members:
            raise StoreError(
                "this secret is a JSON object, which the bare token would overwrite: name one of"
                " its keys, as in …#NOCTURNA_SERVICE_TOKEN"
            )
        return None
    ours = [member for member in _members_of_object(text) if member.key == field]
    if not ours:
        return None
    if text[ours[-1].start] != '"':
        raise StoreError(
            "the value of this key is no text: correct it, or name another key after the `#`"
        )
    # Text that is no UTF-8 is no token; it must not break the message that says so.
    return str(ours[-1].value).encode("utf-8", "replace").decode() or None


def with_secret(text: str | None, field: str | None, secret: str) -> str:
    """Return the text with another token in it; raises `StoreError`."""
    if field is None:
        secret_in(text, None)
        return secret
    if not text:
        return json.dumps({field: secret})
    members = _members_of_object(text)
    ours = [member for member in members if member.key == field]
    for member in reversed(ours):
        text = f"{text[: member.start]}{json.dumps(secret)}{text[member.end :]}"
    if ours:
        return text
    end = members[-1].end if members else text.index("{") + 1
    comma = ", " if members else ""
    return f"{text[:end]}{comma}{json.dumps(field)}: {json.dumps(secret)}{text[end:]}"


def _members_of_object(text: str) -> list[_Member]:
    members = _members(text)
    if members is None:
        raise StoreError(
            "this secret is no JSON object, and has no keys: remove the `#` and what follows from"
            " the URL if all of it is the token"
        )
    return members


def _members(text: str) -> list[_Member] | None:
    """Return the members of a JSON object, None where the text is something else."""
    members = []
    try:
        if not isinstance(_JSON.decode(text), dict):
            return None
        at = _after_space(text, _after_space(text, 0) + 1)
        while text[at] != "}":
            key, at = _JSON.raw_decode(text, at)
            start = _after_space(text, _after_space(text, at) + 1)
            value, end = _JSON.raw_decode(text, start)
            members.append(_Member(key, value, start, end))
            at = _after_space(text, end)
            if text[at] == ",":
                at = _after_space(text, at + 1)
    except (ValueError, RecursionError):
        return None
    return members


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
