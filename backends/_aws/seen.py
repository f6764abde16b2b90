"""What one look at a secret showed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backends.aws.address import REGION

CURRENT = "AWSCURRENT"


@dataclass(frozen=True, slots=True)
class Seen:
    """A secret at one moment.

    `current` is the id of the version that readers get, `labels` what stands on it, `text` its
    content: None where the secret has no version yet, or does not exist. `obstacle` says why it is
    not ours to write.
    """

    exists: bool
    current: str | None = None
    labels: tuple[str, ...] = ()
    text: str | None = field(default=None, repr=False)
    tags: Mapping[str, str] = field(default_factory=dict)
    obstacle: str | None = None


def current_in(about: Mapping[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    """Return id and labels of the current version in an answer of DescribeSecret."""
    for version, labels in (about.get("VersionIdsToStages") or {}).items():
        if CURRENT in labels:
            return version, tuple(labels)
    return None, ()


def obstacle_in(about: Mapping[str, Any], region: str) -> str | None:
    """Return why this secret is to be written by somebody else, or elsewhere, if so."""
    primary = str(about.get("PrimaryRegion") or region)
    if primary != region:
        where = primary if REGION.fullmatch(primary) else "its primary region"
        return (
            f"this is a replica, and only its primary secret can be written: use the one in {where}"
        )
    if about.get("OwningService"):
        return (
            "this secret is managed by another AWS service, which alone may write it: use a secret"
            " of your own"
        )
    if about.get("RotationEnabled"):
        return (
            "automatic rotation is on for this secret, and two rotators would fight: turn it off"
            " (aws secretsmanager cancel-rotate-secret), or use another secret"
        )
    return None
