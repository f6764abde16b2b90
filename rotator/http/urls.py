"""URLs of HTTP servers: whether a text is one, and whether the network can read what goes there.

A file of its own, as `rotator check` reads such URLs and must not load an HTTP client for it.
"""

import ipaddress
from urllib.parse import SplitResult, urlsplit


def is_loopback(host: str | None) -> bool:
    """Tell whether a host, written as in a URL without brackets, is this very machine."""
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return (host or "").lower() == "localhost"


def is_address(host: str) -> bool:
    """Tell whether a host is an IP address, which no name server is asked about."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def parse_http_url(text: str) -> SplitResult | None:
    """Return the parts of an http or https URL; None for any other text.

    It has a host, and no query, no fragment and no blanks; a user and a password are permitted.
    """
    # Of blanks `urlsplit` drops some, and an empty query or fragment it does not tell.
    if any(map(str.isspace, text)) or "?" in text or "#" in text:
        return None
    try:
        url = urlsplit(text)
        is_usable = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError:
        return None
    return url if is_usable else None


def is_readable_on_the_way(url: SplitResult) -> bool:
    """Tell whether the network sees what is sent: plain http to another machine."""
    return url.scheme == "http" and not is_loopback(url.hostname)
