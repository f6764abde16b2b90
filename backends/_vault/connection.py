"""From a connection that failed to what a user can do about it."""

import socket
import ssl
from collections.abc import Iterable, Iterator

from backends.vault.failures import RefusedError
from backends.vault.settings import Settings
from rotator.errors import StoreUnreachableError


def no_answer(error: Exception, settings: Settings) -> RefusedError:
    """Return what a failed connection stands for."""
    return RefusedError(StoreUnreachableError, _broken(_causes(error), settings))


def _broken(  # noqa: PLR0911 - a table: one line per cause
    causes: Iterable[BaseException], settings: Settings
) -> str:
    address, names = settings.address, settings.names
    addr = names("ADDR")
    where = f"{address}, the default: set {addr}" if settings.is_default else f"{address} ({addr})"
    for cause in causes:
        match cause:
            case ssl.SSLCertVerificationError():
                return (
                    f"the certificate of {address} is not trusted ({cause.verify_message}): set"
                    f" {names('CACERT')} to the file of its CA, and use the name that it is made"
                    " for"
                )
            case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "RECORD_LAYER_FAILURE"):
                return f"there is no TLS at {address}: begin {addr} with http:// or correct it"
            case ssl.SSLError():
                return (
                    f"TLS with {address} failed: see its TLS versions, and whether it wants a"
                    f" client certificate ({names('CLIENT_CERT')}, {names('CLIENT_KEY')})"
                )
            case ConnectionRefusedError():
                return f"nothing listens at {where}"
            case socket.gaierror():
                return f"the host is not known at {where}"
            case TimeoutError():
                return f"no answer in time from {where}"
    return f"the connection failed or broke off at {where}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    waiting, seen = [error], set[int]()
    while waiting:
        cause = waiting.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        inner = (*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__)
        waiting += [each for each in inner if isinstance(each, BaseException)]
