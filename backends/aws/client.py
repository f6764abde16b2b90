"""Clients of AWS Secrets Manager: shared, bounded in time, and silent about secrets."""

import logging
import os
import threading
from functools import lru_cache
from typing import Any

from rotator.errors import ConfigError

AwsClient = Any  # boto3 makes the methods of its clients at run time: no type tells them
# Clients are thread-safe, but creating one is not
# (https://boto3.amazonaws.com/v1/documentation/api/latest/guide/clients.html).
_CREATING = threading.Lock()


def new_client(region: str, *, attempts: int = 3, **explicit: str) -> AwsClient:
    """Return a client of a region; credentials and endpoint are the usual ones, or `explicit`.

    Connecting may take 5 s, an answer 15 s. A call without an answer is sent again, `attempts`
    times in all: every call of this store may be repeated.
    """
    import boto3  # noqa: PLC0415 - an SDK: loaded only where it is used
    from botocore.config import Config  # noqa: PLC0415 - part of the SDK

    config = Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=5,
        read_timeout=15,
    )
    client = boto3.Session().client("secretsmanager", region_name=region, config=config, **explicit)
    # botocore's debug records hold requests, answers and tokens.
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "botocore":
            logging.getLogger(name).addFilter(_is_harmless)
    return client


def shared_client(region: str) -> AwsClient:
    """Return this process's client of a region, for the environment as it is now."""
    names = sorted(name for name in os.environ if name.startswith("AWS_"))
    with _CREATING:
        return _client(region, tuple((name, os.environ[name]) for name in names))


def forget_clients() -> None:
    """Make the next client read credentials again: those of a long-lived process expire."""
    with _CREATING:
        _client.cache_clear()


def usual_region() -> str | None:
    """Return the region that the environment or the AWS profile names, None without one.

    boto3 itself does not read AWS_REGION, which AWS's other SDKs do
    (https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html).
    Raises `ConfigError` when the profile cannot be read.
    """
    named = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if named:
        return named
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - part of the SDK
    from botocore.session import Session  # noqa: PLC0415 - part of the SDK

    try:
        region = Session().get_config_variable("region")
    except BotoCoreError as error:
        raise ConfigError(
            f"the AWS profile cannot be read ({type(error).__name__}): correct AWS_PROFILE, or the"
            " file ~/.aws/config"
        ) from None
    return str(region) if region else None


# Creating a client takes 0.15 s, and a fleet may have a thousand stores.
@lru_cache(maxsize=8)
def _client(region: str, _environment: tuple[tuple[str, str], ...]) -> AwsClient:
    return new_client(region)


def _is_harmless(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.INFO
