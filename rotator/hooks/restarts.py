"""Restarts of workloads, for bots that read the secret only when they start.

What restarts them comes in by the entry point group `rotator.workloads`, through the same loading
as stores.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Protocol, cast

from rotator.config.settings import TokenSettings
from rotator.errors import ConfigError, RotatorError, StoreError, internal_error
from rotator.stores.port import StoreUrl, parse_url
from rotator.stores.registry import UnavailableStore, load_backend

_log = logging.getLogger(__name__)
GROUP = "rotator.workloads"
_PLATFORM = "kubernetes"  # also the scheme of the stores beside which the workloads run


class Workloads(Protocol):
    """What the entry point makes of the URL of a store, or of one without a location."""

    @property
    def url(self) -> str:
        """The address of the place in which they run."""
        ...

    def restart(self, workload: str, token: str, state: str) -> None:
        """Have the pods of `[NAMESPACE/]KIND/NAME` replaced, once for each state of this token.

        Raises a `StoreError` that begins with the workload.
        """
        ...

    def preflight(self, workload: str, token: str) -> None:
        """Prove that `restart` would work, and change nothing; raises what it would."""
        ...


class Restarts:
    """The workloads of one token; one without a namespace is in that of its first such store."""

    def __init__(self, token: TokenSettings) -> None:
        self.workloads = token.restart
        self._name = token.name
        self._origin = token.origin
        self._stores = token.stores

    def require(self) -> None:
        """Raise `ConfigError` unless there is what could restart them; no server is asked."""
        try:
            self._opened()
        except StoreError as error:
            raise ConfigError(str(error)) from None

    def failed(self, workload: str, state: str, timeout: timedelta) -> str | None:
        """Restart one of them; return a line about what went wrong, or None."""
        fault = self._fault(
            lambda door: door.restart(workload, self._name, state), workload, timeout
        )
        if fault is None:
            _log.info("%s: the pods of %s are replaced", self._name, workload)
        return fault

    def impossible(self, workload: str, timeout: timedelta) -> str | None:
        """Try to restart one of them without doing it; return what is in the way, or None."""
        return self._fault(lambda door: door.preflight(workload, self._name), workload, timeout)

    def _fault(
        self, act: Callable[[Workloads], None], workload: str, timeout: timedelta
    ) -> str | None:
        try:
            door = self._opened()
        except RotatorError as error:
            return str(error)
        fault = _fault_within(timeout, partial(act, door), workload)
        return fault and f"restart of {fault}"

    def _opened(self) -> Workloads:
        try:
            found = load_backend(_door())(self._beside())
        except ConfigError as error:
            raise ConfigError(f"{self._origin}: {error}") from None
        if isinstance(found, UnavailableStore):
            found.read()
        return cast("Workloads", found)

    def _beside(self) -> StoreUrl:
        place = f"{self._origin.removesuffix(' stores')} restart"  # with which its faults begin
        for text in self._stores:
            url = parse_url(text, Path())
            if url.scheme == _PLATFORM:
                return url._replace(text=place)
        return StoreUrl(place, _PLATFORM, "", {}, None, Path())


def _door() -> EntryPoint:
    found = entry_points(group=GROUP, name=_PLATFORM)
    if len(found) > 1:
        owners = ", ".join(sorted(point.dist.name for point in found if point.dist))
        raise ConfigError(f"several packages restart workloads ({owners}); uninstall all but one")
    for point in found:
        return point
    raise ConfigError("no installed package restarts workloads; install nocturna-rotator again")


def _fault_within(timeout: timedelta, act: Callable[[], None], workload: str) -> str | None:
    """Return what went wrong, if anything; who takes longer is left alone and counts as failed.

    A thread, because no time-out of an SDK covers all that it does. To be late harms nobody.
    """
    faults: SimpleQueue[str | None] = SimpleQueue()

    def run() -> None:
        fault = None
        try:
            act()
        except RotatorError as error:
            fault = str(error)
        except Exception as error:  # noqa: BLE001 - another package may raise anything
            fault = f"{workload}: {internal_error(error)}"
        faults.put(fault)

    Thread(target=run, daemon=True).start()
    try:
        return faults.get(timeout=timeout.total_seconds())
    except Empty:
        seconds = f"{timeout.total_seconds():g} s"
        return f"{workload}: no answer within {seconds}; see to the network, or raise hook_timeout"
