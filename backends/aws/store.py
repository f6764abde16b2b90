"""The AWS Secrets Manager store: a secret, or one key of a secret that is a JSON object.

    aws-secretsmanager://NAME?region=eu-west-1#KEY    aws-secretsmanager://ARN    …?create=true

A new value is staged as AWSPENDING, read back, and made AWSCURRENT by a compare-and-set, which
leaves the old one as AWSPREVIOUS. The journal stands in tags, see `backends.notes`.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from importlib.util import find_spec

from backends.aws.address import AwsAddress
from backends.aws.client import AwsClient, shared_client, usual_region
from backends.aws.secret import AwsSecret, AwsSecretState
from backends.aws.text import ShapeError, secret_in, with_secret
from backends.notes import Notes
from rotator.errors import ConflictError, StoreError
from rotator.stores.journal import Journal
from rotator.stores.port import Absent, Entry, StoreUrl

_SDK = "boto3"
_NO_FIELD = "token"  # names the field in the tags of a secret without one
_ATTEMPTS = 5
# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Tag.html
_LONGEST_TAG = 256
_MOST_TAGS = 50
_NEW_TAGS = 3  # a record of the old secret, one of the new, an intent
_log = logging.getLogger(__name__)


def open_store(url: StoreUrl) -> "SecretsManagerStore":
    """Return the store behind an `aws-secretsmanager:` URL, without asking AWS.

    Raises `ConfigError`, and `ModuleNotFoundError` where boto3 is not installed.
    """
    if find_spec(_SDK) is None:
        raise ModuleNotFoundError(name=_SDK)
    address = AwsAddress.parse(url, usual_region)
    return SecretsManagerStore(address, partial(shared_client, address.region))


class SecretsManagerStore:
    """A secret in AWS Secrets Manager; see `rotator.stores.port.SecretStore` for the promises."""

    def __init__(self, address: AwsAddress, client: Callable[[], AwsClient]) -> None:
        self._field = address.field
        self._url = address.canonical
        self._remote = AwsSecret(address, client)

    def __repr__(self) -> str:
        return f"SecretsManagerStore({self._url!r})"

    @property
    def url(self) -> str:
        """The canonical address: the same for the same name, or the same ARN."""
        return self._url

    def read(self) -> Entry | Absent:
        """Return the secret, its version and its journal."""
        state = self._remote.read()
        secret = self._secret_in(state)
        notes = self._notes(state.tags, secret)
        if secret is None:
            return Absent(notes.version, notes.journal)
        return Entry(secret, notes.version, notes.journal)

    def preflight(self) -> None:
        """Prove the right to each call of `write` and `note`, by calls that can change nothing.

        A secret that is still to be created proves less: CreateSecret and PutSecretValue cannot be
        tried without doing them.
        """
        state, _ = self._read_for_change()
        if len(state.tags) + _NEW_TAGS > _MOST_TAGS:
            raise StoreError(
                f"{self._url}: this secret has {len(state.tags)} of {_MOST_TAGS} tags, which leaves"
                f" no room for a journal of {_NEW_TAGS}: remove some of them"
            )
        self._remote.prove_writable(state)

    def write(self, secret: str, journal: Journal, *, expected: str) -> str:
        """Tag what is to come, replace the secret by a compare-and-set, tag that it is done.

        When two fields of one secret change at the same moment, both changes are kept.
        """
        for attempt in range(_ATTEMPTS):
            state, notes = self._read_for_change()
            if not notes.is_at(expected):
                if attempt:
                    self._abandon(secret)
                raise self._conflict
            self._create_if_missing(state)
            tags = self._remote.tag(notes.plan_write(secret, journal), state.tags)
            text = with_secret(state.text, self._field, secret)
            version = state.current if text == state.text else self._remote.replace(state, text)
            if version:
                with self._tidying():
                    settled = self._notes(tags, secret).plan_cleanup(secret, journal, expected)
                    self._remote.tag(settled, tags)
                    self._remote.clear(version)
                return notes.version_with(secret, journal)
        self._abandon(secret)
        raise ConflictError(
            f"{self._url}: the secret keeps changing; nothing was written: try again later"
        )

    def note(self, journal: Journal, *, expected: str) -> str:
        """Replace the tags alone; of two first intents at the same moment at most one stays."""
        state, notes = self._read_for_change()
        if not notes.is_at(expected) or notes.has_rival(journal, expected):
            raise self._conflict
        self._create_if_missing(state)
        self._remote.tag(notes.plan_note(journal, expected), state.tags)
        if added := notes.plan_withdrawal(journal, expected):
            state, now = self._read_for_change()
            if now.has_rival(journal, expected):
                self._remote.tag(added, state.tags)
                raise self._conflict
        return notes.version_with(self._secret_in(state), journal)

    def hold(self) -> AbstractContextManager[None]:
        """Do nothing: the compare-and-set keeps others out, and a killed run leaves no lock."""
        return nullcontext()

    def held_elsewhere(self) -> None:
        """Return None: AWS does not know who else is at work."""
        return

    def _read_for_change(self) -> tuple[AwsSecretState, Notes]:
        """Read the secret; raises `StoreError` where it is not ours to change."""
        state = self._remote.read()
        if state.obstacle:
            raise StoreError(f"{self._url}: {state.obstacle}")
        return state, self._notes(state.tags, self._secret_in(state))

    def _create_if_missing(self, state: AwsSecretState) -> None:
        # Who creates it meanwhile wins or loses the compare-and-set, as if it had been there.
        if not state.exists:
            self._remote.create()

    def _abandon(self, secret: str) -> None:
        with self._tidying():
            state, notes = self._read_for_change()
            self._remote.tag(notes.plan_abandonment(secret), state.tags)

    @contextmanager
    def _tidying(self) -> Iterator[None]:
        """Let a failure pass: the write is over, and the next one tidies up."""
        try:
            yield
        except StoreError as error:
            _log.warning("the journal was not tidied up: %s", error)

    def _notes(self, tags: Mapping[str, str], secret: str | None) -> Notes:
        return Notes(self._field or _NO_FIELD, secret, tags, _LONGEST_TAG)

    def _secret_in(self, state: AwsSecretState) -> str | None:
        try:
            return secret_in(state.text, self._field)
        except ShapeError as error:
            raise StoreError(f"{self._url}: {error}") from None

    @property
    def _conflict(self) -> ConflictError:
        return ConflictError(
            f"{self._url}: somebody else changed it since it was read; nothing was written: look at"
            " it again"
        )
