"""The AWS Secrets Manager store: a secret, or one key of a secret that is a JSON object.

    aws-secretsmanager://NAME?region=eu-west-1#KEY    aws-secretsmanager://ARN    …?create=true

A new value is staged as AWSPENDING, read back, and made AWSCURRENT by a compare-and-set, which
leaves the old one as AWSPREVIOUS. The journal stands in tags, see `backends.notes`. The order of
the steps is that of `backends.remote`; each call here may be repeated.
"""

import json
import logging
import os
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache, partial
from importlib.util import find_spec
from typing import Any

from backends.aws import failures
from backends.aws.address import REGION, AwsAddress
from backends.aws.text import secret_in, with_secret
from backends.notes import NoteChanges
from backends.programs import ProgramError, read_output
from backends.remote import NotedScratch, NotedStore, name_errors
from rotator.errors import ConfigError, StoreDeniedError, StoreError
from rotator.stores.port import Provenance, StoreUrl

_SDK = "boto3"
_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_NO_FIELD = "token"  # names the field in the tags of a secret without one
# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Tag.html
_LONGEST_TAG = 256
_MOST_TAGS = 50
_NEW_TAGS = 3  # a record of the old secret, one of the new, an intent
_CURRENT, _PENDING, _PREVIOUS = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"
_SCRATCH = "rotator-rehearsal"
_NOT_FOUND = "ResourceNotFoundException"
# AWS answers these to a request that is allowed, but cannot be fulfilled.
_IMPOSSIBLE = ("InvalidParameterException", "InvalidRequestException", "ValidationException")
# botocore lets these through, over odd settings and over answers that are no JSON object.
_STRAY = (ValueError, AttributeError, TypeError, RuntimeError)
_PATIENCE = 60.0  # seconds for a call: retries, and calls for credentials, included
_LARGEST_ANSWER = 4 << 20  # bytes
_LONGEST = 65536  # bytes, https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
AwsClient = Any  # boto3 makes the methods of its clients at run time: no type tells them
# Clients are thread-safe, but creating one is not
# (https://boto3.amazonaws.com/v1/documentation/api/latest/guide/clients.html).
_CREATING = threading.Lock()


def open_store(url: StoreUrl) -> "SecretsManagerStore":
    """Return the store behind an `aws-secretsmanager:` URL, without asking AWS.

    Raises `ConfigError`, and `ModuleNotFoundError` where boto3 is not installed.
    """
    if find_spec(_SDK) is None:
        raise ModuleNotFoundError(name=_SDK)
    address = AwsAddress.parse(url, usual_region)
    return SecretsManagerStore(address, partial(shared_client, address.region))


@dataclass(frozen=True, slots=True)
class AwsSecret:
    """A secret at one moment.

    `current` is the id of the version that readers get, `text` its content: both are None where the
    secret has no version yet, or does not exist. `labels` are those of all versions.
    """

    exists: bool
    current: str | None = None
    text: str | None = field(default=None, repr=False)
    labels: frozenset[str] = frozenset()


