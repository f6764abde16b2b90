"""Credentials from an exec plugin, such as `aws eks get-token`.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

import base64
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from typing import Any

from backends.kubernetes.kubeconfig import ClusterAccess
from rotator.errors import StoreUnreachableError

_TIMEOUT = 60.0  # seconds; cloud logins take their time


def user_from_plugin(
    access: ClusterAccess, environment: Mapping[str, str], *, timeout: float = _TIMEOUT
) -> dict[str, str]:
    """Run the plugin of `access`; return its credentials as the `user` of a kubeconfig.

    `timeout` is in seconds. Raises `StoreUnreachableError`.
    """
    plugin = access.user["exec"]
    try:
        command = [str(plugin["command"]), *map(str, plugin.get("args") or ())]
        variables = {str(each["name"]): str(each["value"]) for each in plugin.get("env") or ()}
        version = str(plugin["apiVersion"])
    except (KeyError, TypeError, AttributeError):
        raise StoreUnreachableError(
            f"`exec` of {access.origin} needs `apiVersion`, `command`, and lists `args` and `env`:"
            " correct it"
        ) from None
    spec: dict[str, Any] = {"interactive": False}
    if plugin.get("provideClusterInfo"):
        spec["cluster"] = dict(access.cluster)
    info = json.dumps({"apiVersion": version, "kind": "ExecCredential", "spec": spec}, default=str)
    output = _run(command, {**environment, **variables, "KUBERNETES_EXEC_INFO": info}, timeout)
    user = _parse_credentials(output)
    if not user:
        raise _failed(command, "printed no ExecCredential with a token or a certificate")
    return user


def _run(command: list[str], environment: dict[str, str], timeout: float) -> bytes:
    try:
        process = subprocess.Popen(  # noqa: S603 - the command is the kubeconfig's, as for kubectl
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
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with its children, which hold the pipe open
            raise _failed(command, f"did not end within {timeout:g} seconds") from None
    if process.returncode:
        raise _failed(command, f"failed with exit status {process.returncode}")
    return output


def _parse_credentials(output: bytes) -> dict[str, str]:
    try:
        status = json.loads(output)["status"]
        token = status.get("token")
        user = {"token": token} if token and isinstance(token, str) else {}
        for part in ("Certificate", "Key"):
            if text := status.get(f"client{part}Data"):
                user[f"client-{part.lower()}-data"] = base64.b64encode(text.encode()).decode()
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return user


def _failed(command: list[str], what: str) -> StoreUnreachableError:
    name = command[0] if command[0].isprintable() else repr(command[0])
    return StoreUnreachableError(
        f"the exec plugin {name} of the kubeconfig {what}: run it by hand, without a terminal,"
        " to see why"
    )
