"""A rotator as a process: a session, a ledger, stores and a clock of its own."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import requests

from rotator.rotation.in_flight import InFlightMints
from rotator.rotation.inventory import FleetStores
from rotator.rotation.model import LazyApi, RotationContext
from rotator.rotation.policy import RotateOptions
from rotator.rotation.report import Report
from rotator.rotation.rotation import Rotation
from tests.stateful.life import KilledError, Life, Meanwhile
from tests.stateful.scene import Scene
from tests.stateful.stores import LivingStore, Trouble
from tests.stateful.wire import connected

_LONGEST_WAIT = timedelta(minutes=30)


class Rotator:
    """Rotates the fleet, token by token, until it is killed; its clock may be off by `skew`."""

    def __init__(self, scene: Scene, skew: timedelta = timedelta()) -> None:
        self.life = Life()
        self.skew = skew  # it may change: people set clocks
        self._scene = scene
        self._waited = timedelta()
        self._at_work_on = ""
        self.stores = {
            place: LivingStore(place.open(), self.life, scene.locks, scene.stored)
            for place in scene.places
        }
        api = connected(self._deliver, self._now, scene.clock.monotonic)
        fleet = FleetStores(
            lambda: [("luna", s) for s in self.stores.values()], scene.clock.monotonic
        )
        lazy = LazyApi(lambda: api)
        shared = RotationContext(lazy, self._now, InFlightMints(), fleet, self._sleep, {})
        self._rotations = [
            Rotation(
                token,
                [store for place, store in self.stores.items() if place.name == token.name],
                shared,
            )
            for token in scene.tokens
        ]

    def suffer(self, troubles: Mapping[int, Trouble]) -> None:
        """Let these stores, by their number, have trouble from now on, and no others."""
        for number, store in enumerate(self.stores.values()):
            store.suffer(troubles.get(number))

    def run(
        self, order: RotateOptions, dies_at: int | None = None, meanwhile: Meanwhile | None = None
    ) -> list[Report]:
        """Return the reports, those of the tokens at which it had arrived before it died."""
        self.life.begin(dies_at, meanwhile)
        self._waited = timedelta()
        reports: list[Report] = []
        try:
            for rotation in self._rotations:
                self._at_work_on = rotation.name
                reports.append(rotation.rotate(order))
        except KilledError:
            pass
        return reports

    def _now(self) -> datetime:
        return self._scene.clock() + self.skew

    def _sleep(self, seconds: float) -> None:
        self._scene.clock.advance(timedelta(seconds=seconds))
        self._waited += timedelta(seconds=seconds)
        assert self._waited < _LONGEST_WAIT, "it waits for ever"
        self.life.moment()
        self.life.wait()

    def _deliver(self, prepared: requests.PreparedRequest) -> requests.Response:
        self.life.moment()
        try:
            return self._scene.wire.deliver(prepared, self._at_work_on)
        finally:
            if prepared.method == "DELETE":
                self._scene.stored()
            self.life.moment()
