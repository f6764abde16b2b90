"""What there is to be seen of one token: its stores, its hooks, and the API's word on it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rotator.clock import Clock
from rotator.config.settings import TokenSettings
from rotator.doctor import follow_up
from rotator.errors import StoreError, internal_error
from rotator.rotation.decide import Diagnosis
from rotator.rotation.model import Order
from rotator.rotation.observe import Survey, survey
from rotator.rotation.policy import Status, Verdict
from rotator.stores.port import SecretStore
from rotator.wiring import OpenApi


class Examined(NamedTuple):
    """One token. `verdict` is about the current one, whichever stores hold it.

    `probed` says that the API was asked whether it accepts that, `untold` why it did not say.
    `unwritable` tells by URL why a store may not be written. `broken_hooks` are the numbers, from
    1, of those hooks that could not be started; `restarts` tells by workload what is in the way of
    its restart, if anything. `undone` names what of this did not work after the last rotation, as
    far as the settings still have it.
    """

    token: TokenSettings
    seen: Survey
    verdict: Verdict
    probed: bool
    untold: str | None
    unwritable: Mapping[str, str]
    broken_hooks: tuple[int, ...]
    restarts: Mapping[str, str | None]
    undone: tuple[str, ...]


class Examiner(NamedTuple):
    """Looks at tokens; the API is asked where it answers, and the token's settings permit it."""

    api: OpenApi
    api_answers: bool
    clock: Clock
    environ: Mapping[str, str]

    def look(self, token: TokenSettings, stores: Sequence[SecretStore]) -> Examined:
        """Read every store, prove that what a rotation does can be done, and change nothing."""
        seen = survey(stores, self.clock())
        diagnosis = Diagnosis(token, self.api, self.clock)
        verdict, untold = diagnosis.by_stores(seen, Order()), None
        lives = seen.current is not None and verdict.status is not Status.EXPIRED
        probed = lives and token.probe and self.api_answers
        if probed:
            verdict, untold = diagnosis.by_server(seen, Order())
        if seen.current and verdict.reason == "behind":  # each store has a finding of its own
            verdict = diagnosis.settled(seen, seen.current)
        faults = {r.store.url: _unwritable(r.store) for r in seen.reachable}
        unwritable = {url: fault for url, fault in faults.items() if fault}
        broken = follow_up.broken(token.hooks, self.environ)
        restarts = follow_up.try_restarts(token)
        undone = follow_up.name_undone(token, seen.hooks)
        return Examined(token, seen, verdict, probed, untold, unwritable, broken, restarts, undone)


def _unwritable(store: SecretStore) -> str | None:
    try:
        store.preflight()
    except StoreError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - a bug in one store must not hide the others
        return f"{store.url}: {internal_error(error)}"
    return None
