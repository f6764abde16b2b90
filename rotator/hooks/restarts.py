"""Restarts of workloads, for bots that read the secret only when they start.

What restarts them is found by the entry point group `rotator.workloads`, as stores are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping
from datetime import timedelta
from importlib.metadata import EntryPoint
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Protocol, cast

from rotator.config.settings import TokenSettings
from rotator.errors import ConfigError, RotatorError, StoreError, internal_error, join_names
from rotator.stores.port import StoreUrl, parse_url
from rotator.stores.readonly import UnavailableStore
from rotator.stores.registry import find_entry_point, load_backend

_log = logging.getLogger(__name__)
GROUP = "rotator.workloads"
_PLATFORM = "kubernetes"  # also the scheme of the stores beside which the workloads run


class Workloads(Protocol):
    """What the entry point makes of the URL of a store, or of one without a location."""

    @property
    def url(self) -> str:
        """The address of the cluster and namespace."""

    def locate(self, workload: str) -> Hashable:
        """Return what is equal for one workload, whichever token names it; asks nobody."""

    def restart(self, workload: str, states: Mapping[str, str]) -> None:
        """Replace the pods of `[NAMESPACE/]KIND/NAME`, once for these states by token.

        Raises a `StoreError` that begins with the workload.
        """

    def preflight(self, workload: str, token: str) -> None:
        """Prove that `restart` would work, and change nothing; raises what `restart` would."""


class Restarts:
    """The workloads of one token; one without a namespace is in that of its first such store."""

    def __init__(self, token: TokenSettings) -> None:
        self._name = token.name
        self._origin = token.origin
        self._stores = token.stores

    def require(self) -> None:
        """Raise `ConfigError` unless something could restart them; no server is asked."""
        try:
            self._open()
        except StoreError as error:
            raise ConfigError(str(error)) from None

    def locate(self, workload: str) -> Hashable:
        """Return what is equal for one workload, whichever token names it."""
        try:
            return self._open().locate(workload)
        except Exception:  # noqa: BLE001 - to restart it fails as well, and says why
            return self._name, workload

    def restart(self, workload: str, states: Mapping[str, str], timeout: timedelta) -> str | None:
        """Restart a workload for these tokens; return a line about what went wrong, or None."""
        fault = self._try(lambda door: door.restart(workload, states), workload, timeout)
        if fault is None:
            _log.info("%s: the pods of %s are replaced", join_names(states), workload)
        return fault

    def preflight(self, workload: str, timeout: timedelta) -> str | None:
        """Return what would keep a restart from working, or None; nothing is restarted."""
        return self._try(lambda door: door.preflight(workload, self._name), workload, timeout)

    def _try(
        self, act: Callable[[Workloads], None], workload: str, timeout: timedelta
    ) -> str | None:
        try:
            workloads = self._open()
        except RotatorError as error:
            return str(error)
        fault = _run_within(timeout, lambda: act(workloads), workload)
        return fault and f"restart of {fault}"

    def _open(self) -> Workloads:
        try:
            opened = load_backend(_find_entry_point())(self._place())
        except ConfigError as error:
            raise ConfigError(f"{self._origin}: {error}") from None
        if isinstance(opened, UnavailableStore):
            opened.read()
        return cast("Workloads", opened)

    def _place(self) -> StoreUrl:
        """Return the URL of the first store in a cluster; its text begins the error messages."""
        place = f"{self._origin.removesuffix(' stores')} restart"
        for text in self._stores:
            url = parse_url(text, Path())
            if url.scheme == _PLATFORM:
                return url._replace(text=place)
        return StoreUrl(place, _PLATFORM, "", {}, None, Path())


def _find_entry_point() -> EntryPoint:
    if point := find_entry_point(GROUP, _PLATFORM, "restart workloads"):
        return point
    raise ConfigError("no installed package restarts workloads; install nocturna-rotator again")


def _run_within(timeout: timedelta, act: Callable[[], None], workload: str) -> str | None:
    """Return what went wrong, or None; a call that takes longer counts as failed, and runs on.

    In a thread, because no time-out of an SDK covers all that it does. A late restart does no harm.
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
        return f"{workload}: no answer within {seconds}; check the network, or raise hook_timeout"
