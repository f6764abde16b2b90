"""A real server, OpenBao, and an operator who may everything there."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.support.waiting import PATIENCE

ROOT = "root-of-this-test"
# The last of what it says at its start, as a server for development and otherwise.
_READY = (
    "Development mode should NOT be used",
    "Unseal Key (will not be used)",
    "server started!",
    "Proxy started!",
)
_PR_SET_PDEATHSIG = 1  # prctl(2)
_BAO = shutil.which("bao", path=str(Path(sys.executable).parent)) or "bao"


class Bao:
    """The API, as the operator uses it."""

    def __init__(self, url: str, ca: Path | None = None) -> None:
        self.url = url
        self._verify = str(ca) if ca else True

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, namespace: str = ""
    ) -> Any:  # noqa: ANN401 - JSON
        headers = {"X-Vault-Token": ROOT, "X-Vault-Namespace": namespace}
        if method == "PATCH":
            headers["Content-Type"] = "application/merge-patch+json"
        answer = requests.request(
            method,
            f"{self.url}/v1/{path}",
            json=body,
            headers=headers,
            verify=self._verify,
            timeout=PATIENCE,
        )
        if answer.status_code != requests.codes.not_found:
            assert answer.ok, (method, path, answer.text)
        return answer.json() if answer.content else {}

    def mount(self, path: str, version: int = 2, namespace: str = "") -> None:
        body = {"type": "kv", "options": {"version": str(version)}}
        self.call("POST", f"sys/mounts/{path}", body, namespace)
        if version == 2:
            self.wait_for(path, namespace)

    def token_for(self, policy: str, name: str, **options: object) -> str:
        """Return a token with this policy only, and without the default one."""
        self.call("PUT", f"sys/policies/acl/{name}", {"policy": policy})
        wanted = {"policies": [name], "no_default_policy": True, "ttl": "1h"} | options
        made = self.call("POST", "auth/token/create", wanted)
        return str(made["auth"]["client_token"])

    def wait_for(self, mount: str, namespace: str = "") -> None:
        """A new mount answers 400 while it is upgraded to version 2."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.call("GET", f"{mount}/config", namespace=namespace)
            except AssertionError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            else:
                return


@contextmanager
def dev_server(folder: Path, *options: str) -> Iterator[int]:
    """Run a server that is ready to be used, and gone with this process; yield its port."""
    port = free_port()
    arguments = (
        "-dev",
        f"-dev-listen-address=127.0.0.1:{port}",
        f"-dev-root-token-id={ROOT}",
        "-dev-no-store-token",
        *options,
    )
    with _running(folder, port, arguments):
        yield port


@contextmanager
def sealed_server(folder: Path, listener: str = "tls_disable = true") -> Iterator[int]:
    """Run a server that nobody has unsealed; yield its port."""
    port = free_port()
    config = folder / "sealed.hcl"
    config.write_text(
        'storage "inmem" {}\n'
        f'listener "tcp" {{\n  address = "127.0.0.1:{port}"\n  {listener}\n}}\n'
    )
    with _running(folder, port, (f"-config={config}",)):
        yield port


@contextmanager
def agent(folder: Path, upstream: str, role_id: str, secret_id: str) -> Iterator[str]:
    """Run a proxy that logs in by itself and adds its token; yield its URL."""
    port = free_port()
    for name, text in (("role-id", role_id), ("secret-id", secret_id)):
        (folder / name).write_text(text)
    config = folder / "proxy.hcl"
    config.write_text(
        f'vault {{ address = "{upstream}" }}\n'
        'auto_auth { method "approle" { config = {\n'
        f'  role_id_file_path = "{folder}/role-id"\n  secret_id_file_path = "{folder}/secret-id"\n'
        "  remove_secret_id_file_after_reading = false\n} } }\n"
        "api_proxy { use_auto_auth_token = true }\n"
        f'listener "tcp" {{ address = "127.0.0.1:{port}"\n  tls_disable = true }}\n'
    )
    with _running(folder, port, (f"-config={config}",), "proxy"):
        yield f"http://127.0.0.1:{port}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _running(
    folder: Path, port: int, arguments: tuple[str, ...], command: str = "server"
) -> Iterator[None]:
    log = folder / f"bao-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [_BAO, command, *arguments],
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - it only asks the kernel
        )
    try:
        _wait_until_it_answers(process, log)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait_until_it_answers(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        if any(sentence in log.read_text() for sentence in _READY):
            return
        time.sleep(0.02)
    raise AssertionError(log.read_text())
