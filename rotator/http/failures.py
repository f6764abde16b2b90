"""What an error of a session of `rotator.http.client` means, for a message that leaks nothing.

The text of such an `OSError` may hold a URL or what a server sent. `explain_failure(error)` tells
what went wrong without it, as far as a user can do something about it.
"""

import enum
import socket
import ssl
from collections.abc import Iterator
from http.client import BadStatusLine
from typing import Any, NamedTuple

import requests
import urllib3
from urllib3.util.ssl_match_hostname import CertificateError


class UnusableProxyError(requests.RequestException):
    """Nothing can be sent through this proxy; `why` names the variable, and not its value."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class AnswerTooLargeError(requests.RequestException):
    """A body is longer than permitted."""


class FailureKind(enum.Enum):
    """What went wrong, as far as a user can do something about it."""

    CERTIFICATE = enum.auto()  # the server's is not trusted: `Failure.certificate` says why
    WANTS_TLS = enum.auto()  # the server speaks TLS at this port, and got plain HTTP
    NO_TLS = enum.auto()  # the server speaks something else at this port
    TLS = enum.auto()  # anything else about TLS
    FILE = enum.auto()  # a CA bundle or a client certificate cannot be used: `detail` says why
    PROXY = enum.auto()  # the proxy did not connect
    BAD_PROXY = enum.auto()  # what names the proxy is no address of one; `detail` says why
    UNKNOWN_HOST = enum.auto()
    REFUSED = enum.auto()  # nothing listens at the address
    TIMEOUT = enum.auto()  # if never sent: no connection in time
    TOO_LARGE = enum.auto()  # the answer
    NOT_JSON = enum.auto()
    BROKEN = enum.auto()  # the connection broke, or what came is not HTTP


class CertificateFault(enum.Enum):
    """Why a server's certificate is not accepted; another remedy helps with each."""

    EXPIRED = enum.auto()
    NOT_YET_VALID = enum.auto()
    OTHER_HOST = enum.auto()
    UNTRUSTED = enum.auto()  # anything else, mostly an authority that is not known


class Failure(NamedTuple):
    """Why an exchange failed.

    `never_sent`: the server cannot have seen the request. `detail` is what OpenSSL says of the
    certificate, or the system's text about the error, or empty; never what a server sent.
    `certificate` is what is wrong with the server's, if the kind is `CERTIFICATE`.
    """

    kind: FailureKind
    never_sent: bool
    detail: str
    certificate: CertificateFault | None = None


def explain_failure(error: OSError) -> Failure:
    """Return what an error of a session, of `read_body` or of `read_json` means."""
    causes = list(_causes(error))
    system = (each.strerror for each in causes if isinstance(each, OSError) and each.strerror)
    detail = next(system, "")
    if isinstance(error, UnusableProxyError):
        return Failure(FailureKind.BAD_PROXY, never_sent=True, detail=error.why)
    if not isinstance(error, requests.RequestException):  # requests raises it for this one reason
        return Failure(FailureKind.FILE, never_sent=True, detail=detail)
    never_sent = any(isinstance(cause, _NEVER_SENT) for cause in causes)
    fitting = (
        kind for kind, kinds in _KINDS.items() if any(isinstance(cause, kinds) for cause in causes)
    )
    kind = next(fitting, FailureKind.BROKEN)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            detail = cause.verify_message
        elif isinstance(cause, ssl.SSLError) and cause.reason in _NOT_TLS:
            kind = FailureKind.NO_TLS
        elif isinstance(cause, ssl.SSLError) and (what := _describe_file_fault(cause)):
            return Failure(FailureKind.FILE, never_sent=True, detail=what)
        elif isinstance(cause, BadStatusLine) and str(cause).startswith(_TLS_ALERT):
            kind = FailureKind.WANTS_TLS
    return Failure(kind, never_sent, detail, find_certificate_fault(error))


def _describe_file_fault(error: ssl.SSLError) -> str | None:
    """Tell what is wrong with a CA bundle or a client certificate, None if it is neither's fault.

    OpenSSL names no file.
    """
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key is not that of the certificate"
    if error.reason == "NO_CERTIFICATE_OR_CRL_FOUND" or "PEM lib" in str(error):
        return "it is no valid PEM file"
    return None


def find_certificate_fault(error: BaseException) -> CertificateFault | None:
    """Return what is wrong with the server's certificate, None where the error is about others."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _CERTIFICATES.get(cause.verify_code, CertificateFault.UNTRUSTED)
        if isinstance(cause, CertificateError):  # where urllib3 compares the names itself
            return CertificateFault.OTHER_HOST
    return None


def advise_on_certificate(fault: CertificateFault | None) -> str | None:
    """Return what to do about it; None if that depends on the kind of server."""
    return _REMEDIES.get(fault)


_REMEDIES: dict[CertificateFault | None, str] = {
    CertificateFault.EXPIRED: "renew it, and check this machine's clock",
    CertificateFault.NOT_YET_VALID: "check this machine's clock, and when the certificate begins",
    CertificateFault.OTHER_HOST: "use a name of the host that the certificate is made for",
}
# X509_V_ERR_… in OpenSSL's include/openssl/x509_vfy.h.
_CERTIFICATES = {
    9: CertificateFault.NOT_YET_VALID,
    10: CertificateFault.EXPIRED,
    62: CertificateFault.OTHER_HOST,
    64: CertificateFault.OTHER_HOST,  # another IP address
}
_TLS_ALERT = "\x15\x03"

_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")
_KINDS: dict[FailureKind, Any] = {  # the first that fits one of the causes
    FailureKind.TOO_LARGE: AnswerTooLargeError,
    FailureKind.NOT_JSON: requests.exceptions.InvalidJSONError,
    FailureKind.CERTIFICATE: ssl.SSLCertVerificationError,
    FailureKind.TLS: (ssl.SSLError, requests.exceptions.SSLError),
    FailureKind.PROXY: requests.exceptions.ProxyError,
    FailureKind.UNKNOWN_HOST: (socket.gaierror, urllib3.exceptions.LocationParseError),
    FailureKind.REFUSED: ConnectionRefusedError,
    FailureKind.TIMEOUT: (TimeoutError, urllib3.exceptions.TimeoutError),
}
_NEVER_SENT = (
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.ProxyError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.LocationParseError,
    urllib3.exceptions.NewConnectionError,
    ssl.SSLCertVerificationError,
)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it wraps; its `__context__` may be of another exchange."""
    known: set[int] = set()
    queue: list[object] = [error]
    while queue:
        cause = queue.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in known:
            known.add(id(cause))
            yield cause
            queue += [*cause.args, getattr(cause, "reason", None), cause.__cause__]