class SecretsManagerStore(NotedStore[AwsSecret]):
    """A secret in AWS Secrets Manager; see `rotator.stores.port.SecretStore` for the promises.

    `client` is asked for at each call, which ends within `patience` seconds.
    """

    is_consistent = False  # a new tag may not show everywhere at once
    _label = _CURRENT  # of the version that holds the token

    def __init__(
        self, address: AwsAddress, client: Callable[[], AwsClient], patience: float = _PATIENCE
    ) -> None:
        url = address.scratch if self.is_scratch else address.canonical
        super().__init__(url, address.field or _NO_FIELD, _LONGEST_TAG)
        self._address = address
        self._client = client
        self._patience = patience

    def earlier_secrets(self) -> Iterator[str]:
        """Yield the secret in AWSPREVIOUS; AWS keeps no older version that can be found."""
        with name_errors(self.url):
            found = self._call("GetSecretValue", (_NOT_FOUND,), VersionStage=_PREVIOUS) or {}
            value = secret_in(str(found.get("SecretString", "")), self._address.field)
        if value:
            yield value

    def scratch(self) -> "StagedVersion":
        """Return the scratch place: a version of the same secret with a label of its own."""
        return StagedVersion(self._address, self._client, self._patience)

    def provenance(self) -> Provenance:
        """Tell when the secret was last changed; AWS does not tell by whom."""
        with name_errors(self.url):
            about = self._call("DescribeSecret") or {}
        changed_at = about.get("LastChangedDate")
        return Provenance(changed_at=changed_at if isinstance(changed_at, datetime) else None)

    def preflight(self) -> None:
        """Make each call of `write` and `note`, in a form that can change nothing at any time.

        All denials are reported at once: policies take their time, and people, to be changed. A
        secret that is still to be created proves less: CreateSecret and PutSecretValue cannot be
        tried without doing them.
        """
        with name_errors(self.url):
            state, _, tags = self._read(to_write=True)
            if len(tags) + _NEW_TAGS > _MOST_TAGS:
                raise StoreError(
                    f"this secret has {len(tags)} of {_MOST_TAGS} tags, which leaves no room for a"
                    f" journal of {_NEW_TAGS}: remove some of them"
                )
            denied = []
            for operation, attempt in self._trials(state).items():
                try:
                    attempt()
                except failures.NotAllowedError:
                    denied.append(operation)
            if denied:
                raise failures.describe_denial(denied, self._address)

    def _trials(self, state: AwsSecret) -> dict[str, Callable[[], object]]:
        nowhere, absent = str(uuid.uuid4()), () if state.exists else (_NOT_FOUND,)
        trials: dict[str, Callable[[], object]] = {
            "UpdateSecretVersionStage": lambda: self._move(_CURRENT, nowhere, nowhere),
            "TagResource": lambda: self._call("TagResource", (*_IMPOSSIBLE, *absent), Tags=[]),
            "UntagResource": lambda: self._call("UntagResource", absent, TagKeys=["rotator:none"]),
        }
        if state.current and state.text is not None:
            # AWS ignores a version that it has already, but asks KMS all the same.
            same = _staging(state.current, state.text)
            trials["PutSecretValue"] = lambda: self._call("PutSecretValue", **same)
        elif state.exists:  # a missing one may be created meanwhile, and would get this value
            nothing = {"ClientRequestToken": nowhere}
            trials["PutSecretValue"] = lambda: self._call("PutSecretValue", _IMPOSSIBLE, **nothing)
        return trials

    def _read(self, *, to_write: bool) -> tuple[AwsSecret, str | None, Mapping[str, str]]:
        about = self._call("DescribeSecret", (_NOT_FOUND,) if self._address.create else ())
        if about is None:
            return AwsSecret(exists=False), None, {}
        if "ARN" not in about:
            raise failures.no_aws()
        if about.get("DeletedDate"):
            raise failures.deleted()
        versions = (about.get("VersionIdsToStages") or {}).items()
        current = next((version for version, labels in versions if self._label in labels), None)
        every = frozenset(label for _, labels in versions for label in labels)
        text = self._read_text(current) if current else None
        if to_write:
            _refuse_others(about, self._address.region)
        state = AwsSecret(exists=True, current=current, text=text, labels=every)
        tags = {tag.get("Key"): tag.get("Value", "") for tag in about.get("Tags") or ()}
        if not all(isinstance(text, str) for pair in tags.items() for text in pair):
            raise failures.no_aws()
        return state, secret_in(text, self._address.field), tags

    def _read_text(self, version: str) -> str:
        value = self._call("GetSecretValue", VersionId=version) or {}
        if "SecretBinary" in value:
            raise StoreError("this secret is binary, and a token is text: use another secret")
        if "SecretString" not in value:
            raise failures.no_aws()
        return str(value["SecretString"])

    def _has_scratch(self, state: AwsSecret) -> bool:
        return _SCRATCH in state.labels

    def _create_if_missing(self, state: AwsSecret) -> None:
        # Who creates it meanwhile wins or loses the compare-and-set, as if it had been there.
        if not state.exists:
            key = {"KmsKeyId": self._address.kms_key_id} if self._address.kms_key_id else {}
            key["ClientRequestToken"] = str(uuid.uuid4())
            self._call("CreateSecret", ("ResourceExistsException",), **key)

    def _send_notes(self, changes: NoteChanges) -> None:
        # In this order a crash leaves a note too many, and none too few.
        new = [{"Key": key, "Value": text} for key, text in changes.items() if text is not None]
        removed = [key for key, text in changes.items() if text is None]
        if new:
            self._call("TagResource", Tags=new)
        if removed:
            self._call("UntagResource", TagKeys=removed)

    def _replace(self, state: AwsSecret, secret: str) -> bool:
        text = with_secret(state.text, self._address.field, secret)
        if text != state.text:
            return self._put(state, text)
        self._unstage(state.current)
        return True

    def _repeat(self, state: AwsSecret) -> bool:
        return state.text is not None and self._put(state, state.text)

    def _put(self, state: AwsSecret, text: str) -> bool:
        # An id of this write alone: two rotators that write the same text must not meet in one
        # version, of which each would move the labels. botocore repeats a request with the same id.
        version = str(uuid.uuid4())
        is_current = self._stage(state, text, version)
        self._unstage(version)
        return is_current

    def _unstage(self, version: str | None) -> None:
        with self._tidying("written, but AWSPENDING was left on it"):
            self._move(_PENDING, version, None)

    def _stage(self, state: AwsSecret, text: str, version: str) -> bool:
        """Make `text` the current version in place of that of `state`; False if that has passed.

        It is staged and read back first.
        """
        if len(text.encode()) > _LONGEST:
            raise StoreError(f"AWS takes secrets of up to {_LONGEST} bytes: remove some of it")
        staged = self._call("PutSecretValue", **_staging(version, text)) or {}
        if _CURRENT in staged.get("VersionStages", ()):
            return True
        # A new version may not show everywhere at once.
        seen = self._call("GetSecretValue", (_NOT_FOUND,), VersionId=version)
        if seen is not None and seen.get("SecretString") != text:
            raise StoreError("AWS returns another secret than was written: report it")
        # A move that is refused may have been our own, whose answer was lost.
        if self._move(self._label, state.current, version):
            return True
        return self._read(to_write=False)[0].current == version

    def _move(self, label: str, origin: str | None, to: str | None) -> bool:
        """Move a label; return False where it was not there, or no such version is."""
        ends = {"RemoveFromVersionId": origin, "MoveToVersionId": to}
        given = {key: version for key, version in ends.items() if version}
        tolerated = (*_IMPOSSIBLE, _NOT_FOUND)
        moved = self._call("UpdateSecretVersionStage", tolerated, VersionStage=label, **given)
        return moved is not None

    def _call(
        self,
        operation: str,
        tolerated: tuple[str, ...] = (),
        **given: Any,  # noqa: ANN401 - boto3 has no types
    ) -> dict[str, Any] | None:
        """Call AWS about this secret; return None where it answers one of the tolerated codes."""
        from botocore import xform_name  # noqa: PLC0415 - an SDK: loaded only where it is used
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - part of it
        from botocore.parsers import ResponseParserError  # noqa: PLC0415 - part of it

        named = "Name" if operation == "CreateSecret" else "SecretId"
        given[named] = self._address.secret_id
        try:
            with bounded(self._patience):
                answer: dict[str, Any] = getattr(self._client(), xform_name(operation))(**given)
        except (BotoCoreError, ClientError, ResponseParserError, *_STRAY) as error:
            if failures.code_of(error, operation) in tolerated:
                return None
            failure = failures.describe_failure(error, operation, self._address)
        else:
            return answer
        if isinstance(failure, failures.CredentialsError):
            forget_clients()
        # Not from inside of `except`: the SDK's error can hold what was sent and answered.
        raise failure


