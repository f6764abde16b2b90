"""Where a Pushgateway is, out of the URL that the user gives."""

from typing import NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from rotator.hosts import is_loopback


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
