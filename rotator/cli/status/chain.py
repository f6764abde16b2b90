"""The whole chain of one token: all that its next rotation depends on."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from rotator.clock import rfc3339_or_none
from rotator.daemon.rows import FleetStatus, StatusRow
from rotator.rotation.model import OldToken
from rotator.rotation.observe import Snapshot
from rotator.stores.journal import Intent, Journal

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import ListedToken


class ApiWord(NamedTuple):
    """What the API says of a token; what it did not say is None, and `why_…` tells why.

    `accepts` tells whether it exchanges the token. `listed` are the tokens of its list, by id.
    """

    accepts: bool | None = None
    why_not_asked: str | None = None
    listed: "Mapping[str, ListedToken] | None" = None
    why_not_listed: str | None = None


class Setting(NamedTuple):
    """A setting in force, as a user writes it; `place` is what sets it, None for a default."""

    key: str
    value: Any
    place: str | None


class Ancestor(NamedTuple):
    """A token that others have replaced.

    `pending` is what the report says of it, None where it is left to expire, at `expires_at` if
    that is known. `is_listed` tells whether the API still lists it, None where that is not known,
    and `last_used_at` when it was exchanged last.
    """

    token_id: str
    pending: OldToken | None = None
    expires_at: datetime | None = None
    is_listed: bool | None = None
    last_used_at: datetime | None = None


class Chain(NamedTuple):
    """The chain of the token in `row`.

    `hooks` tells by the name of each hook, restart and notice whether it is to be repeated, and
    `owners` by the URL of a store what else keeps the secret there as it wants it.
    """

    row: StatusRow
    settings: Sequence[Setting]
    snapshot: Snapshot
    api: ApiWord
    hooks: Mapping[str, bool]
    owners: Mapping[str, str | None]

    @property
    def journal(self) -> Journal:
        """The journal about the current token, else the first that is not empty."""
        journals = [self.snapshot.journal, *(each.journal for each in self.snapshot.reachable)]
        return next((each for each in journals if each != Journal()), Journal())

    @property
    def mints(self) -> tuple[Intent, ...]:
        """The mints that were begun and are not settled."""
        return tuple(dict.fromkeys(self.snapshot.intents))

    @property
    def row_of_current(self) -> "ListedToken | None":
        """What the API lists of the current token."""
        current = self.snapshot.current
        return (self.api.listed or {}).get((current.token_id if current else None) or "")

    def ancestors(self) -> Iterator[Ancestor]:
        """Yield the old tokens that a journal knows: first those that are to be revoked."""
        report = self.row.report
        pending = {old.token_id: old for old in report.old_tokens} if report else {}
        ends: dict[str, datetime | None] = {}
        others: dict[str, None] = {}
        for each in self.snapshot.reachable:
            ends |= dict(each.journal.replaced)
            others |= dict.fromkeys(sorted(each.journal.old_ids))
        current = self.snapshot.current
        for token_id in dict.fromkeys((*pending, *ends, *others)):
            if current is None or token_id != current.token_id:
                listed = (self.api.listed or {}).get(token_id)
                yield Ancestor(
                    token_id,
                    pending.get(token_id),
                    listed.expires_at if listed else ends.get(token_id),
                    None if self.api.listed is None else listed is not None,
                    listed.last_used_at if listed else None,
                )

    def to_json(self) -> dict[str, Any]:
        """Return the object, with stable keys (docs/commands.md)."""
        journal, listed = self.journal, self.row_of_current
        return {
            "settings": [each._asdict() for each in self.settings],
            "stores": [
                {
                    "store": each.store.url,
                    "token_id": each.token.token_id if each.token else None,
                    "journal_token_id": each.journal.token_id,
                    "owner": self.owners.get(each.store.url),
                    "deletes_at": rfc3339_or_none(each.ends_at),
                }
                for each in self.snapshot.reachable
            ],
            "journal": {
                "token_id": journal.token_id,
                "previous_token_id": journal.previous_token_id,
                "minted_at": rfc3339_or_none(journal.minted_at),
                "put_back_at": rfc3339_or_none(journal.put_back_at),
                "leaked": [each.token_id for each in journal.leak.tokens] if journal.leak else None,
                "mints": [
                    {"begun_at": rfc3339_or_none(each.begun_at), "token_id": each.token_id}
                    for each in self.mints
                ],
            },
            "api": {
                "accepts": self.api.accepts,
                "why_not_asked": self.api.why_not_asked,
                "listed": None if self.api.listed is None else listed is not None,
                "why_not_listed": self.api.why_not_listed,
                "created_at": rfc3339_or_none(listed.created_at if listed else None),
                "last_used_at": rfc3339_or_none(listed.last_used_at if listed else None),
            },
            "hooks": [{"name": name, "owed": owed} for name, owed in self.hooks.items()],
            "ancestors": [
                {
                    "token_id": each.token_id,
                    "due_at": rfc3339_or_none(each.pending.due_at if each.pending else None),
                    "expires_at": rfc3339_or_none(each.expires_at),
                    "listed": each.is_listed,
                    "last_used_at": rfc3339_or_none(each.last_used_at),
                }
                for each in self.ancestors()
            ],
        }


class StatusView(NamedTuple):
    """What `rotator status` shows: a fleet, or a token that was named, alone in it.

    It has a `chain` if the command looked itself. `received` is the object of a daemon that was
    asked.
    """

    fleet: FleetStatus
    chain: Chain | None = None
    received: dict[str, Any] | None = None
    is_named: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the fleet's object; the object of a token that was named has its `chain`."""
        if self.received is not None:
            return self.received
        shown = self.fleet.to_json()
        if self.chain:
            (token,) = shown["tokens"]
            token["chain"] = self.chain.to_json()
        return shown
