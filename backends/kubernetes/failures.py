"""From an API server's answer to what a user can do about it: never the server's own words.

Status codes: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple

from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError

NOT_KUBERNETES = (
    "what answers is no Kubernetes API server, or a proxy before it: check `server` of the"
    " kubeconfig, or in a pod NO_PROXY"
)
# The only words of a server that are repeated: names that cannot hold a token.
_ACCOUNT = re.compile(
    r'User "(system:(?:anonymous|serviceaccount:[a-z0-9-]{1,63}:[a-z0-9.-]{1,63}))"'
)
_UNAVAILABLE = (HTTPStatus.GONE, HTTPStatus.TOO_MANY_REQUESTS)
_REFUSED = (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)
_WEBHOOK = re.compile(r'admission webhook "([a-z0-9.-]{1,100})" denied')


@dataclass(frozen=True, slots=True)
class KubernetesAnswer:
    """What the API server answered: an object, or a Status that says why not.

    `reason` is the machine-readable one of a Status, such as NotFound; its `message` must not be
    repeated.
    """

    status: int
    body: Mapping[str, Any] = field(repr=False)
    reason: str = ""
    message: str = field(default="", repr=False)

    @classmethod
    def parse(cls, status: int, content: bytes) -> "KubernetesAnswer":
        """Read a body; raises `StoreUnreachableError` where a success is no JSON object."""
        body: object = None
        with suppress(ValueError, RecursionError):
            body = json.loads(content)
        if not isinstance(body, dict):
            if status < HTTPStatus.MULTIPLE_CHOICES:
                raise StoreUnreachableError(NOT_KUBERNETES)
            return cls(status, {})
        details = body if body.get("kind") == "Status" else {}
        return cls(status, body, str(details.get("reason", "")), str(details.get("message", "")))


class Subject(NamedTuple):
    """What was asked for, in the words of a message.

    `objects` is what the right is about, such as `secrets "luna"`; `remedy` says what to grant,
    `missing` what to do where there is no such object.
    """

    kind: str
    namespace: str
    verb: str
    objects: str
    remedy: str
    missing: str


def explain(answer: KubernetesAnswer, subject: Subject, anonymous: str | None) -> StoreError:
    """Return the error for an answer that is no success.

    `anonymous` says where the user is described, if it has no credentials.
    """
    status, message = answer.status, answer.message
    named = _ACCOUNT.search(message) if status == HTTPStatus.FORBIDDEN else None
    account = named[1] if named else ""
    kind: type[StoreError] = StoreUnreachableError
    if status == HTTPStatus.UNAUTHORIZED or account == "system:anonymous":
        kind, text = StoreDeniedError, _describe_login(status, anonymous)
    elif status == HTTPStatus.FORBIDDEN:
        kind, text = StoreDeniedError, _describe_denial(message, account, subject)
    elif answer.reason == "NotFound":
        text = subject.missing
    elif status in _UNAVAILABLE or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        text = f"the API server answered {status}: try again when it has recovered"
    elif status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or "Too long" in message:
        kind = StoreError
        text = (
            f"the {subject.kind} has become too large (1 MiB, its annotations 256 KiB): remove what"
            " is not needed from it"
        )
    elif status in _REFUSED:
        kind = StoreError
        text = f"the change was refused ({status}){_describe_refuser(message, subject)}"
    else:
        text = NOT_KUBERNETES
    return kind(text)


def _describe_login(status: int, anonymous: str | None) -> str:
    if anonymous:
        return (
            f"the API server wants credentials ({status}), and the user in {anonymous} has none:"
            " give it a token, a certificate or an exec plugin"
        )
    return (
        f"the API server does not accept these credentials ({status}): renew the token or"
        " certificate of this user, or log in again"
    )


def _describe_denial(message: str, account: str, subject: Subject) -> str:
    if "cannot" in message and "resource" in message:
        return (
            f"user{account and f' {account}'} may not {subject.verb} {subject.objects} in the"
            f" namespace {subject.namespace}: {subject.remedy}"
        )
    if "is being terminated" in message:
        return f"the namespace {subject.namespace} is being deleted: create it again"
    if "exceeded quota" in message:
        return f"the quota of the namespace {subject.namespace} is exceeded: raise it"
    what = f"the cluster forbids to {subject.verb} this {subject.kind} (403)"
    return what + _describe_refuser(message, subject)


def _describe_refuser(message: str, subject: Subject) -> str:
    webhook = _WEBHOOK.search(message)
    who = f" by the admission webhook {webhook[1]}" if webhook else ""
    edit = f"kubectl edit {subject.kind.lower()}"
    return f"{who}: try it with {edit}, and ask who runs the cluster's admission rules"
