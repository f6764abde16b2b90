"""A cluster to test with: the stand-in, or a real one where `ROTATOR_TEST_KUBECONFIG` is set."""

import http.client
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backends.kubernetes.login import Login, log_in
from tests.kubernetes.apiserver import ApiServer
from tests.kubernetes.serving import serving
from tests.support.relay import Relay
from tests.support.waiting import PATIENCE

REAL = os.environ.get("ROTATOR_TEST_KUBECONFIG")


class Cluster:
    """What an admin can do there. `upstream` takes bearer tokens, without TLS."""

    def __init__(self, kubeconfig: Path, stand_in: ApiServer | None = None) -> None:
        self.kubeconfig = kubeconfig
        self.admin = log_in({**os.environ, "KUBECONFIG": str(kubeconfig)}, None, Path("/nowhere"))
        self.upstream = self.admin.access.server
        self._stand_in = stand_in

    @property
    def stand_in(self) -> ApiServer:
        """The stand-in, for what no real cluster can be made to do; by the fixture `stand_in`."""
        assert self._stand_in
        return self._stand_in

    def do(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Do something as an admin; returns None where there is no such object."""
        kind = "merge-patch+json" if method == "PATCH" else "json"
        content = json.dumps(body) if body is not None else None
        headers = {"Content-Type": f"application/{kind}"}
        answer = self.admin.send(method, path, data=content, headers=headers)
        if answer.status_code == http.HTTPStatus.NOT_FOUND:
            return None
        assert answer.ok, (method, path, answer.status_code, answer.text)
        return answer.json()


class TlsRelay(Relay):
    """An HTTP door to an API server that speaks TLS; it has no credentials of its own."""

    def __init__(self, login: Login) -> None:
        super().__init__(login.access.server)
        self._login = login

    def _connection(self) -> http.client.HTTPConnection:
        assert self._login.tls
        tls = self._login.tls
        name = str(self._login.access.cluster.get("tls-server-name", ""))

        class Connection(http.client.HTTPConnection):
            default_port = http.client.HTTPS_PORT

            def connect(self) -> None:
                super().connect()
                self.sock = tls.wrap_socket(self.sock, server_hostname=name or self.host)

        return Connection(self._upstream.netloc, timeout=PATIENCE)


@contextmanager
def running(kubeconfig: str | None = REAL) -> Iterator[Cluster]:
    """Run the stand-in, or open the door to the real cluster of this admin's kubeconfig."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config")
        if kubeconfig:
            cluster = Cluster(Path(kubeconfig).absolute())
            entry = cluster.admin.access.cluster
            write_kubeconfig(config, user={}, **entry)
            anybody = log_in({**os.environ, "KUBECONFIG": str(config)}, None, Path("/nowhere"))
            with TlsRelay(anybody) as relay:
                cluster.upstream = relay.url
                yield cluster
        else:
            server = ApiServer()
            with serving(server) as upstream:
                user = {"token": server.admin_token}
                yield Cluster(write_kubeconfig(config, upstream, user), server)


def write_kubeconfig(path: Path, server: str, user: Mapping[str, Any], **cluster: object) -> Path:
    """Write a kubeconfig – JSON is YAML – with one context, `here`."""
    named = {"name": "here"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{**named, "cluster": {"server": server, **cluster}}],
        "users": [{**named, "user": dict(user)}],
        "contexts": [{**named, "context": {"cluster": "here", "user": "here"}}],
    }
    path.touch(0o600)
    path.write_text(json.dumps(config))
    return path
