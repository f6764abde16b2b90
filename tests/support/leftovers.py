"""What a rotator leaves behind that dies in the middle: a record, and perhaps a token."""

from datetime import timedelta
from itertools import count

from rotator.rotation.mint import WriteAheadIntent
from rotator.rotation.observe import Observation, observe_store
from rotator.stores.journal import Intent, scope_digest
from rotator.stores.port import SecretStore
from tests.support.sandbox import ServiceTokenRow
from tests.support.world import World


class Leftovers:
    """Leaves them in stores and at the API of a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._mints = count(1)

    def intent(
        self,
        store: SecretStore,
        *,
        days: int | None = 90,
        scope: str = "calculations",
        token_id: str | None = None,
    ) -> Intent:
        """Note an intent in a store, as of now."""
        mint_id = f"{next(self._mints):012x}"
        intent = Intent(mint_id, self._world.clock.now, days, scope_digest(scope), token_id)
        reading = observe_store(store)
        assert isinstance(reading, Observation)
        WriteAheadIntent(reading, intent).write()
        return intent

    def token(
        self, *, days: int | None = 90, scope: str = "calculations", age: timedelta = timedelta()
    ) -> ServiceTokenRow:
        """Let the API make a token that nobody got."""
        created = self._world.clock.now - age
        expires_at = None if days is None else created + timedelta(days=days)
        self._world.api.issue(
            created_at=created, expires_at=expires_at, scope=scope, eternal=days is None
        )
        return self._world.api.tokens[-1]
