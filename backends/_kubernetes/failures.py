"""From what was no answer at all to what a user can do about it, in one line."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from backends.kubernetes.access import NoAccessError
from backends.kubernetes.failures import ODD, OddAnswerError
from rotator.errors import StoreError, StoreUnreachableError

if TYPE_CHECKING:
    import httpx2


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Turn every failure inside that is no answer into a `StoreError` that names the remedy."""
    import httpx2  # noqa: PLC0415 - loaded where it is used

    try:
        yield
    except NoAccessError as error:
        raise StoreUnreachableError(f"{url}: {error}") from None
    except OddAnswerError:
        raise StoreUnreachableError(f"{url}: {ODD}") from None
    except httpx2.HTTPError as error:
        raise _unreachable(url, error) from None


def _unreachable(url: str, error: httpx2.HTTPError) -> StoreError:
    causes = list(_causes(error))
    server = _server(error)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return StoreUnreachableError(
                f"{url}: the certificate of the API server is not trusted ({cause.verify_message}):"
                " correct `server` or certificate-authority of the kubeconfig"
            )
        if isinstance(cause, ssl.SSLError):
            return StoreUnreachableError(
                f"{url}: no TLS with {server}: check `server` of the kubeconfig, and the client"
                " certificate, if there is one"
            )
    return StoreUnreachableError(
        f"{url}: {server} {_what(error, causes)}: check `server` of the kubeconfig, the proxy if"
        " there is one, and the network, and try again"
    )


def _what(error: httpx2.HTTPError, causes: list[BaseException]) -> str:
    import httpx2  # noqa: PLC0415 - loaded where it is used

    if isinstance(error, httpx2.ConnectTimeout):
        return "cannot be reached (no connection in time)"
    if isinstance(error, httpx2.TimeoutException):
        return "does not answer in time"
    if isinstance(error, httpx2.ProxyError):
        return "cannot be reached through the proxy"
    if not isinstance(error, httpx2.ConnectError):
        return "broke the connection off"
    return f"cannot be reached{_why(causes)}"


def _why(causes: list[BaseException]) -> str:
    system = next((cause for cause in causes if isinstance(cause, OSError)), None)
    if isinstance(system, socket.gaierror):
        return " (no such host)"
    if isinstance(system, ConnectionRefusedError):
        return " (connection refused)"
    return f" ({system.strerror})" if system and system.strerror else ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _server(error: httpx2.HTTPError) -> str:
    try:
        asked = error.request.url
    except RuntimeError:  # it has none before it is sent
        return "the API server"
    return f"the API server {asked.scheme}://{asked.netloc.decode()}"
