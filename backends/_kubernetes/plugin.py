"""Credentials from an exec plugin, such as `aws eks get-token`.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins

lightkube has its own, but without a time-out, without the version v1 of the protocol that newer
clusters ask for, and with the plugin's stderr in its errors.
"""

import base64
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from typing import Any

from backends.kubernetes.access import Access, NoAccessError

_TIMEOUT = 60.0  # seconds; cloud logins take their time


def user_from_plugin(
    access: Access, environment: Mapping[str, str], *, timeout: float = _TIMEOUT
) -> dict[str, Any]:
    """Run the plugin of `access`; return its credentials as the `user` of a kubeconfig.

    `timeout` is in seconds. Raises `NoAccessError`.
    """
    plugin = access.user["exec"]
    try:
        command = [str(plugin["command"]), *map(str, plugin.get("args") or ())]
        settings = {str(each["name"]): str(each["value"]) for each in plugin.get("env") or ()}
        version = str(plugin["apiVersion"])
    except (KeyError, TypeError, AttributeError):
        raise NoAccessError(
            f"`exec` of {access.origin} needs `apiVersion`, `command`, and lists `args` and `env`:"
            " correct it"
        ) from None
    spec: dict[str, Any] = {"interactive": False}
    if plugin.get("provideClusterInfo"):
        spec["cluster"] = dict(access.cluster)
    told = {"apiVersion": version, "kind": "ExecCredential", "spec": spec}
    answer = _output(
        command,
        {**environment, **settings, "KUBERNETES_EXEC_INFO": json.dumps(told, default=str)},
        timeout,
    )
    user = _user(answer)
    if not user:
        raise _failed(command, "printed no ExecCredential with a token or a certificate")
    return user


def _output(command: list[str], environment: dict[str, str], timeout: float) -> bytes:
    try:
        process = subprocess.Popen(  # noqa: S603 - it is the kubeconfig's, as for kubectl
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise _failed(command, f"cannot be started ({type(error).__name__})") from None
    with process:
        try:
            answer, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with what it started, which holds the pipe
            raise _failed(command, f"did not end within {timeout:g} seconds") from None
    if process.returncode:
        raise _failed(command, f"failed with exit status {process.returncode}")
    return answer


def _user(answer: bytes) -> dict[str, Any]:
    try:
        status = json.loads(answer)["status"]
        user = {"token": status["token"]} if status.get("token") else {}
        for part in ("Certificate", "Key"):
            if text := status.get(f"client{part}Data"):
                encoded = base64.b64encode(text.encode()).decode()
                user[f"client-{part.lower()}-data"] = encoded
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return user


def _failed(command: list[str], what: str) -> NoAccessError:
    name = command[0] if command[0].isprintable() else repr(command[0])
    return NoAccessError(
        f"the exec plugin {name} of the kubeconfig {what}: run it by hand, without a terminal,"
        " to see why"
    )
