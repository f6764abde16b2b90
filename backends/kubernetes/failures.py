"""From an API server's answer to what a user can do about it: never the server's own words.

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

from backends.kubernetes.access import NoAccessError
from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError

if TYPE_CHECKING:
    import httpx2

ODD = (
    "what answers is no Kubernetes API server, or a proxy before it: check `server` of the"
    " kubeconfig"
)
# The only words of a server that are repeated: names that cannot hold a token.
_ACCOUNT = re.compile(
    r'User "(system:(?:anonymous|serviceaccount:[a-z0-9-]{1,63}:[a-z0-9.-]{1,63}))"'
)
_WEBHOOK = re.compile(r'admission webhook "([a-z0-9.-]{1,100})" denied')


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


class Subject(NamedTuple):
    """What was asked for, in the words of a message.

    `url` begins each message. `objects` is what the right is about, such as `secrets "luna"`;
    `remedy` says what to grant, `missing` what to do where there is no such object.
    """

    url: str
    kind: str
    namespace: str
    verb: str
    objects: str
    remedy: str
    missing: str


def failure(answer: Answer, subject: Subject, nobody: str | None) -> StoreError:
    """Return the error for an answer that is no success.

    `nobody` says where the user is described, if it has no credentials.
    """
    status = answer.status
    error: type[StoreError] = StoreUnreachableError
    if status == HTTPStatus.UNAUTHORIZED or _account(answer) == "system:anonymous":
        error, text = StoreDeniedError, _unknown(status, nobody)
    elif status == HTTPStatus.FORBIDDEN:
        error, text = StoreDeniedError, _forbidden(answer, subject)
    elif answer.reason == "NotFound":
        text = subject.missing
    elif (
        status in (HTTPStatus.GONE, HTTPStatus.TOO_MANY_REQUESTS)
        or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    ):
        text = f"the API server answered {status}: try again when it has recovered"
    elif status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or "Too long" in answer.message:
        error, text = StoreError, _too_large(subject)
    elif status in (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY):
        error, text = StoreError, f"the change was refused ({status}){_by(answer, subject)}"
    else:
        text = ODD
    return error(f"{subject.url}: {text}")


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


def _forbidden(answer: Answer, subject: Subject) -> str:
    message = answer.message
    if "cannot" in message and "resource" in message:
        account = _account(answer)
        who = f" {account}" if account else ""
        return (
            f"user{who} may not {subject.verb} {subject.objects} in the namespace"
            f" {subject.namespace}: {subject.remedy}"
        )
    if "is being terminated" in message:
        return f"the namespace {subject.namespace} is being deleted: create it again"
    if "exceeded quota" in message:
        return f"the quota of the namespace {subject.namespace} is exceeded: raise it"
    return f"the cluster forbids to {subject.verb} this {subject.kind} (403){_by(answer, subject)}"


def _too_large(subject: Subject) -> str:
    return (
        f"the {subject.kind} has become too large (1 MiB, its annotations 256 KiB): remove what is"
        " not needed from it"
    )


def _by(answer: Answer, subject: Subject) -> str:
    webhook = _WEBHOOK.search(answer.message)
    who = f" by the admission webhook {webhook[1]}" if webhook else ""
    edit = f"kubectl edit {subject.kind.lower()}"
    return f"{who}: try it with {edit}, and ask who runs the cluster's admission rules"


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
