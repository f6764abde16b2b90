"""The journal: the small record that a rotation leaves beside the secret.

It holds ids and times, never a token. Its text form is made of letters, digits, spaces and
`_.:/=+-@` and has at most 256 characters, so that it also fits an AWS tag value
(https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Tag.html):

    v=1 token=5f0c… previous=1b2d… minted=2026-11-23T09:12:33Z
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

_FORMAT = "v=1"
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Journal:
    """What the store knows about the token that it holds.

    `token_id` is the token last written by a rotator, `previous_token_id` the one that it replaced,
    `minted_at` (aware UTC, whole seconds) the time of its creation.
    """

    token_id: str | None = None
    previous_token_id: str | None = None
    minted_at: datetime | None = None

    def to_text(self) -> str:
        """Return the one-line text form, without what is no id; empty for an empty journal."""
        fields = {"token": self.token_id, "previous": self.previous_token_id}
        words = [f"{key}={value}" for key, value in fields.items() if _checked_id(value)]
        if self.minted_at:
            words.append(f"minted={self.minted_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")
        return " ".join([_FORMAT, *words]) if words else ""

    @classmethod
    def from_text(cls, text: str) -> "Journal":
        """Read the text form; leave out what is not understood: anybody can edit a store."""
        first, *words = text.split() or [""]
        if first != _FORMAT:
            return cls()
        fields = dict(word.split("=", 1) for word in words if "=" in word)
        return cls(
            token_id=_checked_id(fields.get("token")),
            previous_token_id=_checked_id(fields.get("previous")),
            minted_at=_checked_time(fields.get("minted")),
        )


def _checked_id(text: str | None) -> str | None:
    return text if text and _ID.fullmatch(text) else None


def _checked_time(text: str | None) -> datetime | None:
    try:
        return datetime.strptime(text or "", "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