class StagedVersion(SecretsManagerStore, NotedScratch[AwsSecret]):
    """The scratch place of a rehearsal: readers keep AWSCURRENT, and AWSPREVIOUS stays, too."""

    _label = _SCRATCH

    def preflight(self) -> None:
        """Prove what the secret's own proves, and that it has a version: the first is current."""
        super().preflight()
        with name_errors(self.url):
            if _CURRENT not in self._read(to_write=True)[0].labels:
                raise StoreError("there is no version of this secret yet, which rotate makes")

    def _delete(self, state: AwsSecret) -> bool:
        # AWS deletes by itself what has no label.
        return self._move(_SCRATCH, state.current, None)


def _staging(version: str, text: str) -> dict[str, Any]:
    return {"ClientRequestToken": version, "SecretString": text, "VersionStages": [_PENDING]}


def _refuse_others(about: Mapping[str, Any], region: str) -> None:
    """Raise `StoreError` where a secret must be written by somebody else, or elsewhere."""
    primary = str(about.get("PrimaryRegion") or region)
    if primary != region:
        where = primary if REGION.fullmatch(primary) else "its primary region"
        raise StoreError(
            f"this is a replica, and only its primary secret can be written: use the one in {where}"
        )
    if about.get("OwningService"):
        raise StoreError(
            "this secret is managed by another AWS service, which alone may write it: use a secret"
            " of your own"
        )
    if about.get("RotationEnabled"):
        raise StoreError(
            "automatic rotation is on for this secret, and two rotators would fight: turn it off"
            " (aws secretsmanager cancel-rotate-secret), or use another secret"
        )


def new_client(region: str, *, attempts: int = 3, **explicit: str) -> AwsClient:
    """Return a client of a region; credentials and endpoint are the usual ones, or `explicit`.

    Connecting may take 5 s, an answer 15 s, and all of a call what `bounded` says. A call without
    an answer is sent again, `attempts` times in all: every call of this store may be repeated.
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
    )
    for pool in (AWSHTTPConnectionPool, AWSHTTPSConnectionPool):
        bound_pool(pool)
    session = boto3.Session(region_name=region)
    _bound_login(session._session.get_component("credential_provider"))  # noqa: SLF001 - boto3 has no other way to it
    client = session.client("secretsmanager", region_name=region, config=config, **explicit)
    # botocore's debug records hold requests, answers and tokens.
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "botocore":
            logging.getLogger(name).addFilter(_is_harmless)
    return client


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


def shared_client(region: str) -> AwsClient:
    """Return this process's client of a region, for the environment as it is now."""
    names = sorted(name for name in os.environ if name.startswith("AWS_"))
    if broken := next((name for name in _CREDENTIALS if _is_broken(os.environ.get(name))), None):
        raise StoreDeniedError(
            f"{broken} has spaces, line breaks or worse, which no AWS credential has: set it again"
        )
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
    except (BotoCoreError, OSError, UnicodeError, RuntimeError) as error:
        raise ConfigError(
            f"the AWS profile cannot be read ({type(error).__name__}): correct AWS_PROFILE, or the"
            " file ~/.aws/config"
        ) from None
    return str(region) if region else None


# Creating a client takes 0.15 s, and a fleet may have a thousand stores.
@lru_cache(maxsize=8)
def _client(region: str, _environment: tuple[tuple[str, str], ...]) -> AwsClient:
    return new_client(region)


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
