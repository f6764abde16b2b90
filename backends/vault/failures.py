"""What the server answers, and what an answer means that no caller expects.

Messages name each variable as VAULT_…; `VariableNames` turns that into BAO_… where that one is set.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError

_VARIABLE = re.compile(r'(?<![\w/."-])VAULT_([A-Z_]+)(?![\w/])')  # but no part of a path


class VariableNames(frozenset[str]):
    """The variables that are set under OpenBao's name: ADDR for BAO_ADDR."""

    def spell(self, message: object) -> str:
        """Return a message with BAO_… for each VAULT_… that is set by that name."""
        return _VARIABLE.sub(
            lambda found: f"BAO_{found[1]}" if found[1] in self else found[0], str(message)
        )


@dataclass(frozen=True, slots=True)
class VaultAnswer:
    """A status and an unchecked JSON object, empty where the body is none.

    `errors` is what stands under that name, or the start of a body that is no JSON; in lower case.
    """

    status: int
    body: Mapping[str, Any] = field(repr=False)
    errors: str = field(repr=False)

    @classmethod
    def parse(cls, status: int, content: bytes) -> "VaultAnswer":
        """Read a body that may be anything."""
        try:
            body = as_object(json.loads(content))
        except (ValueError, RecursionError):
            return cls(status, {}, content[:200].decode("ascii", "replace").lower())
        errors = body.get("errors")
        return cls(status, body, str(errors).lower() if errors else "")

    @property
    def data(self) -> dict[str, Any]:
        """The object under `data`, empty if it is missing."""
        return as_object(self.body.get("data"))

    @property
    def is_success(self) -> bool:
        """Whether Vault did what was asked: it numbers every 200, and a 204 has no body."""
        numbered = self.status == HTTPStatus.OK and "request_id" in self.body
        return numbered or self.status == HTTPStatus.NO_CONTENT

    @property
    def is_missing(self) -> bool:
        """Whether there is nothing to change: a PATCH is told so without a body."""
        return self.status == HTTPStatus.NOT_FOUND and not self.errors

    @property
    def is_nothing(self) -> bool:
        """Whether Vault itself says that there is nothing: a proxy's 404 looks otherwise."""
        return self.is_missing and self.body.get("errors") == []

    @property
    def is_foreign(self) -> bool:
        """Whether this is no answer of Vault, which lists under `errors` what is wrong."""
        if self.status >= HTTPStatus.BAD_REQUEST:
            return "errors" not in self.body
        return not self.body or not self.is_success


def as_object(value: object) -> dict[str, Any]:
    """Return a JSON object, empty for anything else."""
    return value if isinstance(value, dict) else {}


def explain(answer: VaultAnswer) -> StoreError:  # noqa: C901, PLR0912 - a table: a case per cause
    """Return the error for an answer that no caller expects.

    Statuses: https://developer.hashicorp.com/vault/api-docs#http-status-codes
    """
    status, errors = answer.status, answer.errors
    kind: type[StoreError] = StoreUnreachableError
    match status:
        case 400 if "http request to an https server" in errors:
            message = "the server speaks https: begin VAULT_ADDR with https://"
        case 400 if "metadata check-and-set" in errors:
            kind = StoreError
            message = (
                "metadata_cas_required is set for this mount or secret, which the journal cannot"
                " serve: turn it off, and keep cas_required"
            )
        case 404 if "no handler for route" in errors:
            message = (
                "there is no such mount: correct the URL – ?mount=team/kv for a mount with slashes"
                " – or VAULT_NAMESPACE, or enable the mount"
            )
        case 404 if "namespace" in errors:
            message = "there is no such namespace: see VAULT_NAMESPACE"
        case 405:
            kind = StoreError
            message = (
                "the server cannot patch metadata: update it to Vault 1.9 or later, or OpenBao"
            )
        case 412:
            message = (
                "this node lags behind (412): try again, or point VAULT_ADDR to the active node"
            )
        case 429:
            message = "too many requests (429): try later, or raise the rate limit quota"
        case 501:
            message = "the server is not initialized: run vault operator init"
        case 503 if "sealed" in errors:
            message = "the server is sealed: unseal it"
        case _ if 300 <= status < 400:  # noqa: PLR2004 - RFC 9110, section 15.4
            message = (
                f"the server redirects ({status}), as a standby does, and the token is not sent"
                " there: point VAULT_ADDR to the active node or to a load balancer in front of it"
            )
        case _ if status >= 500:  # noqa: PLR2004 - RFC 9110, section 15.6
            message = f"the server is not able to answer now ({status}): see its log, or try later"
        case _ if answer.is_foreign:
            message = (
                f"what answers is no Vault or OpenBao ({status}): correct VAULT_ADDR, which ends"
                " without /v1"
            )
        case _:
            kind = StoreError
            message = f"the server's answer is unexpected ({status}): see VAULT_ADDR and its log"
    return kind(message)


def denied(path: str, capabilities: tuple[str, ...], action: str) -> StoreDeniedError:
    """Return the error of a token whose policies lack a line, with the line."""
    listed = ", ".join(f'"{each}"' for each in capabilities)
    return StoreDeniedError(
        f"the token may not {action} {path}: add to one of its policies:"
        f' path "{path}" {{ capabilities = [{listed}] }}'
    )
