"""From what went wrong to what a user can do about it: one line, and never the server's own words.

Status codes: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from backends._kubernetes.address import Address
from backends._kubernetes.kubeconfig import NoAccessError
from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError

if TYPE_CHECKING:
    import httpx2

# The only words of a server that are repeated: names that cannot hold a token.
_ACCOUNT = re.compile(
    r'User "(system:(?:anonymous|serviceaccount:[a-z0-9-]{1,63}:[a-z0-9.-]{1,63}))"'
)
_WEBHOOK = re.compile(r'admission webhook "([a-z0-9.-]{1,100})" denied')

_TOO_LARGE = (
    "the Secret has become too large (1 MiB, its annotations 256 KiB): remove what is not needed"
    " from it"
)
_ODD = (
    "what answers is no Kubernetes API server, or a proxy before it: check `server` of the"
    " kubeconfig"
)


class OddAnswerError(Exception):
    """An answer that no API server gives."""


class Answer(NamedTuple):
    """What the API server answered: an object, or a Status that says why not."""

    status: int
    body: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Answer({self.status}, …)"

    @property
    def reason(self) -> str:
        """The machine-readable reason of a Status, such as NotFound."""
        return str(self.body.get("reason", "")) if self.body.get("kind") == "Status" else ""

    @property
    def message(self) -> str:
        """The sentence of a Status, which must not be repeated."""
        return str(self.body.get("message", "")) if self.body.get("kind") == "Status" else ""


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Turn every failure inside that is no answer into a `StoreError` that names the remedy."""
    import httpx2  # noqa: PLC0415 - loaded where it is used

    try:
        yield
    except NoAccessError as error:
        raise StoreUnreachableError(f"{url}: {error}") from None
    except OddAnswerError:
        raise StoreUnreachableError(f"{url}: {_ODD}") from None
    except httpx2.HTTPError as error:
        raise _unreachable(url, error) from None


def failure(answer: Answer, verb: str, address: Address, nobody: str | None) -> StoreError:
    """Return the error for an answer to `verb` (get, patch, create) that is no success.

    `nobody` says where the user is described, if it has no credentials.
    """
    status = answer.status
    kind: type[StoreError] = StoreUnreachableError
    if status == HTTPStatus.UNAUTHORIZED or _account(answer) == "system:anonymous":
        kind, text = StoreDeniedError, _unknown(status, nobody)
    elif status == HTTPStatus.FORBIDDEN:
        kind, text = StoreDeniedError, _forbidden(answer, verb, address)
    elif answer.reason == "NotFound":
        text = _missing(verb, address)
    elif (
        status in (HTTPStatus.GONE, HTTPStatus.TOO_MANY_REQUESTS)
        or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    ):
        text = f"the API server answered {status}: try again when it has recovered"
    elif status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or "Too long" in answer.message:
        kind, text = StoreError, _TOO_LARGE
    elif status in (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY):
        kind, text = StoreError, f"the change was refused ({status}){_by(answer)}"
    else:
        text = _ODD
    return kind(f"{address.canonical}: {text}")


def immutable(url: str) -> StoreError:
    """Return the error for a Secret that nobody can change."""
    return StoreError(
        f"{url}: this Secret is immutable and cannot take a new token: delete it, and create it"
        " again without `immutable: true`"
    )


def _account(answer: Answer) -> str | None:
    match = _ACCOUNT.search(answer.message) if answer.status == HTTPStatus.FORBIDDEN else None
    return match[1] if match else None


def _unknown(status: int, nobody: str | None) -> str:
    if nobody:
        return (
            f"the API server wants credentials ({status}), and the user in {nobody} has none: give"
            " it a token, a certificate or an exec plugin"
        )
    return (
        f"the API server does not accept these credentials ({status}): renew the token or"
        " certificate of this user, or log in again"
    )


def _forbidden(answer: Answer, verb: str, address: Address) -> str:
    message = answer.message
    if "cannot" in message and "resource" in message:
        account = _account(answer)
        who = f" {account}" if account else ""
        what = "secrets" if verb == "create" else f'secrets "{address.name}"'
        return (
            f"user{who} may not {verb} {what} in the namespace {address.namespace}:"
            f" {_remedy(verb, address)}"
        )
    if "is being terminated" in message:
        return f"the namespace {address.namespace} is being deleted: create it again"
    if "exceeded quota" in message:
        return f"the quota of the namespace {address.namespace} is exceeded: raise it"
    return f"the cluster forbids to {verb} this Secret (403){_by(answer)}"


def _remedy(verb: str, address: Address) -> str:
    """Return which Role is needed: for all of a rotation, unless only to look was tried."""
    verbs = "get" if verb == "get" else "get, patch"
    role = f"a Role with resources: [secrets], verbs: [{verbs}] and resourceNames: [{address.name}]"
    if verb == "get":
        return f"grant it {role}"
    if verb == "patch":
        return f"rotate needs get and patch: grant it {role}"
    return (
        f"rotate needs get, patch and create: grant it {role}, and another rule with"
        " resources: [secrets], verbs: [create]"
    )


def _by(answer: Answer) -> str:
    webhook = _WEBHOOK.search(answer.message)
    who = f" by the admission webhook {webhook[1]}" if webhook else ""
    return f"{who}: try it with kubectl edit secret, and ask who runs the cluster's admission rules"


def _missing(verb: str, address: Address) -> str:
    if verb == "create":
        return f"there is no namespace {address.namespace}: create it"
    return (
        f"there is no Secret {address.name} in the namespace {address.namespace}, or no such"
        f" namespace: create it, or let the rotator create the Secret with '{address.creating}'"
    )


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
