"""The API's list of service tokens, which is believed as a whole or not at all.

It says of itself nothing that could be proven, and a judgement about tokens that was made on the
readable half of it could revoke the wrong one.
"""

import re
from datetime import UTC, datetime
from typing import NamedTuple, TypeGuard

from rotator.errors import ApiFaultError
from rotator.nocturna.calls import LIST

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?", re.ASCII)


class Listed(NamedTuple):
    """A token as the API lists it, revoked ones excepted; all times are aware UTC.

    `expires_at` differs by milliseconds from what a mint answers and from the token's `exp`; that
    of an eternal token is a hundred years after its creation. Only an exchange moves
    `last_used_at`, which is None before the first one.
    """

    token_id: str
    user_id: str
    scope: str | None
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


def listed_tokens(body: object) -> list[Listed]:
    """Check and take over the answer of the list; raises `ApiFaultError` for any row's fault."""
    if not isinstance(body, list):
        raise ApiFaultError(f"{LIST.doing}: the API's answer is no list")
    try:
        return [_listed(row) for row in body]
    except ValueError as error:
        raise ApiFaultError(f"{LIST.doing}: the API's answer has a token with {error}") from None


def is_id(value: object) -> TypeGuard[str]:
    """Tell whether this can be the id of a token or a user, and stand in a path and a message."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _listed(row: object) -> Listed:
    if not isinstance(row, dict):
        raise ValueError("no fields")  # noqa: TRY004 - what is wrong is the answer, not a type
    token_id, user_id, scope = row.get("id"), row.get("user_id"), row.get("scope")
    if not is_id(token_id) or not is_id(user_id):
        raise ValueError("no usable id")
    if scope is not None and not isinstance(scope, str):
        raise ValueError("no usable scope")
    used = row.get("last_used_at")
    return Listed(
        token_id,
        user_id,
        scope,
        created_at=_time(row.get("created_at")),
        expires_at=_time(row.get("expires_at")),
        last_used_at=None if used is None else _time(used),
    )


def _time(text: object) -> datetime:
    """Read a time as the API writes it, in UTC; it names no time zone, a later one may."""
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise ValueError("no usable date")
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError("no usable date") from None
