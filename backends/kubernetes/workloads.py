"""A workload, and the change to its pod template that replaces its pods once for each token."""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from backends.kubernetes.failures import OddAnswerError, Subject
from rotator.errors import StoreError

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
