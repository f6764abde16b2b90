"""Requests to an API server: logged in, in bounded time, and sent again where that is safe."""

import json
import os
import time
from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.kubernetes.failures import KubernetesAnswer

if TYPE_CHECKING:
    from backends.kubernetes.login import Login

MANAGER = "nocturna-rotator"
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_MODULE = "yaml"
_REPEATS = 2
_LONGEST_PAUSE = 5  # seconds


def open_connection(context: str | None, repeatable: Collection[str] = ("GET",)) -> "Connection":
    """Return a connection for this process's environment, without asking the API server.

    Raises `ModuleNotFoundError` where PyYAML is not installed.
    """
    if find_spec(_MODULE) is None:
        raise ModuleNotFoundError(name=_MODULE)
    return Connection(context, os.environ, repeatable=repeatable)


class Connection:
    """A way to an API server, found at the first request; raises `StoreUnreachableError`.

    Requests with `repeatable` methods may be made twice: it is as good as once.
    """

    def __init__(
        self,
        context: str | None,
        environment: Mapping[str, str],
        *,
        repeatable: Collection[str] = ("GET",),
        service_account: Path = SERVICE_ACCOUNT,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._context = context
        self._environment = environment
        self._repeatable = repeatable
        self._service_account = service_account
        self._sleep = sleep
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
        was_refused = False
        for left in reversed(range(_REPEATS + 1)):
            response = self._log_in().send(method, path, **options)
            status = response.status_code
            if status == HTTPStatus.UNAUTHORIZED and not was_refused:
                was_refused, self._login = True, None
            elif status == HTTPStatus.TOO_MANY_REQUESTS or (
                method in self._repeatable and status >= HTTPStatus.INTERNAL_SERVER_ERROR
            ):
                asked = response.headers.get("Retry-After", "")
                if left:
                    pause = min(int(asked), _LONGEST_PAUSE) if asked.isdecimal() else 0
                    self._sleep(float(pause))
            else:
                break
        return KubernetesAnswer.parse(status, response.content)

    def _log_in(self) -> "Login":
        from backends.kubernetes.login import log_in  # noqa: PLC0415 - it loads requests and yaml

        self._login = self._login or log_in(
            self._environment, self._context, self._service_account, self._repeatable
        )
        return self._login
