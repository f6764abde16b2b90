"""The Host of a request to a page that is for this machine alone.

A site of an attacker can have a name that leads to 127.0.0.1 a moment later ("DNS rebinding"): a
browser on this machine then fetches our page for it, as its own. But it sends the site's name.
"""

import re

from rotator.hosts import is_loopback

_HOST = re.compile(r"(?:\[([^\]]+)\]|([^:\[\]]+))(?::[0-9]*)?")  # RFC 9112, section 3.2


def is_expected(host: str) -> bool:
    """Tell whether this header names this machine; the port may be that of a tunnel."""
    match = _HOST.fullmatch(host.strip())
    return match is not None and is_loopback(match[1] or match[2].removesuffix("."))
