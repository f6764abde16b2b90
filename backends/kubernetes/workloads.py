"""A workload, and the change to its pod template that replaces its pods once for each token."""

import os
import re
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from backends.kubernetes.access import SERVICE_ACCOUNT, NoAccessError
from backends.kubernetes.address import Address, is_namespace
from backends.kubernetes.connection import Connection
from backends.kubernetes.failures import OddAnswerError, Subject, failure, translated
from rotator.errors import StoreError
from rotator.stores.port import StoreUrl

KINDS = {"deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet"}
_VERB = "patch"
# https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/#syntax-and-character-set
_SHORT = re.compile(r"(?=.{1,57}\Z)[A-Za-z0-9._-]*[A-Za-z0-9]")


class Workload(NamedTuple):
    """A Deployment, StatefulSet or DaemonSet; `kind` is a key of `KINDS`."""

    namespace: str
    kind: str
    name: str

    @property
    def url(self) -> str:
        """The text with which a message begins, as a setting has it."""
        return f"{self.namespace}/{self.kind}/{self.name}"

    @property
    def path(self) -> str:
        """Where the API server has it."""
        return f"apis/apps/v1/namespaces/{self.namespace}/{self.kind}s/{self.name}"

    @property
    def subject(self) -> Subject:
        """What messages say of the patch."""
        role = (
            f"a Role with apiGroups: [apps], resources: [{self.kind}s], verbs: [{_VERB}] and"
            f" resourceNames: [{self.name}]"
        )
        return Subject(
            self.url,
            KINDS[self.kind],
            self.namespace,
            _VERB,
            f'{self.kind}s "{self.name}"',
            f"grant it {role}",
            f"there is no {KINDS[self.kind]} {self.name} in the namespace {self.namespace}, or no"
            " such namespace: create it, or correct `restart`",
        )


def annotation_of(token: str) -> str:
    """Return the name of the annotation for a token: each of several has one of its own.

    After the slash it has at most 63 characters.
    """
    if _SHORT.fullmatch(token):
        return f"nocturna-rotator/token.{token}"
    return f"nocturna-rotator/hashed-token.{sha256(token.encode()).hexdigest()[:40]}"


def patch_of(annotation: str, state: str) -> dict[str, Any]:
    """Return the merge patch of the pod template; without a change in it no pod is replaced.

    https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#updating-a-deployment
    """
    return {"spec": {"template": {"metadata": {"annotations": {annotation: state}}}}}


def prove(body: Mapping[str, Any], workload: Workload, annotation: str, state: str) -> None:
    """Raise unless this answer to the patch shows that the pods are going to be replaced.

    Raises `OddAnswerError` where it is no such workload, and `StoreError`.
    """
    try:
        spec = body["spec"]
        metadata = spec["template"]["metadata"]
        found = (metadata.get("annotations") or {}).get(annotation)
        strategy = (spec.get("updateStrategy") or {}).get("type")
        is_paused = spec.get("paused") is True
    except (KeyError, TypeError, AttributeError):
        raise OddAnswerError from None
    if body.get("kind") != KINDS[workload.kind]:
        raise OddAnswerError
    if found != state:
        raise StoreError(
            f"{workload.url}: the cluster left the annotation {annotation} out: ask who runs its"
            " admission rules"
        )
    kept = f"{workload.url}: its pods go on with the secret that they read, since"
    if is_paused:
        resume = f"kubectl rollout resume {workload.kind}/{workload.name} -n {workload.namespace}"
        raise StoreError(f"{kept} it is paused: {resume}")
    if strategy == "OnDelete":
        raise StoreError(
            f"{kept} its updateStrategy is OnDelete: make that RollingUpdate, or take it out of"
            " `restart` and delete the pods by hand"
        )


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
