"""From a kubeconfig's entries to an HTTP client, by lightkube's models, credentials and TLS."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from backends._kubernetes.plugin import user_from_plugin
from backends.kubernetes.access import Access, NoAccessError, find_access

if TYPE_CHECKING:
    import httpx2
    from lightkube.config.models import Cluster, User

_CONNECT, _READ = 5.0, 15.0  # seconds
_BEARER = re.compile(r"[!-~]+")


class Login(NamedTuple):
    """A way to the API server that has been found, to be used for many requests."""

    access: Access
    user: User
    tls: ssl.SSLContext

    def __repr__(self) -> str:
        return f"Login({self.access.server!r})"

    def client(self) -> httpx2.Client:
        """Return a new client, which reads a token file anew; raises `NoAccessError`."""
        import httpx2  # noqa: PLC0415 - loaded where it is used

        try:
            return httpx2.Client(
                base_url=self.access.server,
                auth=self._auth(),
                verify=self.tls,
                proxy=self.access.cluster.get("proxy-url"),
                trust_env=not self.access.is_local,
                timeout=httpx2.Timeout(_READ, connect=_CONNECT),
                headers={"User-Agent": "nocturna-rotator", "Accept": "application/json"},
                follow_redirects=False,
            )
        except (ValueError, ImportError, httpx2.InvalidURL):
            raise NoAccessError(
                f"the proxy of {self.access.origin}, or of HTTPS_PROXY, cannot be used: write"
                " http://HOST:PORT"
            ) from None

    def _auth(self) -> httpx2.Auth | None:
        from lightkube.config.client_adapter import user_auth  # noqa: PLC0415 - loaded where it is used
        from lightkube.config.models import User  # noqa: PLC0415 - (the same)

        token, file = self.user.token, self.user.token_file
        if file is not None:
            token = _content(file)
        if token is None:
            return user_auth(self.user)
        if not _BEARER.fullmatch(token):
            raise NoAccessError(
                f"the token {f'in {file}' if file else f'of {self.access.origin}'} is empty, or no"
                " token: renew it"
            )
        return user_auth(User(token=token))


def log_in(environment: Mapping[str, str], context: str | None, service_account: Path) -> Login:
    """Find the API server and our credentials; raises `NoAccessError`."""
    import msgspec  # noqa: PLC0415 - loaded where it is used
    from lightkube.config.models import Cluster, User  # noqa: PLC0415 - (the same)

    access = find_access(environment, context, service_account)
    entry = user_from_plugin(access, environment) if access.user.get("exec") else access.user
    try:
        cluster, user = msgspec.convert(access.cluster, Cluster), msgspec.convert(entry, User)
    except msgspec.ValidationError:
        raise NoAccessError(
            f"the cluster or the user in {access.origin} has an entry of a wrong kind, such as a"
            " number for a text: correct it"
        ) from None
    return Login(access, user, _tls(access, cluster, user))


def _tls(access: Access, cluster: Cluster, user: User) -> ssl.SSLContext:
    from lightkube.config.client_adapter import verify_cluster  # noqa: PLC0415 - loaded where it is used

    if access.server.startswith("http:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls: ssl.SSLContext | None = None
    # The error has to be gone before another is raised: it holds a temporary file with the key.
    with suppress(OSError, ValueError, TypeError):
        tls = verify_cluster(cluster, user, str, trust_env=not access.is_local)
    if tls is None:
        raise NoAccessError(
            f"a certificate or a key of {access.origin} is missing or broken: look at"
            " certificate-authority, client-certificate and client-key"
        )
    if cluster.certificate_auth or cluster.certificate_auth_data:
        # Python 3.13 asks more of an authority than Go does, and than the ones of EKS offer:
        # https://github.com/kubernetes-client/python/issues/2394
        tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return tls


def _content(file: str) -> str:
    try:
        return Path(file).read_text("utf-8", "replace").strip()
    except OSError as error:
        raise NoAccessError(
            f"the token file {file} cannot be read ({error.strerror}): restore it, or its rights"
        ) from None
