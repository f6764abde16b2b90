"""Clients of AWS: their credentials and region, and how long a call may take."""

import json
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from functools import cache, lru_cache, partial
from typing import Any

from backends.programs import ProgramError, read_output
from rotator.errors import ConfigError, StoreDeniedError
from rotator.files import require_ordinary
from rotator.http.throttle import STORE_CONNECTIONS, Throttle

_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_FILES = (
    *("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE"),
    *("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
)
_BUSY = (429, 503)
_THROTTLED = ("Throttl", "TooManyRequests", "RequestLimitExceeded", "SlowDown")
_FIRST_PAUSE = 0.5  # seconds, twice as long after each attempt
_LONGEST_PAUSE = 15.0
_MOST_KEPT = 100  # connections; how many there are is bounded elsewhere
_LARGEST_ANSWER = 4 << 20  # bytes
_LAST_TIME = 1 << 33  # seconds since 1970, in 2242
AwsClient = Any  # boto3 makes the methods of its clients at run time: no type tells them
# Clients are thread-safe, but creating one is not
# (https://boto3.amazonaws.com/v1/documentation/api/latest/guide/clients.html).
_CREATING = threading.Lock()


def new_client(
    region: str, service: str = "secretsmanager", *, attempts: int = 3, **explicit: str
) -> AwsClient:
    """Return a client of a service in a region.

    Credentials and endpoint are the usual ones, or `explicit`. Connecting may take 5 s, an answer
    15 s, and all of a call what `bounded` says. A call without an answer is sent again, `attempts`
    times in all: every call of these stores may be repeated.
    """
    import boto3  # noqa: PLC0415 - an SDK: loaded only where it is used
    from botocore.awsrequest import (  # noqa: PLC0415 - part of the SDK
        AWSHTTPConnectionPool,
        AWSHTTPSConnectionPool,
    )
    from botocore.config import Config  # noqa: PLC0415 - part of the SDK

    from rotator.http.deadlines import bound_pool  # noqa: PLC0415 - it loads urllib3

    config = Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=5,
        read_timeout=15,
        max_pool_connections=_MOST_KEPT,
    )
    for pool in (AWSHTTPConnectionPool, AWSHTTPSConnectionPool):
        bound_pool(pool)
    session = boto3.Session(region_name=region)
    data_path = session._session.get_config_variable("data_path")  # noqa: SLF001 - boto3 has no other way to it
    session._session.register_component("data_loader", _load_models(data_path))  # noqa: SLF001 - boto3 has no other way to it
    parsers = session._session.get_component("response_parser_factory")  # noqa: SLF001 - boto3 has no other way to it
    parsers.set_parser_defaults(timestamp_parser=_read_time)
    profile = session._session.get_scoped_config()  # noqa: SLF001 - boto3 has no other way to it
    _check_files(profile.get("ca_bundle"), profile.get("web_identity_token_file"))
    _bound_login(session._session.get_component("credential_provider"))  # noqa: SLF001 - boto3 has no other way to it
    client = session.client(service, region_name=region, config=config, **explicit)
    # botocore's debug records hold requests, answers and tokens.
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "botocore":
            logging.getLogger(name).addFilter(_is_harmless)
    return client


@cache
def _load_models(data_path: str | None) -> Any:  # noqa: ANN401 - an SDK's type
    """Return what loads the files that describe AWS: a client takes 60 ms to parse them."""
    from botocore.loaders import create_loader  # noqa: PLC0415 - part of the SDK

    return create_loader(data_path)


def _read_time(value: object) -> datetime:
    """Return a time of an answer; botocore takes 30 µs for each, and a list has three a secret."""
    if isinstance(value, int | float) and 0 <= value < _LAST_TIME:
        return datetime.fromtimestamp(value, UTC)
    from botocore.utils import parse_timestamp  # noqa: PLC0415 - part of the SDK

    time: datetime = parse_timestamp(value)
    return time


def _pass_pause_on(
    throttle: Throttle,
    response: tuple[Any, Mapping[str, Any]] | None,
    attempts: int,
    **_: object,
) -> None:
    """Let all wait whom AWS has told, in one answer, that they ask too much.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
    """
    http, parsed = response or (None, {})
    code = str(parsed.get("Error", {}).get("Code", ""))
    if http is None or (http.status_code not in _BUSY and not code.startswith(_THROTTLED)):
        return
    asked = str(http.headers.get("Retry-After", ""))
    usual = _FIRST_PAUSE * 2 ** (attempts - 1)
    throttle.pause(min(int(asked) if asked.isdecimal() else usual, _LONGEST_PAUSE))


