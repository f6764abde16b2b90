"""What the stores of AWS have in common: calls, their errors, and a journal in tags."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from backends.aws import failures
from backends.aws.clients import AwsClient, bounded, forget_clients
from backends.aws.failures import AwsTarget
from backends.notes import NoteChanges
from backends.remote import NotedStore, name_errors
from rotator.errors import StoreError, StoreUnreachableError
from rotator.http.throttle import STORE_CONNECTIONS, Throttle

State = TypeVar("State")
SDK = "boto3"
NO_FIELD = "token"  # names the field in the tags of a secret without one
# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Tag.html
_LONGEST_TAG = 256
_MOST_TAGS = 50
_NEW_TAGS = 5  # an intent, and records of the old and the new secret, each in two if it is long
# botocore lets these through, over odd settings and over answers that are no JSON object.
_STRAY = (ValueError, AttributeError, TypeError, RuntimeError)
PATIENCE = 60.0  # seconds for a call: retries, and calls for credentials, included
Trials = Mapping[str, Callable[[], object]]
Tags = list[dict[str, str]]


class AwsStore(NotedStore[State]):
    """A store whose journal is in tags; see `backends.remote.NotedStore`.

    `client` is asked for at each call, which ends within `patience` seconds once `throttle` lets it
    begin.
    """

    is_consistent = False  # a new tag may not show everywhere at once

    def __init__(  # noqa: PLR0913 - what the store is, and how it is reached
        self,
        url: str,
        field: str | None,
        target: AwsTarget,
        client: Callable[[], AwsClient],
        patience: float,
        *,
        throttle: Throttle | None,
    ) -> None:
        super().__init__(url, field or NO_FIELD, _LONGEST_TAG)
        self._target = target
        self._client = client
        self._patience = patience
        self._throttle = throttle or Throttle(STORE_CONNECTIONS)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        try:
            self._throttle.begin()
        except TimeoutError:
            what = "AWS has too much to do for this process: try again later"
            raise StoreUnreachableError(what) from None
        try:
            yield
        finally:
            self._throttle.end()

    def preflight(self) -> None:
        """Make each call of `write` and `note`, in a form that can change nothing at any time.

        What is still to be created proves less: to create it cannot be tried without doing it.
        """
        with name_errors(self.url):
            state, _, tags = self._read(to_write=True)
            if len(tags) + _NEW_TAGS > _MOST_TAGS:
                raise StoreError(
                    f"this {self._target.service.noun} has {len(tags)} of {_MOST_TAGS} tags, which"
                    f" leaves no room for a journal of {_NEW_TAGS}: remove some of them"
                )
            self._try_all(self._trials(state))

    @abstractmethod
    def _trials(self, state: State) -> Trials:
        """Return the calls by their names."""

    @abstractmethod
    def _set_tags(self, new: Tags, removed: list[str]) -> None:
        """Add or replace tags, then remove others."""

    def _send_notes(self, changes: NoteChanges) -> None:
        # In this order a crash leaves a note too many, and none too few.
        new = [{"Key": key, "Value": text} for key, text in changes.items() if text is not None]
        self._set_tags(new, [key for key, text in changes.items() if text is None])

    def _read_tags(self, tags: object) -> dict[str, str]:
        """Return the tags of an answer."""
        pairs = {tag.get("Key"): tag.get("Value", "") for tag in tags or ()}  # type: ignore[attr-defined] # an answer
        if not all(isinstance(text, str) for pair in pairs.items() for text in pair):
            raise failures.no_aws(self._target)
        return pairs

    def _try_all(self, trials: Trials) -> None:
        """Make these calls; report all denials at once: policies take people time to change."""
        denied = []
        for operation, attempt in trials.items():
            try:
                attempt()
            except failures.NotAllowedError:
                denied.append(operation)
        if denied:
            raise failures.describe_denial(denied, self._target)

    def _ask(
        self,
        operation: str,
        tolerated: tuple[str, ...] = (),
        **given: Any,  # noqa: ANN401 - boto3 has no types
    ) -> dict[str, Any] | None:
        """Call AWS; return None where it answers one of the tolerated codes."""
        from botocore import xform_name  # noqa: PLC0415 - an SDK: loaded only where it is used
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - part of it
        from botocore.parsers import ResponseParserError  # noqa: PLC0415 - part of it

        try:
            with self._turn(), bounded(self._patience):
                answer: dict[str, Any] = getattr(self._client(), xform_name(operation))(**given)
        except (BotoCoreError, ClientError, ResponseParserError, *_STRAY) as error:
            if failures.code_of(error, operation) in tolerated:
                return None
            failure = failures.describe_failure(error, operation, self._target)
        else:
            return answer
        if isinstance(failure, failures.CredentialsError):
            forget_clients()
        # Not from inside of `except`: the SDK's error can hold what was sent and answered.
        raise failure
