"""A bot with requests: calls the API every five minutes, through rotations and outages."""

import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import requests

from rotator.client import NocturnaAuth, TokenManager
from rotator.errors import RotatorError

PAUSE, AFTER_FAILURE = 300.0, 60.0  # seconds; the manager waits a minute at most
TIMEOUT = 30.0  # seconds; requests waits for ever without one
PLACE = {"latitude": 40.7128, "longitude": -74.006, "timezone": "America/New_York"}
BIRTH = {"date": "1990-01-15", "time": "14:30:00", **PLACE}
log = logging.getLogger("bot")


def main() -> None:
    """Run until the process is ended."""
    logging.basicConfig(level=logging.INFO)
    try:
        manager = TokenManager(os.environ["NOCTURNA_API_URL"], os.environ["NOCTURNA_TOKEN_SOURCE"])
    except KeyError as missing:
        sys.exit(f"set the variable {missing}")
    except RotatorError as error:
        sys.exit(f"{error}")
    with requests.Session() as session:
        run(manager, session, time.sleep)


def run(manager: TokenManager, session: requests.Session, sleep: Callable[[float], object]) -> None:
    """Log how long the service token lives, then call the API again and again."""
    tell_status(manager)
    session.auth = NocturnaAuth(manager)
    while True:
        worked = call(session, f"{manager.api_url}/stateless/natal-chart")
        sleep(PAUSE if worked else AFTER_FAILURE)


def tell_status(manager: TokenManager) -> None:
    """Log how long the service token lives: a warning if somebody should see to it."""
    try:
        status = manager.token_status()
    except RotatorError as error:
        log.warning("%s", error)  # it may be there a moment later, so go on
    else:
        log.log(logging.WARNING if status.is_due else logging.INFO, "%s", status.message)


def call(session: requests.Session, url: str) -> bool:
    """Make one call; log a failure, and leave it to the next call to try again."""
    try:
        response = session.post(url, json=BIRTH, timeout=TIMEOUT)
        response.raise_for_status()
    except (requests.RequestException, RotatorError) as error:
        log.warning("no chart: %s", error)
        return False
    log.info("a chart of %d bytes", len(response.content))
    return True


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
