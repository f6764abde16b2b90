"""An embedded Nocturna API: the real API's calls and quirks over HTTP on loopback, in memory.

`rotator demo` runs against it, and `python -m rotator.sandbox` serves it for trying out bots.
"""

from rotator.sandbox.server import Sandbox

__all__ = ["Sandbox"]
