"""Where a Pushgateway is, out of the URL that the user gives."""

from collections.abc import Callable
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from rotator.clock import Clock
from rotator.errors import ConfigError
from rotator.rotation.model import Report
from rotator.rotation.rotation import Rotation
from rotator.urls import is_loopback


class Gateway(NamedTuple):
    """A Pushgateway; `url` has no credentials in it, and messages show no more than `place`."""

    url: str
    host: str
    place: str
    login: tuple[str, str] | None = None

    def __repr__(self) -> str:
        return f"Gateway({self.place})"


def parse_gateway(text: str) -> Gateway:
    """Read a URL; raises `ValueError`, which shows nothing of it, as it may hold a password."""
    expected = "expected the URL of a Pushgateway, such as https://pushgateway.example.com:9091"
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        raise ValueError(expected) from None
    if url.scheme not in ("http", "https") or not host or url.query or url.fragment or port == 0:
        raise ValueError(expected)
    login = None
    if url.username is not None:
        login = (unquote(url.username), unquote(url.password or ""))
        if url.scheme == "http" and not is_loopback(host):
            raise ValueError("found a user and http, expected https: http shows the password")
    address = url.netloc.rpartition("@")[2]
    bare = urlunsplit((url.scheme, address, url.path.rstrip("/"), "", ""))
    return Gateway(bare, host, f"{url.scheme}://{address}", login)


class Outlets(NamedTuple):
    """A file for node_exporter, and a Pushgateway; None where it is not wanted."""

    textfile: Path | None = None
    gateway: Gateway | None = None

    def __bool__(self) -> bool:
        """Tell whether any is wanted."""
        return self.textfile is not None or self.gateway is not None

    def require(self) -> None:
        """Raise `ConfigError` when they are wanted and prometheus-client is not installed."""
        if self and find_spec("prometheus_client") is None:
            option = "--metrics-textfile" if self.textfile else "--metrics-push"
            raise ConfigError(
                f"{option}: metrics need the package prometheus-client: pip install"
                " 'nocturna-rotator[metrics]'"
            )


class Stopwatch:
    """When the tokens of a run were begun and done; safe to share between threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.spans: dict[str, tuple[datetime, datetime]] = {}

    def timed(self, act: Callable[[Rotation], Report]) -> Callable[[Rotation], Report]:
        """Return `act` with the time taken."""

        def one(rotation: Rotation) -> Report:
            begun = self._clock()
            try:
                return act(rotation)
            finally:
                self.spans[rotation.name] = (begun, self._clock())

        return one


def parse_textfile(text: str) -> Path:
    """Read the path of a file; raises `ValueError` for one that node_exporter would not read."""
    path = Path(text)
    if path.suffix != ".prom":
        raise ValueError(f"found {text!r}, expected a file *.prom: node_exporter reads no other")
    return path
