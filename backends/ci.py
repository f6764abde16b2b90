"""What the mirrors in CI systems have in common: calls with a token, and how they fail."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError, has_control

_NOT_FOUND, _FAULT = 404, 500
_DENIED = (401, 403)
_LARGEST = 1 << 20  # bytes
_LONGEST = 20.0  # seconds: a run makes several calls for each mirror


class CiServer(NamedTuple):
    """A server: the base URL of its API, and the variables of which the first set holds a token.

    `rights` is what the token needs, and `headers` go with each call.
    """

    title: str
    base: str
    variables: Sequence[str]
    rights: str
    headers: Mapping[str, str]


class CiAnswer(NamedTuple):
    """The status of an answer, and its JSON; None where it had none."""

    status: int
    content: Any

    @property
    def is_missing(self) -> bool:
        return self.status == _NOT_FOUND


def call(
    server: CiServer,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    params: Mapping[str, str] | None = None,
) -> CiAnswer:
    """Call the server; return what it answers, an absence included. Raises `StoreError`."""
    from rotator.http.client import BoundedSession, Limits  # noqa: PLC0415 - it loads requests

    headers = {**server.headers, **_login(server)}
    limits = Limits(total=_LONGEST, largest=_LARGEST)
    with BoundedSession(limits, retried_methods=("GET", "PUT")) as session:
        try:
            response = session.request(
                method, server.base + path, json=body, params=params, headers=headers
            )
            status, text = response.status_code, response.content
        except OSError as error:
            raise _describe(server, error) from None
    if status in _DENIED:
        raise StoreDeniedError(
            f"{server.title} denies access ({status}): give the token in {_variable(server)}"
            f" {server.rights}"
        )
    if status >= _FAULT or status == 429:  # noqa: PLR2004 - Too Many Requests
        raise StoreUnreachableError(f"{server.title} answers {status}: try again later")
    try:
        content = json.loads(text) if text.strip() else None
    except (ValueError, RecursionError):
        raise no_api(server) from None
    if status >= 300 and status != _NOT_FOUND:  # noqa: PLR2004 - what is no success
        raise StoreError(f"{server.title} refuses {method} ({status}): check the URL, and its log")
    return CiAnswer(status, content)


def no_api(server: CiServer) -> StoreError:
    """Return the error about an answer that is not that of the API."""
    return StoreUnreachableError(
        f"what answers at {server.base} is no {server.title}: correct the address, or check the"
        " proxy"
    )


def _variable(server: CiServer) -> str:
    return next((name for name in server.variables if os.environ.get(name)), server.variables[0])


def _login(server: CiServer) -> dict[str, str]:
    name = _variable(server)
    token = os.environ.get(name)
    if not token:
        raise StoreDeniedError(
            f"there is no login for {server.title}: set {' or '.join(server.variables)} to a token"
            f" with {server.rights}"
        )
    if has_control(token) or not token.isascii() or " " in token:
        raise StoreDeniedError(f"{name} has spaces, line breaks or worse: set it again")
    return {"Authorization": f"Bearer {token}"}


def _describe(server: CiServer, error: OSError) -> StoreError:
    from rotator.http.failures import advise_on_certificate, explain_failure  # noqa: PLC0415 - it loads requests

    failure = explain_failure(error)
    remedy = advise_on_certificate(failure.certificate) or "check the address, network and proxy"
    why = failure.kind.name.lower().replace("_", " ")
    return StoreUnreachableError(
        f"{server.title} at {server.base} cannot be used ({why}): {remedy}"
    )
