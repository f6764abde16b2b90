"""The embedded Nocturna API: the real calls, quirks and faults, over real HTTP on loopback.

It is what `rotator demo` and the tests run against. Everything is kept in memory and goes with it.

    with Sandbox() as api:
        requests.get(f"{api.url}/health")
        api.misbehave(Fault.reset_after(), call="POST /auth/admin/service-tokens")
"""

from rotator.sandbox.faults import Fault
from rotator.sandbox.sandbox import Sandbox
from rotator.sandbox.state import ServiceTokenRow

__all__ = ["Fault", "Sandbox", "ServiceTokenRow"]
