"""A way to the API server: certificates, credentials, and a bounded HTTP session."""

import base64
import os
import re
import ssl
import tempfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import requests
import urllib3

from backends.kubernetes.failures import NOT_KUBERNETES
from backends.kubernetes.kubeconfig import ClusterAccess, find_access, user_from_plugin
from rotator.errors import StoreUnreachableError, one_line
from rotator.files import read_small_text, require_ordinary
from rotator.http.client import BoundedSession, Limits
from rotator.http.failures import Failure, FailureKind, advise_on_certificate, explain_failure
from rotator.http.throttle import Throttle

_LIMITS = Limits(backoff=0.05, longest_pause=5)
_REASONS = {
    FailureKind.PROXY: "the proxy does not let us through",
    FailureKind.UNKNOWN_HOST: "no such host",
    FailureKind.REFUSED: "connection refused",
    FailureKind.TIMEOUT: "no connection in time",
}
# Nobody has typed the address in, nor the certificate: what is wrong stands between.
_OF_POD = "check what stands between this pod and it: a proxy (NO_PROXY), or a service mesh"
_BEARER = re.compile(r"[!-~]+")


class Login(NamedTuple):
    """A way to the API server that has been found, to be used for many requests."""

    access: ClusterAccess
    tls: ssl.SSLContext | None
    session: BoundedSession

    def __repr__(self) -> str:
        return f"Login({self.access.server!r})"

    def send(self, method: str, path: str, **options: Any) -> requests.Response:  # noqa: ANN401 - requests' own
        """Send a request; raises `StoreUnreachableError`.

        A token file is read for each request, since its token may be rotated.
        """
        server, proxy = self.access.server.rstrip("/"), self.access.cluster.get("proxy-url")
        proxies = {"http": proxy, "https": proxy} if proxy else None
        try:
            return self.session.request(method, f"{server}/{path}", proxies=proxies, **options)
        except OSError as error:
            text = describe_failure(explain_failure(error), self.access)
            raise StoreUnreachableError(text) from None


def log_in(
    environment: Mapping[str, str],
    context: str | None,
    service_account: Path,
    repeatable: Collection[str] = ("GET",),
    throttle: Throttle | None = None,
) -> Login:
    """Find the API server and our credentials; raises `StoreUnreachableError`.

    Requests with `repeatable` methods are sent again where the connection breaks.
    """
    access = find_access(environment, context, service_account)
    user = user_from_plugin(access, environment) if access.user.get("exec") else access.user
    tls = None if access.server.startswith("http:") else _trust(access, user)
    name = access.cluster.get("tls-server-name")
    session = BoundedSession(
        _LIMITS, retried_methods=repeatable, tls=tls, server_name=name, throttle=throttle
    )
    session.headers.update({"User-Agent": "nocturna-rotator", "Accept": "application/json"})
    session.auth = partial(_authorize, user, access.origin)
    return Login(access, tls, session)


def describe_failure(failure: Failure, access: ClusterAccess) -> str:
    kind, reason = failure.kind, _REASONS.get(failure.kind, failure.detail)
    server = f"the API server {access.server.rstrip('/')}"
    if kind is FailureKind.CERTIFICATE:
        remedy = advise_on_certificate(failure.certificate) or (
            _OF_POD
            if access.is_of_pod
            else "correct `server` or certificate-authority of the kubeconfig"
        )
        return f"the certificate of {server} is not trusted ({reason}): {remedy}"
    if kind in (FailureKind.NO_TLS, FailureKind.TLS):
        remedy = (
            _OF_POD
            if access.is_of_pod
            else ("check `server` of the kubeconfig, and the client certificate, if there is one")
        )
        return f"no TLS with {server}: {remedy}"
    if kind is FailureKind.TOO_LARGE:
        return NOT_KUBERNETES
    if failure.never_sent:
        what = f"cannot be reached ({reason})"
    elif kind is FailureKind.TIMEOUT:
        what = "does not answer in time"
    else:
        what = "broke the connection off"
    remedy = (
        "check the network policies of this pod, NO_PROXY if there is a proxy, and whether the API"
        " server is up"
        if access.is_of_pod
        else "check `server` of the kubeconfig, the proxy if there is one, and the network"
    )
    return f"{server} {what}: {remedy}, and try again"


def _authorize(
    user: Mapping[str, Any], origin: str, request: requests.PreparedRequest
) -> requests.PreparedRequest:
    token, file = user.get("token"), user.get("tokenFile")
    if file:
        try:
            token = read_small_text(Path(file), "utf-8", "replace").strip()
        except OSError as error:
            raise StoreUnreachableError(
                f"the token file {file} cannot be read ({error.strerror}): restore it, or its"
                " permissions"
            ) from None
    if token is not None:
        if not _BEARER.fullmatch(token):
            where = f"in {file}" if file else f"of {origin}"
            raise StoreUnreachableError(f"the token {where} is empty, or no token: renew it")
        request.headers["Authorization"] = f"Bearer {token}"
    elif user.get("username") and user.get("password"):
        pair = f"{user['username']}:{user['password']}".encode()
        request.headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return request


def _trust(access: ClusterAccess, user: Mapping[str, Any]) -> ssl.SSLContext:
    try:
        # Python's TLS reads keys from files only.
        with tempfile.TemporaryDirectory() as folder:
            authority = _file_of(access.cluster, "certificate-authority", folder)
            certificate = _file_of(user, "client-certificate", folder)
            if not authority:
                _check_system_authorities()
            context = ssl.create_default_context(cafile=authority)
            if certificate:
                key = _file_of(user, "client-key", folder)
                # Without a password, OpenSSL would ask a terminal for that of an encrypted key.
                context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError, TypeError) as error:
        what = "is missing or broken"
        if isinstance(error, OSError) and error.filename:
            what = f"cannot be used ({one_line(str(error.filename))}: {error.strerror})"
        raise StoreUnreachableError(
            f"a certificate or a key of {access.origin} {what}: look at"
            " certificate-authority, client-certificate and client-key"
        ) from None
    if authority:
        # Python 3.13 asks more of an authority than Go does, and than the ones of EKS offer:
        # https://github.com/kubernetes-client/python/issues/2394
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    elif access.cluster.get("insecure-skip-tls-verify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return context


def _check_system_authorities() -> None:
    """Raise `OSError` where OpenSSL would wait for those that the environment names."""
    with suppress(FileNotFoundError, PermissionError, NotADirectoryError):
        require_ordinary(os.environ.get("SSL_CERT_FILE", ""))


def _file_of(entry: Mapping[str, Any], key: str, folder: str) -> str | None:
    """Return the path of a certificate or a key; one that is embedded is written to the folder."""
    data: str | None = entry.get(f"{key}-data")
    if not data:
        if named := entry.get(key):
            require_ordinary(named)
        return named or None
    path = Path(folder, key)
    path.touch(0o600)
    path.write_bytes(base64.b64decode(data))
    return str(path)
