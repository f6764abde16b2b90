"""An embedded Nocturna API: the real API's calls and quirks over HTTP on loopback, in memory.

`rotator demo` runs against it, and `python -m rotator.embedded_api` serves it for trying out bots.
"""

from rotator.embedded_api.server import EmbeddedApi

__all__ = ["EmbeddedApi"]
