"""The calls of the auth API, as data. Paths are relative to the base URL, which ends in `/api`."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Call:
    """One call; `doing` is how messages name it, `largest` caps its answer (bytes).

    `repeatable` says that sending it twice does no harm, so that a retry is allowed.
    """

    doing: str
    method: str
    path: str
    repeatable: bool = True
    largest: int = 64 * KIB


LOGIN = Call("log in", "POST", "/auth/login")
REFRESH = Call("refresh the admin session", "POST", "/auth/refresh")
EXCHANGE = Call("exchange the service token", "POST", "/auth/service-token/refresh")
MINT = Call("mint a service token", "POST", "/auth/admin/service-tokens", repeatable=False)
LIST = Call(
    "list the service tokens",
    "GET",
    "/auth/admin/service-tokens",
    largest=16 * MIB,  # it has no pages, and a row of a fleet takes 300 bytes
)
VERIFY = Call("prove the admin's rights", "GET", "/auth/admin/verify")
REVOKE = Call("revoke the service token", "DELETE", "/auth/admin/service-tokens")
