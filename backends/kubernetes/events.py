"""Events: what a run came to, beside the Secret, where `kubectl describe secret` shows it.

https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""

from typing import Any

from backends.kubernetes.address import KubernetesAddress
from backends.kubernetes.connection import MANAGER
from rotator.clock import rfc3339
from rotator.stores.port import StoreEvent

_LONGEST = 1024  # bytes of a message that the API server takes
_CUT = "…"


def describe_event(
    event: StoreEvent, address: KubernetesAddress, uid: str | None
) -> dict[str, Any]:
    """Return the Event about a Secret; `kubectl describe` finds it by the Secret's `uid`."""
    moment = rfc3339(event.at)
    about = {
        "apiVersion": "v1",
        "kind": "Secret",
        "namespace": address.namespace,
        "name": address.name,
        **({"uid": uid} if uid else {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{address.name}.", "namespace": address.namespace},
        "involvedObject": about,
        "type": "Warning" if event.is_failure else "Normal",
        "reason": event.reason,
        "message": _shorten(event.message),
        "source": {"component": MANAGER},
        "reportingComponent": MANAGER,
        "reportingInstance": MANAGER,
        "action": "Rotate",
        "count": 1,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
    }


def _shorten(text: str) -> str:
    if len(text.encode()) <= _LONGEST:
        return text
    kept = text.encode()[: _LONGEST - len(_CUT.encode())]
    return kept.decode(errors="ignore") + _CUT
