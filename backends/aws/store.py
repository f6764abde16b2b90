"""The AWS Secrets Manager store: a secret, or one key of a secret that is a JSON object.

    aws-secretsmanager://NAME?region=eu-west-1#KEY    aws-secretsmanager://ARN    …?create=true

A new value is staged as AWSPENDING, read back, and made AWSCURRENT by a compare-and-set, which
leaves the old one as AWSPREVIOUS. The journal stands in tags, see `backends.notes`.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from importlib.util import find_spec

from backends.aws.address import Address
from backends.aws.client import Client, shared_client, usual_region
from backends.aws.secret import RemoteSecret, Seen, ShapeError, secret_in, with_secret
from backends.notes import Notes
from rotator.errors import ConflictError, StoreError
from rotator.stores.journal import Journal
from rotator.stores.port import Absent, Entry, StoreUrl

_SDK = "boto3"
_BARE = "token"  # stands for the field in the tags of a secret without one
_ATTEMPTS = 5
# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Tag.html
_LONGEST_TAG = 256
_MOST_TAGS = 50
_NEW_TAGS = 3  # a record of the old secret, one of the new, an intent
_log = logging.getLogger(__name__)


def open_store(url: StoreUrl) -> "SecretsManagerStore":
    """Return the store behind an `aws-secretsmanager:` URL; nothing is looked at yet."""
    if find_spec(_SDK) is None:
        raise ModuleNotFoundError(name=_SDK)
    address = Address.parse(url, usual_region)
    return SecretsManagerStore(address, partial(shared_client, address.region))


class SecretsManagerStore:
    """A secret in AWS Secrets Manager; see `rotator.stores.port.SecretStore` for the promises."""

    def __init__(self, address: Address, client: Callable[[], Client]) -> None:
        self._address = address
        self._url = address.canonical
        self._remote = RemoteSecret(address, client)

    def __repr__(self) -> str:
        return f"SecretsManagerStore({self._url!r})"

    @property
    def url(self) -> str:
        """The canonical address: the same for the same name, or the same ARN."""
        return self._url

    def read(self) -> Entry | Absent:
        """Return the secret, its version and its journal."""
        seen = self._remote.look()
        secret = self._secret_in(seen)
        notes = self._notes(seen.tags, secret)
        if secret is None:
            return Absent(notes.version, notes.journal)
        return Entry(secret, notes.version, notes.journal)

    def preflight(self) -> None:
        """Prove the right to each call of `write` and `note`, by calls that can change nothing.

        A secret that is still to be created proves less: CreateSecret and PutSecretValue cannot be
        tried without doing them.
        """
        seen, _ = self._look()
        if len(seen.tags) + _NEW_TAGS > _MOST_TAGS:
            raise StoreError(
                f"{self._url}: this secret has {len(seen.tags)} of {_MOST_TAGS} tags, which leaves"
                f" no room for a journal of {_NEW_TAGS}: remove some of them"
            )
        self._remote.prove(seen)

    def write(self, secret: str, journal: Journal, *, expected: str) -> str:
        """Note what is to come, replace the secret by a compare-and-set, note that it is done.

        Of two fields of one secret, changed at the same moment, both changes are kept.
        """
        for attempt in range(_ATTEMPTS):
            seen, notes = self._look()
            if not notes.agrees_with(expected):
                if attempt:
                    self._abandon(secret)
                raise self._conflict
            self._make_sure_of(seen)
            tags = self._remote.tag(notes.preparing(secret, journal), seen.tags)
            text = with_secret(seen.text, self._address.field, secret)
            version = seen.current if text == seen.text else self._remote.replace(seen, text)
            if version:
                self._tidy(partial(self._settle, version, secret, journal, expected, tags))
                return notes.version_with(secret, journal)
        self._abandon(secret)
        raise ConflictError(
            f"{self._url}: the secret keeps changing; nothing was written: try again later"
        )

    def note(self, journal: Journal, *, expected: str) -> str:
        """Replace the tags alone; of two first intents at the same moment at most one stays."""
        seen, notes = self._look()
        if not notes.agrees_with(expected) or notes.is_crowded(journal, expected):
            raise self._conflict
        self._make_sure_of(seen)
        self._remote.tag(notes.noting(journal, expected), seen.tags)
        if added := notes.withdrawing(journal, expected):
            seen, now = self._look()
            if now.is_crowded(journal, expected):
                self._remote.tag(added, seen.tags)
                raise self._conflict
        return notes.version_with(self._secret_in(seen), journal)

    def hold(self) -> AbstractContextManager[None]:
        """Do nothing: the compare-and-set keeps others out, and nothing is left to put right."""
        return nullcontext()

    def held_elsewhere(self) -> None:
        """Return None: AWS does not know who else is at work."""
        return

    def _look(self) -> tuple[Seen, Notes]:
        """Look before a change, and refuse one that is not ours to make."""
        seen = self._remote.look()
        if seen.obstacle:
            raise StoreError(f"{self._url}: {seen.obstacle}")
        return seen, self._notes(seen.tags, self._secret_in(seen))

    def _make_sure_of(self, seen: Seen) -> None:
        # Who else creates it meanwhile wins or loses the compare-and-set, as if it had been there.
        if not seen.exists:
            self._remote.create()

    def _settle(
        self, version: str, secret: str, journal: Journal, expected: str, tags: dict[str, str]
    ) -> None:
        self._remote.tag(self._notes(tags, secret).settling(secret, journal, expected), tags)
        self._remote.clear(version)

    def _abandon(self, secret: str) -> None:
        def act() -> None:
            seen, notes = self._look()
            self._remote.tag(notes.abandoning(secret), seen.tags)

        self._tidy(act)

    def _tidy(self, act: Callable[[], object]) -> None:
        """Do what the next write does otherwise: failing in it changes nothing of what was done."""
        try:
            act()
        except StoreError as error:
            _log.warning("the journal was not tidied up: %s", error)

    def _notes(self, tags: Mapping[str, str], secret: str | None) -> Notes:
        return Notes(self._address.field or _BARE, secret, tags, _LONGEST_TAG)

    def _secret_in(self, seen: Seen) -> str | None:
        try:
            return secret_in(seen.text, self._address.field)
        except ShapeError as error:
            raise StoreError(f"{self._url}: {error}") from None

    @property
    def _conflict(self) -> ConflictError:
        return ConflictError(
            f"{self._url}: somebody else changed it since it was read; nothing was written: look at"
            " it again"
        )
