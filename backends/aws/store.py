"""The AWS Secrets Manager store: a secret, or one key of a secret that is a JSON object.

    aws-secretsmanager://NAME?region=eu-west-1#KEY    aws-secretsmanager://ARN    …?create=true

A new value is staged as AWSPENDING, read back, and made AWSCURRENT by a compare-and-set, which
leaves the old one as AWSPREVIOUS. The journal stands in tags, see `backends.notes`.
"""

from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec

from backends.aws.address import AwsAddress
from backends.aws.client import AwsClient, shared_client, usual_region
from backends.aws.secret import AwsSecret, AwsSecretState
from backends.aws.text import secret_in, with_secret
from backends.notes import NoteChanges
from backends.remote import NotedStore, name_errors
from rotator.errors import StoreError
from rotator.stores.port import StoreUrl

_SDK = "boto3"
_NO_FIELD = "token"  # names the field in the tags of a secret without one
# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Tag.html
_LONGEST_TAG = 256
_MOST_TAGS = 50
_NEW_TAGS = 3  # a record of the old secret, one of the new, an intent


def open_store(url: StoreUrl) -> "SecretsManagerStore":
    """Return the store behind an `aws-secretsmanager:` URL, without asking AWS.

    Raises `ConfigError`, and `ModuleNotFoundError` where boto3 is not installed.
    """
    if find_spec(_SDK) is None:
        raise ModuleNotFoundError(name=_SDK)
    address = AwsAddress.parse(url, usual_region)
    return SecretsManagerStore(address, partial(shared_client, address.region))


class SecretsManagerStore(NotedStore[AwsSecretState]):
    """A secret in AWS Secrets Manager; see `rotator.stores.port.SecretStore` for the promises."""

    is_consistent = False  # a new tag may not show everywhere at once

    def __init__(self, address: AwsAddress, client: Callable[[], AwsClient]) -> None:
        super().__init__(address.canonical, address.field or _NO_FIELD, _LONGEST_TAG)
        self._key = address.field
        self._remote = AwsSecret(address, client)

    def preflight(self) -> None:
        """Prove the right to each call of `write` and `note`, by calls that can change nothing.

        A secret that is still to be created proves less: CreateSecret and PutSecretValue cannot be
        tried without doing them.
        """
        with name_errors(self.url):
            state, _, tags = self._read(to_write=True)
            if len(tags) + _NEW_TAGS > _MOST_TAGS:
                raise StoreError(
                    f"this secret has {len(tags)} of {_MOST_TAGS} tags, which leaves no room for a"
                    f" journal of {_NEW_TAGS}: remove some of them"
                )
            self._remote.prove_writable(state)

    def _read(self, *, to_write: bool) -> tuple[AwsSecretState, str | None, Mapping[str, str]]:
        state = self._remote.read()
        if to_write and state.obstacle:
            raise StoreError(state.obstacle)
        return state, secret_in(state.text, self._key), state.tags

    def _replace(self, state: AwsSecretState, secret: str) -> bool:
        text = with_secret(state.text, self._key, secret)
        version = state.current if text == state.text else self._remote.replace(state, text)
        if version is None:
            return False
        with self._tidying("written, but AWSPENDING was left on it"):
            self._remote.clear(version)
        return True

    def _send_notes(self, changes: NoteChanges) -> None:
        self._remote.tag(changes)

    def _create_if_missing(self, state: AwsSecretState) -> None:
        # Who creates it meanwhile wins or loses the compare-and-set, as if it had been there.
        if not state.exists:
            self._remote.create()
