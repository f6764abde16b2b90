"""One secret in AWS: read and changed by single calls, each of which may be repeated."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from backends.aws import failures
from backends.aws.address import REGION, AwsAddress
from backends.aws.client import AwsClient, forget_clients
from rotator.errors import StoreError

_CURRENT, _PENDING = "AWSCURRENT", "AWSPENDING"
_NOT_FOUND = "ResourceNotFoundException"
# AWS answers these to a request that is allowed, but cannot be fulfilled.
_IMPOSSIBLE = ("InvalidParameterException", "InvalidRequestException", "ValidationException")
# botocore lets these through, over odd settings and over answers that are no JSON object.
_STRAY = (ValueError, AttributeError, TypeError, RecursionError)
_LONGEST = 65536  # bytes, https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html


@dataclass(frozen=True, slots=True)
class AwsSecretState:
    """A secret at one moment.

    `current` is the id of the version that readers get, `text` its content: both are None where the
    secret has no version yet, or does not exist. `obstacle` says why the rotator must not write it.
    """

    exists: bool
    current: str | None = None
    text: str | None = field(default=None, repr=False)
    tags: Mapping[str, str] = field(default_factory=dict)
    obstacle: str | None = None


class AwsSecret:
    """One secret; `client` is asked for at each call. Every method raises `StoreError`."""

    def __init__(self, address: AwsAddress, client: Callable[[], AwsClient]) -> None:
        self._address = address
        self._client = client

    def read(self) -> AwsSecretState:
        """Return the secret as it is now; a missing one only where it may be created."""
        about = self._call("DescribeSecret", (_NOT_FOUND,) if self._address.create else ())
        if about is None:
            return AwsSecretState(exists=False)
        if "ARN" not in about:
            raise failures.no_aws()
        if about.get("DeletedDate"):
            raise failures.deleted()
        versions = (about.get("VersionIdsToStages") or {}).items()
        current = next((version for version, labels in versions if _CURRENT in labels), None)
        return AwsSecretState(
            exists=True,
            current=current,
            text=self._read_text(current) if current else None,
            tags={tag["Key"]: tag.get("Value", "") for tag in about.get("Tags") or ()},
            obstacle=_obstacle(about, self._address.region),
        )

    def create(self) -> None:
        """Create the secret without a value, unless somebody else just did."""
        key = {"KmsKeyId": self._address.kms_key_id} if self._address.kms_key_id else {}
        token = str(uuid.uuid4())
        self._call("CreateSecret", ("ResourceExistsException",), ClientRequestToken=token, **key)

    def tag(self, changes: Mapping[str, str | None]) -> None:
        """Set tags, and remove those that are None.

        New ones are set before old ones are removed: a crash leaves a note too many, none too few.
        """
        new = [{"Key": key, "Value": text} for key, text in changes.items() if text is not None]
        removed = [key for key, text in changes.items() if text is None]
        if new:
            self._call("TagResource", Tags=new)
        if removed:
            self._call("UntagResource", TagKeys=removed)

    def replace(self, state: AwsSecretState, text: str) -> str | None:
        """Make `text` the current version in place of that of `state`; None if that has passed.

        It is staged and read back first. The same write of the same secret gets the same version
        id: a repetition finds its own work, before the last step or after it.
        """
        if len(text.encode()) > _LONGEST:
            raise StoreError(f"AWS takes secrets of up to {_LONGEST} bytes: remove some of it")
        # The token in the text makes the id impossible to guess.
        digest = sha256(f"{state.current}\n{text}".encode()).hexdigest()
        version = str(uuid.UUID(digest[:32]))
        staged = self._call("PutSecretValue", **_put(version, text)) or {}
        if _CURRENT in staged.get("VersionStages", ()):
            return version
        # A new version may not show everywhere at once.
        seen = self._call("GetSecretValue", (_NOT_FOUND,), VersionId=version)
        if seen is not None and seen.get("SecretString") != text:
            raise StoreError("AWS returns another secret than was written: report it")
        # A move that is refused may have been our own, whose answer was lost.
        is_done = self._move(_CURRENT, state.current, version) or self.read().current == version
        return version if is_done else None

    def clear(self, version: str) -> None:
        """Take AWSPENDING off a version that is current: nothing is pending."""
        self._move(_PENDING, version, None)

    def prove_writable(self, state: AwsSecretState) -> None:
        """Make each call that a change takes, in a form that can change nothing at any time.

        All denials are reported at once: policies take their time, and people, to be changed.
        """
        nowhere, absent = str(uuid.uuid4()), () if state.exists else (_NOT_FOUND,)
        trials: dict[str, Callable[[], object]] = {
            "UpdateSecretVersionStage": lambda: self._move(_CURRENT, nowhere, nowhere),
            "TagResource": lambda: self._call("TagResource", (*_IMPOSSIBLE, *absent), Tags=[]),
            "UntagResource": lambda: self._call("UntagResource", absent, TagKeys=["rotator:none"]),
        }
        if state.current and state.text is not None:
            # AWS ignores a version that it has already, but asks KMS all the same.
            same = _put(state.current, state.text)
            trials["PutSecretValue"] = lambda: self._call("PutSecretValue", **same)
        elif state.exists:  # a missing one may be created meanwhile, and would get this value
            nothing = {"ClientRequestToken": nowhere}
            trials["PutSecretValue"] = lambda: self._call("PutSecretValue", _IMPOSSIBLE, **nothing)
        denied = []
        for operation, attempt in trials.items():
            try:
                attempt()
            except failures.NotAllowedError:
                denied.append(operation)
        if denied:
            raise failures.describe_denial(denied, self._address)

    def _move(self, label: str, origin: str | None, to: str | None) -> bool:
        """Move a label; return False where it was not there, or no such version is."""
        ends = {"RemoveFromVersionId": origin, "MoveToVersionId": to}
        given = {key: version for key, version in ends.items() if version}
        tolerated = (*_IMPOSSIBLE, _NOT_FOUND)
        moved = self._call("UpdateSecretVersionStage", tolerated, VersionStage=label, **given)
        return moved is not None

    def _read_text(self, version: str) -> str:
        value = self._call("GetSecretValue", VersionId=version) or {}
        if "SecretBinary" in value:
            raise StoreError("this secret is binary, and a token is text: use another secret")
        if "SecretString" not in value:
            raise failures.no_aws()
        return str(value["SecretString"])

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


def _put(version: str, text: str) -> dict[str, Any]:
    return {"ClientRequestToken": version, "SecretString": text, "VersionStages": [_PENDING]}


def _obstacle(about: Mapping[str, Any], region: str) -> str | None:
    """Say why this secret must be written by somebody else, or elsewhere, if so."""
    primary = str(about.get("PrimaryRegion") or region)
    if primary != region:
        where = primary if REGION.fullmatch(primary) else "its primary region"
        return (
            f"this is a replica, and only its primary secret can be written: use the one in {where}"
        )
    if about.get("OwningService"):
        return (
            "this secret is managed by another AWS service, which alone may write it: use a secret"
            " of your own"
        )
    if about.get("RotationEnabled"):
        return (
            "automatic rotation is on for this secret, and two rotators would fight: turn it off"
            " (aws secretsmanager cancel-rotate-secret), or use another secret"
        )
    return None
