"""From what went wrong to what a user can do about it: one line, and never the server's own words.

Status codes: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, NamedTuple

from backends._kubernetes.address import Address
from backends._kubernetes.kubeconfig import NoAccessError
from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError

# The only words of a server that are repeated: names that cannot hold a token.
_ACCOUNT = re.compile(
    r'User "(system:(?:anonymous|serviceaccount:[a-z0-9-]{1,63}:[a-z0-9.-]{1,63}))"'
)
_WEBHOOK = re.compile(r'admission webhook "([a-z0-9.-]{1,100})" denied')

_UNAUTHORIZED = (
    "the API server does not accept these credentials (401): renew the token or certificate of this"
    " user, or log in again"
)
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


def failure(answer: Answer, verb: str, url: str, address: Address) -> StoreError:
    """Return the error for an answer to `verb` (get, patch, create) that is no success."""
    status = answer.status
    kind: type[StoreError] = StoreUnreachableError
    if status == HTTPStatus.UNAUTHORIZED:
        kind, text = StoreDeniedError, _UNAUTHORIZED
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
    return kind(f"{url}: {text}")


def immutable(url: str) -> StoreError:
    """Return the error for a Secret that nobody can change."""
    return StoreError(
        f"{url}: this Secret is immutable and cannot take a new token: delete it, and create it"
        " again without `immutable: true`"
    )


def _forbidden(answer: Answer, verb: str, address: Address) -> str:
    message = answer.message
    if "cannot" in message and "resource" in message:
        account = _ACCOUNT.search(message)
        who = f" {account[1]}" if account else ""
        what = "secrets" if verb == "create" else f'secrets "{address.name}"'
        names = "" if verb == "create" else f" and resourceNames: [{address.name}]"
        return (
            f"user{who} may not {verb} {what} in the namespace {address.namespace}: grant it a Role"
            f" with resources: [secrets], verbs: [{verb}]{names}"
        )
    if "is being terminated" in message:
        return f"the namespace {address.namespace} is being deleted: create it again"
    if "exceeded quota" in message:
        return f"the quota of the namespace {address.namespace} is exceeded: raise it"
    return f"the cluster forbids to {verb} this Secret (403){_by(answer)}"


def _by(answer: Answer) -> str:
    webhook = _WEBHOOK.search(answer.message)
    who = f" by the admission webhook {webhook[1]}" if webhook else ""
    return f"{who}: try it with kubectl edit secret, and ask who runs the cluster's admission rules"


def _missing(verb: str, address: Address) -> str:
    if verb == "create":
        return f"there is no namespace {address.namespace}: create it"
    return (
        f"there is no Secret {address.name} in the namespace {address.namespace}, or no such"
        " namespace: create it, or add ?create=true to the store URL"
    )


def _unreachable(url: str, error: BaseException) -> StoreError:
    import httpx2  # noqa: PLC0415 - loaded where it is used

    cause: BaseException | None = error
    while cause and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return StoreUnreachableError(
            f"{url}: the certificate of the API server is not trusted ({cause.verify_message}):"
            " correct `server` or certificate-authority of the kubeconfig"
        )
    if cause:
        return StoreUnreachableError(
            f"{url}: no TLS with the API server: check `server` of the kubeconfig, and the client"
            " certificate, if there is one"
        )
    if isinstance(error, httpx2.TimeoutException):
        what = "does not answer in time"
    elif isinstance(error, httpx2.ConnectError):
        what = "cannot be reached"
    elif isinstance(error, httpx2.ProxyError):
        what = "cannot be reached through the proxy"
    else:
        what = "broke the connection off"
    return StoreUnreachableError(
        f"{url}: the API server {what}: check `server` of the kubeconfig and the network, and try"
        " again"
    )
