r"""The text of a secret: a bare token, or a JSON object of which one key is the token.

Only that one value is replaced, in the text itself: order, spaces, 1.10, big integers, `\u00e9`
and all else that a JSON library would rewrite stay as they are.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

from backends.aws.address import REGION, Address
from backends.aws.client import Client, forget_clients
from backends.aws.failures import (
    DELETED,
    NO_AWS,
    CredentialsError,
    NotAllowedError,
    code_of,
    denied,
    translated,
)
from rotator.errors import StoreError

# Numbers as they stand: nobody computes with them, and the longest are refused as int.
_JSON = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
_SPACE = re.compile(r"[ \t\n\r]*")


class ShapeError(Exception):
    """The secret is not of the shape that its URL says; the text is a sentence for the user."""


class _Member(NamedTuple):
    key: str
    value: object
    start: int
    end: int


def secret_in(text: str | None, field: str | None) -> str | None:
    """Return the token in a secret's text, None where there is none yet, or an empty one."""
    if not text:
        return None
    if field is None:
        if (members := _members(text)) is None:
            return text
        if members:
            raise ShapeError(
                "this secret is a JSON object, which the bare token would overwrite: name one of"
                " its keys, as in …#NOCTURNA_SERVICE_TOKEN"
            )
        return None
    ours = [member for member in _object(text) if member.key == field]
    if not ours:
        return None
    if text[ours[-1].start] != '"':
        raise ShapeError(
            "the value of this key is no text: correct it, or name another key after the `#`"
        )
    # What is no UTF-8 is no token: it only must not break the message that says so.
    return str(ours[-1].value).encode("utf-8", "replace").decode() or None


def with_secret(text: str | None, field: str | None, secret: str) -> str:
    """Return the text with another token in it."""
    if field is None:
        secret_in(text, None)
        return secret
    if not text:
        return json.dumps({field: secret})
    members = _object(text)
    ours = [member for member in members if member.key == field]
    for member in reversed(ours):
        text = f"{text[: member.start]}{json.dumps(secret)}{text[member.end :]}"
    if ours:
        return text
    end = members[-1].end if members else text.index("{") + 1
    comma = ", " if members else ""
    return f"{text[:end]}{comma}{json.dumps(field)}: {json.dumps(secret)}{text[end:]}"


def _object(text: str) -> list[_Member]:
    members = _members(text)
    if members is None:
        raise ShapeError(
            "this secret is no JSON object, and has no keys: leave the `#` and what follows out of"
            " the URL if all of it is the token"
        )
    return members


def _members(text: str) -> list[_Member] | None:
    """Return the members of a JSON object, None where the text is something else."""
    try:
        if not isinstance(_JSON.decode(text), dict):
            return None
        return list(_walk(text))
    except (ValueError, RecursionError):
        return None


def _walk(text: str) -> Iterator[_Member]:
    """Go through the members of what is known to be a JSON object."""
    at = _after_space(text, _after_space(text, 0) + 1)
    while text[at] != "}":
        key, at = _JSON.raw_decode(text, at)
        start = _after_space(text, _after_space(text, at) + 1)
        value, end = _JSON.raw_decode(text, start)
        yield _Member(key, value, start, end)
        at = _after_space(text, end)
        if text[at] == ",":
            at = _after_space(text, at + 1)


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


CURRENT = "AWSCURRENT"


@dataclass(frozen=True, slots=True)
class Seen:
    """A secret at one moment.

    `current` is the id of the version that readers get, `labels` what stands on it, `text` its
    content: None where the secret has no version yet, or does not exist. `obstacle` says why it is
    not ours to write.
    """

    exists: bool
    current: str | None = None
    labels: tuple[str, ...] = ()
    text: str | None = field(default=None, repr=False)
    tags: Mapping[str, str] = field(default_factory=dict)
    obstacle: str | None = None


