"""Undo a mint: revoke a new token that no store holds.

Nothing is revoked that may be another one's: the API's list has to say that the token can have come
of the intent.
"""

from __future__ import annotations

from datetime import timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING

from rotator.errors import RotatorError
from rotator.rotation.reconcile import can_come_of
from rotator.stores.journal import Intent

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import TokenApi


class Found(Enum):
    """What the API's list says of the token that an answer named; `OURS` is revoked."""

    OURS = auto()
    GONE = auto()
    STRANGE = auto()


def revoke_if_ours(api: TokenApi, intent: Intent, timeout: timedelta) -> Found:
    """Revoke the token that an answer named for this intent, and that no store holds.

    The name may be wrong, and of a token that others need: nothing is revoked where the API's list
    does not say that it can come of the intent. Raises what the API's calls raise.
    """
    row = next((row for row in api.list_tokens() if row.token_id == intent.token_id), None)
    if row is None:
        return Found.GONE
    if not can_come_of(row, intent, api.account(), timeout):
        return Found.STRANGE
    api.ensure_revoked(row.token_id, "unused")
    return Found.OURS


def describe_strange(token_id: str) -> str:
    """Return what is to be done where the API's list does not say that a token is ours."""
    return (
        f"it was not revoked, since by the API's list it came of another mint: revoke {token_id} by"
        " hand if nobody uses it"
    )


def advise_by_hand(failure: RotatorError, token_id: str) -> str:
    """Return what is to be done where a new token could not be revoked, and nothing notes it."""
    return f"it could not be revoked ({failure}): revoke {token_id} at the API by hand"
