"""Former stores: those that a journal names, as the token was written there, and no config does.

A token that was moved leaves a copy behind, which works and which nobody renews. The journal names
the stores of a token that has several, and those that it had, until what was there has ended.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from rotator.errors import ConfigError
from rotator.rotation.inventory import FleetStores
from rotator.rotation.observe import Observation, Snapshot, observe_store
from rotator.stores.journal import FAR, NamedStore
from rotator.stores.registry import Backends
from rotator.tokens import ServiceToken, is_live

# Anybody who may write a store can forge its journal: one must not have a program run, nor a
# backend of others do whatever it does. These only read, and what they read is compared.
_READ_ONLY_TO_LOOK = ("dotenv", "vault", "aws-secretsmanager", "aws-ssm", "kubernetes")


class Copy(NamedTuple):
    """A token that a store still shows which the config has no more."""

    url: str
    token: ServiceToken


def names_after(snapshot: Snapshot, now: datetime) -> tuple[NamedStore, ...]:
    """Return which stores the journal of a token names that is about to be written.

    A token's only store is not named: the journal is in it.
    """
    configured = [each.store.url for each in snapshot.answers]
    current = snapshot.current
    end = (current.expires_at or FAR) if current else now
    former = {
        named.url: named._replace(ends_at=named.ends_at or end)
        for each in snapshot.reachable
        for named in each.journal.stores
        if named.url not in configured
    }
    left = [named for named in former.values() if named.ends_at and named.ends_at > now]
    own = configured if len(configured) > 1 else ()
    return (*left, *(NamedStore(url) for url in own))


def find_copies(snapshot: Snapshot, fleet: FleetStores, now: datetime) -> Iterator[Copy]:
    """Look at the stores that journals name; yield those that show a live token of this one's.

    Those of the `fleet` are in the config. One that does not answer, or cannot be opened any more,
    is left out: nothing is known of it.
    """
    named = (store for each in snapshot.reachable for store in each.journal.stores)
    ends = {store.url: store.ends_at for store in named}
    for url in (each.store.url for each in snapshot.answers):
        ends.pop(url, None)
    backends = Backends()
    for url, ends_at in ends.items():
        if url.partition(":")[0] not in _READ_ONLY_TO_LOOK or (ends_at and ends_at <= now):
            continue
        try:
            if fleet.has(url):
                continue
            seen = observe_store(backends.open(url, Path("/")))  # canonical: nothing is relative
        except ConfigError:
            continue
        token = seen.token if isinstance(seen, Observation) else None
        if token and token.token_id in snapshot.known_ids and is_live(token, now):
            yield Copy(url, token)