def current_in(about: Mapping[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    """Return id and labels of the current version in an answer of DescribeSecret."""
    for version, labels in (about.get("VersionIdsToStages") or {}).items():
        if CURRENT in labels:
            return version, tuple(labels)
    return None, ()


def obstacle_in(about: Mapping[str, Any], region: str) -> str | None:
    """Return why this secret is to be written by somebody else, or elsewhere, if so."""
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


_PENDING = "AWSPENDING"
_NOT_FOUND = "ResourceNotFoundException"
# What AWS says of a request that we may make, but that cannot be done.
_IMPOSSIBLE = ("InvalidParameterException", "InvalidRequestException", "ValidationException")
_LONGEST = 65536  # bytes, https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html


class RemoteSecret:
    """One secret, looked at and changed by single calls; `client` is asked for at each of them."""

    def __init__(self, address: Address, client: Callable[[], Client]) -> None:
        self._address = address
        self._client = client

    def look(self) -> Seen:
        """Return the secret as it is now; one that is missing only where it may be created."""
        about = self._ask(
            "DescribeSecret", self._named, (_NOT_FOUND,) if self._address.create else ()
        )
        if about is None:
            return Seen(exists=False)
        if "ARN" not in about:
            raise self._error(NO_AWS)
        if about.get("DeletedDate"):
            raise self._error(DELETED)
        current, labels = current_in(about)
        return Seen(
            exists=True,
            current=current,
            labels=labels,
            text=self._text(current) if current else None,
            tags={tag["Key"]: tag.get("Value", "") for tag in about.get("Tags") or ()},
            obstacle=obstacle_in(about, self._address.region),
        )

    def create(self) -> None:
        """Create the secret without a value, unless somebody else just did."""
        given = {"Name": self._address.secret_id, "ClientRequestToken": str(uuid.uuid4())}
        if self._address.kms_key_id:
            given["KmsKeyId"] = self._address.kms_key_id
        self._ask("CreateSecret", given, ("ResourceExistsException",))

    def tag(self, changes: Mapping[str, str | None], found: Mapping[str, str]) -> dict[str, str]:
        """Change those tags that differ from what was found; return what then stands.

        First what is new, then what goes: dying in between leaves a note too many, none too few.
        """
        new = {key: text for key, text in changes.items() if text is not None}
        new = {key: text for key, text in new.items() if found.get(key) != text}
        gone = [key for key, text in changes.items() if text is None and key in found]
        if new:
            tags = [{"Key": key, "Value": text} for key, text in new.items()]
            self._ask("TagResource", self._named | {"Tags": tags})
        if gone:
            self._ask("UntagResource", self._named | {"TagKeys": gone})
        return {key: text for key, text in (dict(found) | new).items() if key not in gone}

    def replace(self, seen: Seen, text: str) -> str | None:
        """Make `text` the current version in the place of the one seen; None if that has passed.

        Staged and read back first. The same write of the same secret gets the same version id: a
        repetition finds its own work, whether it was cut off before the last step or after it.
        """
        if len(text.encode()) > _LONGEST:
            raise self._error(
                (StoreError, f"AWS takes secrets of up to {_LONGEST} bytes: remove some of it")
            )
        version = _version_id(seen.current, text)
        put = {"ClientRequestToken": version, "SecretString": text, "VersionStages": [_PENDING]}
        staged = self._ask("PutSecretValue", self._named | put) or {}
        if CURRENT not in staged.get("VersionStages", ()) and not self._promoted(
            seen.current, version, text
        ):
            return None
        return version

    def clear(self, version: str) -> None:
        """Take the label of what is pending off a version that is current: nothing is pending."""
        self._move(_PENDING, version, None)

    def prove(self, seen: Seen) -> None:
        """Make each call that a change takes, in a form that can change nothing at any time.

        Whatever is denied is told at once: policies take their time, and people, to be changed.
        """
        nowhere, absent = str(uuid.uuid4()), () if seen.exists else (_NOT_FOUND,)
        tagging: dict[str, Any] = self._named | {"Tags": []}
        untagging: dict[str, Any] = self._named | {"TagKeys": ["rotator:nothing"]}
        trials: dict[str, Callable[[], object]] = {
            "UpdateSecretVersionStage": lambda: self._move(CURRENT, nowhere, nowhere),
            "TagResource": lambda: self._ask("TagResource", tagging, (*_IMPOSSIBLE, *absent)),
            "UntagResource": lambda: self._ask("UntagResource", untagging, absent),
        }
        if seen.exists:
            trials["PutSecretValue"] = lambda: self._prove_put(seen)
        if missing := [operation for operation, trial in trials.items() if not _allows(trial)]:
            raise self._error(denied(missing, self._address))

    def _prove_put(self, seen: Seen) -> None:
        """Put what is there already, or nothing.

        The first also has KMS asked, and is for versions that bear no other label: moto would lose
        one, and what is built on it. Not to be done to a missing secret, which may come meanwhile.
        """
        if seen.current and seen.labels == (CURRENT,):
            same = {"ClientRequestToken": seen.current, "SecretString": seen.text}
            self._ask("PutSecretValue", self._named | same | {"VersionStages": [_PENDING]})
        else:
            nothing = {"ClientRequestToken": str(uuid.uuid4())}
            self._ask("PutSecretValue", self._named | nothing, _IMPOSSIBLE)

    def _promoted(self, current: str | None, version: str, text: str) -> bool:
        staged = self._ask("GetSecretValue", self._named | {"VersionId": version}, (_NOT_FOUND,))
        if staged is not None and staged.get("SecretString") != text:
            raise self._error(
                (StoreError, "AWS returns another secret than was written: report it")
            )
        moved = self._move(CURRENT, current, version)
        # Refused, it may have been done all the same: by ourselves, the answer having been lost.
        return moved or self.look().current == version

    def _move(self, label: str, origin: str | None, to: str | None) -> bool:
        """Move a label; return False where it was not there, or no such version is."""
        ends = {"RemoveFromVersionId": origin, "MoveToVersionId": to}
        given = {key: version for key, version in ends.items() if version}
        moving = self._named | {"VersionStage": label} | given
        return self._ask("UpdateSecretVersionStage", moving, (*_IMPOSSIBLE, _NOT_FOUND)) is not None

    def _text(self, version: str) -> str:
        value = self._ask("GetSecretValue", self._named | {"VersionId": version}) or {}
        if "SecretBinary" in value:
            raise self._error(
                (StoreError, "this secret is binary, and a token is text: use another secret")
            )
        if "SecretString" not in value:
            raise self._error(NO_AWS)
        return str(value["SecretString"])

    @property
    def _named(self) -> dict[str, Any]:
        return {"SecretId": self._address.secret_id}

    def _ask(
        self, operation: str, given: dict[str, Any], tolerated: tuple[str, ...] = ()
    ) -> dict[str, Any] | None:
        """Call AWS; return None where it answers with one of these codes."""
        from botocore import xform_name  # noqa: PLC0415 - only who has such a store waits for it
        from botocore.exceptions import ClientError  # noqa: PLC0415 - (the same)

        try:
            with translated(self._address, operation):
                try:
                    answer: dict[str, Any] = getattr(self._client(), xform_name(operation))(**given)
                except ClientError as error:
                    known = error.operation_name == operation
                    if known and code_of(error.response) in tolerated:
                        return None
                    raise
                return answer
        except CredentialsError:
            forget_clients()
            raise

    def _error(self, told: tuple[type[StoreError], str]) -> StoreError:
        kind, sentence = told
        return kind(f"{self._address.canonical}: {sentence}")


def _allows(trial: Callable[[], object]) -> bool:
    try:
        trial()
    except NotAllowedError:
        return False
    return True


def _version_id(current: str | None, text: str) -> str:
    """Return an id for this text after that version; a token in it makes it impossible to guess."""
    return str(uuid.UUID(sha256(f"{current}\n{text}".encode()).hexdigest()[:32]))
