"""Restarts of workloads: a change of the pod template replaces the pods once for each token."""

from collections.abc import Hashable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from backends.kubernetes.address import KubernetesAddress, is_namespace, name_annotation
from backends.kubernetes.connection import Connection, share_connection
from backends.kubernetes.failures import NOT_KUBERNETES, Subject, explain
from backends.remote import name_errors
from rotator.errors import StoreError, StoreUnreachableError
from rotator.stores.port import StoreUrl

REPEATABLE = ("GET", "PATCH")  # the same state twice is one restart
_KINDS = {"deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet"}
_SAMPLE = "preflight"


def open_workloads(url: StoreUrl) -> "KubernetesWorkloads":
    """Return the workloads beside a `kubernetes:` store; without a location, where kubectl looks.

    Raises `ConfigError`, and `ModuleNotFoundError` where PyYAML is not installed.
    """
    beside = KubernetesAddress.parse(url) if url.location else None
    context = beside.context if beside else None
    return KubernetesWorkloads(beside, share_connection(context, url.connections, REPEATABLE))


class _Workload(NamedTuple):
    """A Deployment, StatefulSet or DaemonSet; `kind` is a key of `_KINDS`."""

    namespace: str
    kind: str
    name: str

    def describe_patch(self) -> Subject:
        role = (
            f"a Role with apiGroups: [apps], resources: [{self.kind}s], verbs: [patch] and"
            f" resourceNames: [{self.name}]"
        )
        missing = (
            f"there is no {_KINDS[self.kind]} {self.name} in the namespace {self.namespace}, or no"
            " such namespace: create it, or correct `restart`"
        )
        objects = f'{self.kind}s "{self.name}"'
        kind = _KINDS[self.kind]
        return Subject(kind, self.namespace, "patch", objects, f"grant it {role}", missing)

    def prove_restart(self, answer: Mapping[str, Any], annotations: Mapping[str, str]) -> None:
        """Raise `StoreError` unless the answer to the patch shows that pods will be replaced."""
        try:
            spec = answer["spec"]
            present = spec["template"]["metadata"].get("annotations") or {}
            strategy = (spec.get("updateStrategy") or {}).get("type")
            is_ours = answer.get("kind") == _KINDS[self.kind]
            missing = [name for name, state in annotations.items() if present.get(name) != state]
        except (KeyError, TypeError, AttributeError):
            is_ours = False
        if not is_ours:
            raise StoreUnreachableError(NOT_KUBERNETES)
        if missing:
            raise StoreError(
                f"the cluster left the annotation {missing[0]} out: ask who runs its admission"
                " rules"
            )
        kept = "its pods go on with the secret that they read, since"
        if spec.get("paused") is True:
            resume = f"kubectl rollout resume {self.kind}/{self.name} -n {self.namespace}"
            raise StoreError(f"{kept} it is paused: {resume}")
        if strategy == "OnDelete":
            raise StoreError(
                f"{kept} its updateStrategy is OnDelete: make that RollingUpdate, or take it out of"
                " `restart` and delete the pods by hand"
            )


class KubernetesWorkloads:
    """The cluster of a store, with its namespace for workloads that name none."""

    def __init__(self, beside: KubernetesAddress | None, connection: Connection) -> None:
        self.url = beside.canonical if beside else "kubernetes:"
        self._namespace = beside.namespace if beside else None
        self._connection = connection

    def locate(self, workload: str) -> Hashable:
        """Return what is equal for one workload, whichever token names it; asks nobody."""
        *namespace, kind, name = workload.split("/")
        return self._connection, "".join(namespace) or self._namespace, kind, name

    def preflight(self, workload: str, token: str) -> None:
        """Let the server go through a restart with all its checks, as a dry run.

        Raises what `restart` would.
        https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run
        """
        self.restart(workload, {token: _SAMPLE}, dry_run=True)

    def restart(self, workload: str, states: Mapping[str, str], *, dry_run: bool = False) -> None:
        """Have the pods of `[NAMESPACE/]KIND/NAME` replaced, once for these states by token.

        Raises a `StoreError` that begins with the workload.
        """
        *namespace, kind, name = workload.split("/")
        with name_errors(workload):
            found = _Workload("".join(namespace) or self._usual_namespace(), kind, name)
        annotations = {
            name_annotation("token", token, "hashed-token"): state
            for token, state in states.items()
        }
        # Without a change of the template no pod is replaced:
        # https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#updating-a-deployment
        template = {"metadata": {"annotations": annotations}}
        with name_errors("/".join(found)):
            patch = {"spec": {"template": template}}
            path = f"apis/apps/v1/namespaces/{found.namespace}/{found.kind}s/{found.name}"
            answer = self._connection.ask("PATCH", path, patch, dry_run=dry_run)
            if answer.status != HTTPStatus.OK:
                raise explain(answer, found.describe_patch(), self._connection.anonymous)
            found.prove_restart(answer.body, annotations)

    def _usual_namespace(self) -> str:
        namespace = self._namespace or self._connection.namespace
        if not is_namespace(namespace):
            raise StoreUnreachableError(
                "the namespace that the kubeconfig or the pod names is no name of one: correct it,"
                " or write NAMESPACE/KIND/NAME"
            )
        return namespace
