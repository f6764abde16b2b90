"""A bot with httpx and asyncio: calls the API every five minutes, through rotations and outages."""

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

import httpx

from rotator.client import TokenManager
from rotator.client.httpx import NocturnaAuth
from rotator.errors import RotatorError

PAUSE, AFTER_FAILURE = 300.0, 60.0  # seconds; the manager waits a minute at most
PLACE = {"latitude": 40.7128, "longitude": -74.006, "timezone": "America/New_York"}
BIRTH = {"date": "1990-01-15", "time": "14:30:00", **PLACE}
log = logging.getLogger("bot")
Sleep = Callable[[float], Awaitable[object]]


async def main() -> None:
    """Run until the process is ended."""
    logging.basicConfig(level=logging.INFO)
    try:
        manager = TokenManager(os.environ["NOCTURNA_API_URL"], os.environ["NOCTURNA_TOKEN_SOURCE"])
    except KeyError as missing:
        sys.exit(f"set the variable {missing}")
    except RotatorError as error:
        sys.exit(f"{error}")
    async with httpx.AsyncClient(timeout=30.0) as client:
        await run(manager, client, asyncio.sleep)


async def run(manager: TokenManager, client: httpx.AsyncClient, sleep: Sleep) -> None:
    """Log how long the service token lives, then call the API again and again."""
    await asyncio.to_thread(tell_status, manager)
    client.auth = NocturnaAuth(manager)
    while True:
        worked = await call(client, f"{manager.api_url}/stateless/natal-chart")
        await sleep(PAUSE if worked else AFTER_FAILURE)


def tell_status(manager: TokenManager) -> None:
    """Log how long the service token lives: a warning if somebody should see to it."""
    try:
        status = manager.token_status()
    except RotatorError as error:
        log.warning("%s", error)  # it may be there a moment later, so go on
    else:
        log.log(logging.WARNING if status.is_due else logging.INFO, "%s", status.message)


async def call(client: httpx.AsyncClient, url: str) -> bool:
    """Make one call; log a failure, and leave it to the next call to try again."""
    try:
        response = await client.post(url, json=BIRTH)
        response.raise_for_status()
    except (httpx.HTTPError, RotatorError) as error:
        log.warning("no chart: %s", error)
        return False
    log.info("a chart of %d bytes", len(response.content))
    return True


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
