"""Where a run's metrics go: what the options name.

The command line reads this at its start, so it loads neither prometheus_client nor HTTP.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlunsplit

from rotator.errors import ConfigError
from rotator.http.urls import is_readable_on_the_way, parse_http_url


class Gateway(NamedTuple):
    """A Pushgateway; `url` holds no credentials, and messages show no more of it than `place`."""

    url: str
    place: str
    login: tuple[str, str] | None = None

    def __repr__(self) -> str:
        return f"Gateway({self.place})"


def parse_gateway(text: str) -> Gateway:
    """Read a URL; raises `ValueError`, which repeats nothing of it, as it may hold a password."""
    url = parse_http_url(text)
    if url is None:
        raise ValueError(
            "expected the URL of a Pushgateway, such as https://pushgateway.example.com:9091"
        )
    login = None
    if url.username is not None:
        if is_readable_on_the_way(url):
            raise ValueError("found a user and http, expected https: http shows the password")
        login = unquote(url.username), unquote(url.password or "")
    address = url.netloc.rpartition("@")[2]
    bare = urlunsplit((url.scheme, address, url.path.rstrip("/"), "", ""))
    return Gateway(bare, f"{url.scheme}://{address}", login)


def parse_textfile(text: str) -> Path:
    """Read the path of a file; raises `ValueError` for one that node_exporter would not read."""
    path = Path(text)
    if path.suffix != ".prom":
        raise ValueError(f"found {text!r}, expected a file *.prom: node_exporter reads no other")
    return path


class Outlets(NamedTuple):
    """A file for node_exporter and a Pushgateway; None where it is not wanted."""

    textfile: Path | None = None
    gateway: Gateway | None = None

    def __bool__(self) -> bool:
        return self.textfile is not None or self.gateway is not None

    def require(self) -> None:
        """Raise `ConfigError` when either is wanted and prometheus-client is not installed."""
        if self and find_spec("prometheus_client") is None:
            option = "--metrics-textfile" if self.textfile else "--metrics-push"
            raise ConfigError(
                f"{option}: metrics need the package prometheus-client: pip install"
                " 'nocturna-rotator[metrics]'"
            )
