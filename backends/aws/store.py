"""The AWS Secrets Manager store: a secret, or one key of a secret that is a JSON object.

    aws-secretsmanager://NAME?region=eu-west-1#KEY    aws-secretsmanager://ARN    …?create=true

A new value is staged as AWSPENDING, read back, and made AWSCURRENT by a compare-and-set, which
leaves the old one as AWSPREVIOUS. The journal stands in tags, see `backends.notes`. The order of
the steps is that of `backends.remote`; each call here may be repeated.
"""

import uuid
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Self

from backends.aws import failures
from backends.aws.address import REGION, AwsAddress
from backends.aws.calls import PATIENCE, SDK, AwsStore, Tags, Trials
from backends.aws.clients import AwsClient, share_client, share_throttle, usual_region
from backends.aws.fleet import CURRENT, Fleet, Known
from backends.aws.text import secret_in, with_secret
from backends.remote import NotedScratch, name_errors, require_module
from rotator.errors import StoreError
from rotator.http.throttle import Throttle
from rotator.stores.port import Absent, Entry, FirstRead, Provenance, StoreUrl

_PENDING, _PREVIOUS = "AWSPENDING", "AWSPREVIOUS"
_SCRATCH = "rotator-rehearsal"
_NOT_FOUND = "ResourceNotFoundException"
# AWS answers these to a request that is allowed, but cannot be fulfilled.
_IMPOSSIBLE = ("InvalidParameterException", "InvalidRequestException", "ValidationException")
_LONGEST = 65536  # bytes, https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html


def open_store(url: StoreUrl) -> "SecretsManagerStore":
    """Return the store behind an `aws-secretsmanager:` URL, without asking AWS.

    Raises `ConfigError`, and `ModuleNotFoundError` where boto3 is not installed.
    """
    require_module(SDK)
    address = AwsAddress.parse(url, usual_region)
    place = address.region, address.service.name, url.connections
    client, throttle = partial(share_client, *place), share_throttle(*place)
    return SecretsManagerStore(address, client, throttle=throttle)


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


class SecretsManagerStore(AwsStore[AwsSecret]):
    """A secret in AWS Secrets Manager; see `rotator.stores.port.SecretStore` for the promises."""

    _label = CURRENT  # of the version that holds the token

    def __init__(
        self,
        address: AwsAddress,
        client: Callable[[], AwsClient],
        patience: float = PATIENCE,
        *,
        throttle: Throttle | None = None,
    ) -> None:
        url = address.scratch if self.is_scratch else address.canonical
        super().__init__(url, address.field, address, client, patience, throttle=throttle)
        self._address = address
        self._known = Known()

    def shelf(self) -> Hashable:
        """Return what all secrets of a region share in this process."""
        return SecretsManagerStore, self._throttle

    def read_ahead(self, stores: Sequence[Self], *, may_lag: bool) -> Mapping[str, FirstRead]:
        """Ask for the texts of twenty secrets at once, and perhaps for a list of descriptions.

        The text of a version never changes. Which version is current, and the tags, `read` still
        asks for each, unless the list `may_lag` and tells them.
        """
        ids = {each.url: each._address.secret_id for each in stores}  # noqa: SLF001 - of this class
        with name_errors(self.url):
            fleet = Fleet(self._ask, list(dict.fromkeys(ids.values())), may_lag=may_lag)
        return {each.url: partial(each._read_in, fleet) for each in stores}  # noqa: SLF001 - of this class

    def _read_in(self, fleet: Fleet) -> Entry | Absent:
        self._known = fleet.find(self._address.secret_id)
        try:
            return self.read()
        finally:
            self._known = Known()

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

    def _trials(self, state: AwsSecret) -> Trials:
        nowhere, absent = str(uuid.uuid4()), () if state.exists else (_NOT_FOUND,)
        trials: dict[str, Callable[[], object]] = {
            "UpdateSecretVersionStage": lambda: self._move(CURRENT, nowhere, nowhere),
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
        missing = (_NOT_FOUND,) if self._address.create else ()
        about = self._known.about or self._call("DescribeSecret", missing)
        if about is None:
            return AwsSecret(exists=False), None, {}
        if "ARN" not in about:
            raise failures.no_aws(self._address)
        if about.get("DeletedDate"):
            raise failures.DELETED.about(self._address)
        versions = (about.get("VersionIdsToStages") or {}).items()
        current = next((version for version, labels in versions if self._label in labels), None)
        every = frozenset(label for _, labels in versions for label in labels)
        text = self._read_text(current) if current else None
        if to_write:
            _refuse_others(about, self._address.region)
        state = AwsSecret(exists=True, current=current, text=text, labels=every)
        tags = self._read_tags(about.get("Tags"))
        return state, secret_in(text, self._address.field), tags

    def _read_text(self, version: str) -> str:
        if text := self._known.texts.get(version):
            return text
        value = self._call("GetSecretValue", VersionId=version) or {}
        if "SecretBinary" in value:
            raise StoreError("this secret is binary, and a token is text: use another secret")
        if "SecretString" not in value:
            raise failures.no_aws(self._address)
        return str(value["SecretString"])

    def _has_scratch(self, state: AwsSecret) -> bool:
        return _SCRATCH in state.labels

    def _create_if_missing(self, state: AwsSecret) -> None:
        # Who creates it meanwhile wins or loses the compare-and-set, as if it had been there.
        if not state.exists:
            key = {"KmsKeyId": self._address.kms_key_id} if self._address.kms_key_id else {}
            key["ClientRequestToken"] = str(uuid.uuid4())
            self._call("CreateSecret", ("ResourceExistsException",), **key)

    def _set_tags(self, new: Tags, removed: list[str]) -> None:
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
        if CURRENT in staged.get("VersionStages", ()):
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
        named = "Name" if operation == "CreateSecret" else "SecretId"
        return self._ask(operation, tolerated, **given, **{named: self._address.secret_id})


class StagedVersion(SecretsManagerStore, NotedScratch[AwsSecret]):
    """The scratch place of a rehearsal: readers keep AWSCURRENT, and AWSPREVIOUS stays, too."""

    _label = _SCRATCH

    def preflight(self) -> None:
        """Prove what the secret's own proves, and that it has a version: the first is current."""
        super().preflight()
        with name_errors(self.url):
            if CURRENT not in self._read(to_write=True)[0].labels:
                raise StoreError(
                    "cannot be rehearsed: this secret has no version yet; rotator rotate makes it"
                )

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