def _bound_login(login: Any) -> None:  # noqa: ANN401 - botocore has no types
    """Let botocore ask no terminal, and wait for no program for ever."""
    assume_role = login.get_provider("assume-role")
    assume_role._prompter = _refuse_to_ask  # noqa: SLF001 - botocore has no other way to it
    login.get_provider("custom-process")._popen = _CredentialProcess  # noqa: SLF001 - the same
    builder = assume_role._profile_provider_builder  # noqa: SLF001 - for the profiles that it names
    create = builder._create_process_provider  # noqa: SLF001 - the same

    def create_bounded(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - botocore's
        provider = create(*args, **options)
        provider._popen = _CredentialProcess  # noqa: SLF001 - the same
        return provider

    builder._create_process_provider = create_bounded  # noqa: SLF001 - the same


class _CredentialProcess:
    """Stands in for the `Popen` that botocore would wait for without a limit."""

    returncode = 0

    def __init__(self, command: Sequence[str], **_: object) -> None:
        self._command = command

    def communicate(self) -> tuple[bytes, bytes]:
        try:
            return _read_credentials(self._command), b""
        except ProgramError as error:
            raise StoreDeniedError(
                f"the credential_process of the AWS profile {error}: run it by hand, without a"
                " terminal, to see why"
            ) from None


def _read_credentials(command: Sequence[str]) -> bytes:
    """https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html."""
    output = read_output(command)
    try:
        printed = json.loads(output)
    except (ValueError, RecursionError):
        printed = None
    keys = ("AccessKeyId", "SecretAccessKey")
    if (
        not isinstance(printed, dict)
        or printed.get("Version") != 1
        or not all(isinstance(printed.get(key), str) for key in keys)
    ):
        raise ProgramError("prints no credentials (JSON with Version 1 and both keys)")
    return output


def bounded(seconds: float) -> AbstractContextManager[None]:
    """Let the calls of this block end in time, those for credentials included.

    The SDK's own time-outs are for each read, so an answer that drips would never end.
    """
    from rotator.http.deadlines import exchanges_within  # noqa: PLC0415 - it loads urllib3

    return exchanges_within(seconds, _LARGEST_ANSWER)


def share_client(
    region: str, service: str = "secretsmanager", connections: int = STORE_CONNECTIONS
) -> AwsClient:
    """Return this process's client of a service in a region, for the environment as it is now."""
    names = sorted(name for name in os.environ if name.startswith("AWS_"))
    if broken := next((name for name in _CREDENTIALS if _is_broken(os.environ.get(name))), None):
        raise StoreDeniedError(
            f"{broken} has spaces, line breaks or worse, which no AWS credential has: set it again"
        )
    _check_files(*(os.environ.get(name) for name in _FILES))
    with _CREATING:
        environment = tuple((name, os.environ[name]) for name in names)
        return _client(region, service, connections, environment)


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
        _check_files(*(os.environ.get(name) for name in _FILES))
        region = Session().get_config_variable("region")
    except (BotoCoreError, OSError, UnicodeError, RuntimeError) as error:
        raise ConfigError(
            f"the AWS profile cannot be read ({type(error).__name__}): correct AWS_PROFILE, or the"
            " file ~/.aws/config"
        ) from None
    return str(region) if region else None


# Creating a client takes 0.15 s, and a fleet may have a thousand stores.
@lru_cache(maxsize=8)
def _client(
    region: str, service: str, connections: int, _environment: tuple[tuple[str, str], ...]
) -> AwsClient:
    client = new_client(region, service)
    pass_on = partial(_pass_pause_on, share_throttle(region, service, connections))
    client.meta.events.register("needs-retry", pass_on)
    return client


# A throttle outlives its clients: another login ends no pause that the server asked for.
_THROTTLES: dict[tuple[str, str, int], Throttle] = {}


def share_throttle(region: str, service: str, connections: int) -> Throttle:
    """Return what bounds this process's calls of a service in a region."""
    return _THROTTLES.setdefault((region, service, connections), Throttle(connections))


def _check_files(*named: str | None) -> None:
    """Raise `OSError` for a file for which botocore would wait without a limit.

    It reads two in the home folder unasked, too:
    https://docs.aws.amazon.com/sdkref/latest/guide/file-location.html
    """
    for path in ("~/.aws/config", "~/.aws/credentials", *filter(None, named)):
        with suppress(FileNotFoundError, PermissionError, NotADirectoryError):
            require_ordinary(os.path.expanduser(path))  # noqa: PTH111 - as botocore does


def _is_broken(credential: str | None) -> bool:
    text = credential or ""
    return not text.isascii() or not text.isprintable() or " " in text


def _refuse_to_ask(_prompt: str) -> str:
    raise StoreDeniedError(
        "the AWS profile wants an MFA code (mfa_serial), which nobody can give to what runs"
        " unattended: use a role or a profile without it"
    )


def _is_harmless(record: logging.LogRecord) -> bool:
    """Leave out debug records, and the failure of a refresh that the caller is told, too."""
    args = record.args if isinstance(record.args, tuple) else ()
    return record.levelno >= logging.INFO and "mandatory" not in args
