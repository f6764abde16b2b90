"""Whether a host is this very machine, where plain http shows nothing to anybody."""

import re

_LOOPBACK = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|::1")


def is_loopback(host: str | None) -> bool:
    """Tell whether a host, as it stands in a URL without brackets, is this machine."""
    return bool(_LOOPBACK.fullmatch((host or "").lower()))
