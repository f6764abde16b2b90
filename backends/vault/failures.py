"""What the server answered."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError


@dataclass(frozen=True, slots=True)
class Names:
    """Turns `ADDR` into BAO_ADDR where that is set, and into VAULT_ADDR otherwise."""

    of_openbao: frozenset[str]

    @classmethod
    def set_in(cls, environ: Mapping[str, str]) -> "Names":
        """Find out which names of OpenBao have a value; empty is as good as unset."""
        found = (name for name, value in environ.items() if name.startswith("BAO_") and value)
        return cls(frozenset(name.removeprefix("BAO_") for name in found))

    def __call__(self, name: str) -> str:
        """Return the variable whose value counts, or which is to be set."""
        return f"BAO_{name}" if name in self.of_openbao else f"VAULT_{name}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a JSON object that nobody has checked yet; empty where the body was none."""

    status: int
    body: Mapping[str, Any] = field(repr=False)
    errors: str = field(repr=False)

    @property
    def data(self) -> dict[str, Any]:
        """The object under `data`, empty if it is missing."""
        return as_object(self.body.get("data"))

    @property
    def is_missing(self) -> bool:
        """Whether there is nothing to be changed here; a PATCH is told that without any body."""
        return self.status == 404 and not self.errors  # noqa: PLR2004 - not found

    @property
    def is_foreign(self) -> bool:
        """Whether this is no answer of Vault, which lists what is wrong under `errors`."""
        if self.status >= 400:  # noqa: PLR2004 - RFC 9110, section 15.5
            return "errors" not in self.body
        return not self.body or self.is_strange

    @property
    def is_strange(self) -> bool:
        """Whether a success is none of Vault's, which numbers its answers; 204 is an empty one."""
        return self.status == 200 and "request_id" not in self.body  # noqa: PLR2004 - OK

    @property
    def is_nothing(self) -> bool:
        """Whether Vault itself says that there is nothing here: a proxy's 404 looks otherwise."""
        return self.status == 404 and self.body.get("errors") == []  # noqa: PLR2004 - not found


def as_object(value: object) -> dict[str, Any]:
    """Return a JSON object, empty for anything else."""
    return value if isinstance(value, dict) else {}


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
