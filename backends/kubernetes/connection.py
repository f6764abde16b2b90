"""Requests to an API server: logged in, in bounded time, and sent again where that is safe."""

import json
import os
import threading
from collections.abc import Collection, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.kubernetes.failures import KubernetesAnswer
from backends.remote import require_module
from rotator.http.throttle import STORE_CONNECTIONS, Throttle

if TYPE_CHECKING:
    from backends.kubernetes.login import Login

MANAGER = "nocturna-rotator"
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_REPEATS = 2
# One connection for each server, user and use of this process: a fleet reads the kubeconfig once.
# `open_store` gets no more than a URL, so there is no other place to share it.
_CONNECTIONS: dict[object, "Connection"] = {}
# A forked child would use its parent's connections.
os.register_at_fork(after_in_child=_CONNECTIONS.clear)


def share_connection(
    context: str | None, connections: int, repeatable: Collection[str] = ("GET",)
) -> "Connection":
    """Return this process's connection for its environment, without asking the API server.

    Raises `ModuleNotFoundError` where PyYAML is not installed.
    """
    require_module("yaml")
    environment = dict(os.environ)
    key = (context, connections, *repeatable, frozenset(environment.items()))
    if known := _CONNECTIONS.get(key):
        return known
    throttle = Throttle(connections)
    made = Connection(context, environment, repeatable=repeatable, throttle=throttle)
    return _CONNECTIONS.setdefault(key, made)


class Connection:
    """A way to an API server, found at the first request; raises `StoreUnreachableError`.

    It is safe to share between threads. Requests with `repeatable` methods may be made twice: that
    is as good as once.
    """

    def __init__(
        self,
        context: str | None,
        environment: Mapping[str, str],
        *,
        repeatable: Collection[str] = ("GET",),
        service_account: Path = SERVICE_ACCOUNT,
        throttle: Throttle | None = None,
    ) -> None:
        self._context = context
        self._environment = environment
        self._repeatable = repeatable
        self._service_account = service_account
        self._throttle = throttle or Throttle(STORE_CONNECTIONS)
        self._logging_in = threading.Lock()
        self._login: Login | None = None

    @property
    def anonymous(self) -> str | None:
        """Where the user is described, if it has no credentials."""
        access = self._login.access if self._login else None
        return access.origin if access and access.is_anonymous else None

    @property
    def namespace(self) -> str:
        """The namespace that kubectl would take."""
        return self._log_in().access.namespace

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        dry_run: bool = False,
    ) -> KubernetesAnswer:
        """Send a request, and again where that is safe: a read, or what was not let in.

        Credentials that are refused are read again, once.
        """
        options: dict[str, Any] = {}
        if body is not None:
            kind = "merge-patch+json" if method == "PATCH" else "json"
            options = {
                "data": json.dumps(body).encode(),
                "headers": {"Content-Type": f"application/{kind}"},
                "params": {"fieldManager": MANAGER, **({"dryRun": "All"} if dry_run else {})},
            }
        refused: Login | None = None
        for _ in range(_REPEATS + 1):
            login = self._log_in(instead_of=refused)
            response = login.send(method, path, **options)
            status = response.status_code
            if status == HTTPStatus.UNAUTHORIZED and not refused:
                refused = login
            elif status != HTTPStatus.TOO_MANY_REQUESTS and (
                method not in self._repeatable or status < HTTPStatus.INTERNAL_SERVER_ERROR
            ):
                break
        return KubernetesAnswer.parse(status, response.content)

    def _log_in(self, instead_of: "Login | None" = None) -> "Login":
        from backends.kubernetes.login import log_in  # noqa: PLC0415 - it loads requests and yaml

        with self._logging_in:
            if self._login is None or self._login is instead_of:
                self._login = log_in(
                    self._environment,
                    self._context,
                    self._service_account,
                    self._repeatable,
                    self._throttle,
                )
            return self._login
