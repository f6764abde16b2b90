"""`python -m bench.bare_vault COUNT THREADS`: the loop that anybody would write with hvac.

Reads each secret `secret/bots/NUMBER` of `$VAULT_ADDR`, looks at the token in it with PyJWT, and
prints how many are due. Each thread has a client, and so a connection, of its own.
"""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import hvac
import jwt

from bench.envfile import VARIABLE

_RENEW_BEFORE = timedelta(days=7)


def main() -> None:
    """Read each secret once."""
    count, threads = map(int, sys.argv[1:])
    local, now = threading.local(), datetime.now(UTC)

    def is_due(number: int) -> bool:
        if not hasattr(local, "client"):
            local.client = hvac.Client(os.environ["VAULT_ADDR"], os.environ["VAULT_TOKEN"])
        found = local.client.secrets.kv.v2.read_secret_version(
            f"bots/{number}", mount_point="secret", raise_on_deleted_version=True
        )
        token = found["data"]["data"][VARIABLE]
        claims = jwt.decode(token, options={"verify_signature": False})
        return datetime.fromtimestamp(claims["exp"], UTC) - now < _RENEW_BEFORE

    with ThreadPoolExecutor(threads) as pool:
        print(sum(pool.map(is_due, range(count))))


if __name__ == "__main__":
    main()
