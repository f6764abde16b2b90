"""Opening stores, and what stands in the Secret that they use."""

from collections.abc import Callable, Mapping
from pathlib import Path

from backends.kubernetes.address import KubernetesAddress
from backends.kubernetes.connection import Connection
from backends.kubernetes.store import KubernetesStore
from rotator.http.throttle import Throttle
from rotator.rotation.report import Report
from rotator.stores.port import parse_url
from tests.kubernetes.site import Site

NOWHERE = Path("/nowhere")
Rotate = Callable[[str], list[Report]]  # all tokens of a config, as far as they are due


def opened(
    url: str,
    variables: Mapping[str, str],
    *,
    service_account: Path = NOWHERE,
    throttle: Throttle | None = None,
) -> KubernetesStore:
    address = KubernetesAddress.parse(parse_url(url, Path()))
    connection = Connection(
        address.context, variables, service_account=service_account, throttle=throttle
    )
    return KubernetesStore(address, connection)


def store_of(
    site: Site, url: str | None = None, throttle: Throttle | None = None
) -> KubernetesStore:
    return opened(url or site.store_url, site.variables(site.upstream), throttle=throttle)
