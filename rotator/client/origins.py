"""The API's address, and which requests go there."""

import logging
from urllib.parse import SplitResult, urlsplit

from rotator.errors import ConfigError
from rotator.urls import is_loopback

_log = logging.getLogger(__name__)
_MOST_WARNINGS = 100
_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int]


def check_url(url: str, *, allow_insecure_http: bool) -> str:
    """Return the API's base URL without a slash at its end.

    Raises `ConfigError`, without the URL, if it is no such URL, holds credentials, or would send
    the token in plain text over the network.
    """
    if not isinstance(url, str):  # such as `os.environ.get` of a variable that is not set
        raise ConfigError(f"api_url: found {type(url).__name__}, expected a text")
    parts = _split(url)
    if "@" in url:
        raise ConfigError(
            "api_url: found a URL with a user or password in it, expected one without"
        )
    if parts is None or parts.query or parts.fragment:
        raise ConfigError("api_url: expected a URL such as https://your-api-server.com/api")
    host = parts.hostname or ""
    if parts.scheme == "http" and not allow_insecure_http and not is_loopback(host):
        raise ConfigError(
            "api_url: expected https: http would show the token to the network"
            " (allow_insecure_http=True permits it)"
        )
    return url.rstrip("/")


def origin_of(url: str) -> Origin | None:
    """Return scheme, host and port (RFC 6454); None if there are none."""
    parts = _split(url)
    if parts is None:
        return None
    return parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme]


class ForeignOrigins:
    """Warns about requests that get no bearer, once for each origin."""

    def __init__(self, api_url: str) -> None:
        self._api_url = api_url
        self._warned: set[Origin] = set()

    def warn(self, url: str) -> None:
        """Log a warning about the first request to an origin."""
        origin = origin_of(url)
        if origin is None or origin in self._warned or len(self._warned) == _MOST_WARNINGS:
            return
        self._warned.add(origin)
        _log.warning("no bearer is sent to %s://%s:%d: api_url is %s", *origin, self._api_url)


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in _PORTS and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if is_usable else None
