"""Restarts of Kubernetes workloads whose pods read the secret from their environment.

One merge patch sets an annotation of the pod template to the state of the token: the first time the
pods are replaced, and to repeat it changes nothing. The right `patch` on the workload is enough:
a dry run of the same patch proves that.
"""

import os
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path

from backends._kubernetes.failures import translated
from backends.kubernetes.access import SERVICE_ACCOUNT, NoAccessError
from backends.kubernetes.address import Address, is_namespace
from backends.kubernetes.connection import Connection
from backends.kubernetes.failures import failure
from backends.kubernetes.workloads import Workload, annotation_of, patch_of, prove
from rotator.stores.port import StoreUrl

_SDK = "lightkube"
_SAMPLE = "preflight"


def open_workloads(url: StoreUrl) -> "KubernetesWorkloads":
    """Return the workloads beside a `kubernetes:` store, or those where we are without a location.

    Raises `ConfigError`, and `ModuleNotFoundError` where lightkube is not installed.
    """
    beside = Address.parse(url) if url.location else None
    if find_spec(_SDK) is None:
        raise ModuleNotFoundError(name=_SDK)
    return KubernetesWorkloads(beside, os.environ)


class KubernetesWorkloads:
    """The cluster of a store, with its namespace for those that name none."""

    def __init__(
        self,
        beside: Address | None,
        environment: Mapping[str, str],
        *,
        service_account: Path = SERVICE_ACCOUNT,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.url = beside.canonical if beside else "kubernetes:"
        self._namespace = beside.namespace if beside else None
        context = beside.context if beside else None
        self._connection = Connection(context, environment, service_account, sleep)

    def restart(self, workload: str, token: str, state: str) -> None:
        """Have the pods of `[NAMESPACE/]KIND/NAME` replaced, once for each state of this token.

        Raises a `StoreError` that begins with the workload.
        """
        self._annotate(workload, token, state)

    def preflight(self, workload: str, token: str) -> None:
        """Let the server go through a restart with all its checks, as a dry run.

        Raises what `restart` would.
        https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run
        """
        self._annotate(workload, token, _SAMPLE, dry_run=True)

    def _annotate(self, workload: str, token: str, state: str, *, dry_run: bool = False) -> None:
        *namespace, kind, name = workload.split("/")
        annotation = annotation_of(token)
        with translated(workload):
            found = Workload("".join(namespace) or self._usual_namespace(), kind, name)
        with translated(found.url):
            patch = patch_of(annotation, state)
            answer = self._connection.ask(
                "PATCH", found.path, patch, dry_run=dry_run, repeatable=True
            )
            if answer.status != HTTPStatus.OK:
                raise failure(answer, found.subject, self._connection.nobody)
            prove(answer.body, found, annotation, state)

    def _usual_namespace(self) -> str:
        namespace = self._namespace or self._connection.namespace
        if not is_namespace(namespace):
            raise NoAccessError(
                "the namespace that the kubeconfig or the pod names is no name of one: correct it,"
                " or write NAMESPACE/KIND/NAME"
            )
        return namespace
