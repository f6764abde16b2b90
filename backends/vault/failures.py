"""From what went wrong to what a user can do about it: one line, and never a value.

No text of the server is repeated: it is looked at for the few answers that share a status.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from backends._vault.answer import Answer
from backends._vault.names import Names
from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError


class RefusedError(Exception):
    """A failure before it is known which store it is about: the kind of error, and its sentence."""

    def __init__(self, kind: type[StoreError], sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind
        self.sentence = sentence


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Name the store in every failure inside."""
    try:
        yield
    except RefusedError as error:
        raise error.kind(f"{url}: {error.sentence}") from None


def refusal(answer: Answer, names: Names) -> RefusedError:
    """Return what an answer stands for that no caller expects.

    Statuses: https://developer.hashicorp.com/vault/api-docs#http-status-codes
    """
    for status, text, kind, sentence in _KNOWN:
        if answer.status == status and text in answer.errors:
            told = sentence.format(ADDR=names("ADDR"), NAMESPACE=names("NAMESPACE"))
            return RefusedError(kind, told)
    if 300 <= answer.status < 400:  # noqa: PLR2004 - RFC 9110, section 15.4
        return RefusedError(
            StoreUnreachableError,
            f"the server redirects ({answer.status}), as a standby does, and no token is sent"
            f" along: point {names('ADDR')} to the active node or to a load balancer before it",
        )
    if answer.status >= 500:  # noqa: PLR2004 - RFC 9110, section 15.6
        return RefusedError(
            StoreUnreachableError,
            f"the server is not able to answer now ({answer.status}): look at its log, or try"
            " later",
        )
    if answer.is_foreign:
        return RefusedError(
            StoreUnreachableError,
            f"what answers is no Vault or OpenBao ({answer.status}): correct"
            f" {names('ADDR')}, which ends without /v1",
        )
    return RefusedError(
        StoreError,
        f"the answer is none that Vault gives here ({answer.status}): see"
        f" {names('ADDR')} and its log",
    )


def denied(path: str, capabilities: tuple[str, ...], doing: str) -> RefusedError:
    """Return the error of a token whose policies lack a line, and the line."""
    listed = ", ".join(f'"{each}"' for each in capabilities)
    return RefusedError(
        StoreDeniedError,
        f"the token may not {doing} {path}: add to a policy of it:"
        f' path "{path}" {{ capabilities = [{listed}] }}',
    )


_KNOWN: tuple[tuple[int, str, type[StoreError], str], ...] = (
    (
        400,
        "http request to an https server",
        StoreUnreachableError,
        "the server speaks https: begin {ADDR} with https://",
    ),
    (
        400,
        "metadata check-and-set",
        StoreError,
        (
            "metadata_cas_required is set for this mount or secret, which the journal cannot"
            " serve: turn that off, and keep cas_required"
        ),
    ),
    (
        404,
        "no handler for route",
        StoreUnreachableError,
        (
            "there is no such mount: correct the URL – ?mount=team/kv for a mount with slashes –"
            " or {NAMESPACE}, or enable the mount"
        ),
    ),
    (404, "namespace", StoreUnreachableError, "there is no such namespace: see {NAMESPACE}"),
    (
        405,
        "",
        StoreError,
        "the server cannot patch metadata: update it to Vault 1.9 or later, or OpenBao",
    ),
    (
        412,
        "",
        StoreUnreachableError,
        "this node lags behind (412): try again, or point {ADDR} to the active node",
    ),
    (
        429,
        "",
        StoreUnreachableError,
        "too many requests (429): try later, or raise the rate limit quota",
    ),
    (503, "sealed", StoreUnreachableError, "the server is sealed: unseal it"),
    (501, "", StoreUnreachableError, "the server is not initialized: run vault operator init"),
)
