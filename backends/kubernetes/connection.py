"""Questions to an API server: logged in, in bounded time, and asked again where that is safe."""

import json
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from backends.kubernetes.access import Login, log_in
from backends.kubernetes.address import Address
from backends.kubernetes.failures import Answer, OddAnswerError

MANAGER = "nocturna-rotator"
_REPEATS = 2
_LONGEST_WAIT = 5  # seconds
_LONGEST_ANSWER = 4 * 2**20  # bytes; a Secret has 1 MiB, as base64, and managed fields
_DEADLINE = 60.0  # seconds for one answer, however slowly it drips


class Connection:
    """A way to an API server; raises `httpx2.HTTPError`, `NoAccessError`, `OddAnswerError`.

    Each request has a connection of its own: they are few, and far between.
    """

    def __init__(
        self,
        context: str | None,
        environment: Mapping[str, str],
        service_account: Path,
        sleep: Callable[[float], object],
    ) -> None:
        self._context = context
        self._environment = environment
        self._service_account = service_account
        self._sleep = sleep
        self._login: Login | None = None

    @property
    def nobody(self) -> str | None:
        """Where the user is described, if it has no credentials."""
        access = self._login.access if self._login else None
        return access.origin if access and access.is_anonymous else None

    @property
    def namespace(self) -> str:
        """The namespace that kubectl would take."""
        return self._logged_in().access.namespace

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        dry_run: bool = False,
        repeatable: bool = False,
    ) -> Answer:
        """Ask, and ask again where that is safe: a read, what was not let in, what was too much.

        `repeatable` says of a change that to make it twice is as good as once.
        """
        import httpx2  # noqa: PLC0415 - loaded where it is used

        repeatable, refused = repeatable or body is None, False
        for left in reversed(range(_REPEATS + 1)):
            try:
                answer, wait = self._ask_once(method, path, body, dry_run=dry_run)
            except (httpx2.NetworkError, httpx2.RemoteProtocolError):
                if not repeatable or not left:
                    raise
                continue
            if answer.status == HTTPStatus.UNAUTHORIZED and not refused:
                refused, self._login = True, None
            elif answer.status == HTTPStatus.TOO_MANY_REQUESTS or (
                repeatable and answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            ):
                if left:
                    self._sleep(wait)
            else:
                break
        return answer

    def _logged_in(self) -> Login:
        self._login = self._login or log_in(self._environment, self._context, self._service_account)
        return self._login

    def _ask_once(
        self, method: str, path: str, body: Mapping[str, Any] | None, *, dry_run: bool
    ) -> tuple[Answer, float]:
        login = self._logged_in()
        request: dict[str, Any] = {}
        if body is not None:
            kind = "merge-patch+json" if method == "PATCH" else "json"
            request = {
                "content": json.dumps(body).encode(),
                "headers": {"Content-Type": f"application/{kind}"},
                "params": {"fieldManager": MANAGER, **({"dryRun": "All"} if dry_run else {})},
            }
        if name := login.access.cluster.get("tls-server-name"):
            request["extensions"] = {"sni_hostname": str(name)}
        with (
            login.client() as client,
            client.stream(method, path, **request) as response,
        ):
            return Answer(response.status_code, _object(response)), _wait(response)


def _object(response: Any) -> dict[str, Any]:  # noqa: ANN401 - the SDK is not loaded here
    content, deadline = bytearray(), time.monotonic() + _DEADLINE
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > _LONGEST_ANSWER or time.monotonic() > deadline:
            raise OddAnswerError
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        if response.is_success:
            raise OddAnswerError
        return {}
    return body


def _wait(response: Any) -> float:  # noqa: ANN401 - (the same)
    asked = response.headers.get("Retry-After", "")
    return float(min(int(asked), _LONGEST_WAIT)) if asked.isdecimal() else 0.0


class Api:
    """One Secret at its API server; raises what a `Connection` does."""

    def __init__(self, address: Address, connection: Connection) -> None:
        self._connection = connection
        self._folder = f"api/v1/namespaces/{address.namespace}/secrets"
        self._file = f"{self._folder}/{address.name}"

    @property
    def nobody(self) -> str | None:
        """Where the user is described, if it has no credentials."""
        return self._connection.nobody

    def get(self) -> Answer:
        """Look at the Secret."""
        return self._connection.ask("GET", self._file)

    def patch(self, change: Mapping[str, Any], *, dry_run: bool = False) -> Answer:
        """Apply a merge patch to the Secret, or have the server only say whether it would."""
        return self._connection.ask("PATCH", self._file, change, dry_run=dry_run)

    def create(self, secret: Mapping[str, Any], *, dry_run: bool = False) -> Answer:
        """Create the Secret, or have the server only say whether it would."""
        return self._connection.ask("POST", self._folder, secret, dry_run=dry_run)
