"""Many secrets of a region by few requests: twenty texts in an answer, or a hundred descriptions.

ListSecrets may lack what changed in the last five minutes
(https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html). A description
of it counts only where it names that version as current whose text was read later.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from typing import Any, NamedTuple, Protocol

from rotator.errors import StoreError

CURRENT = "AWSCURRENT"
BATCH = "BatchGetSecretValue"
LIST = "ListSecrets"
_BATCH = 20  # secrets, https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html
_PAGE = 100  # secrets
_SIDE_BY_SIDE = 8  # batches, as their looks are in as many threads
_SUFFIX = 7  # characters that AWS appends to the name in an ARN
_log = logging.getLogger(__name__)


class Ask(Protocol):
    """Makes a call of Secrets Manager; raises `StoreError`."""

    def __call__(self, operation: str, **given: Any) -> dict[str, Any] | None: ...  # noqa: ANN401 - boto3 has no types


class Known(NamedTuple):
    """What was read ahead of a secret: texts of versions, and its description, None without one."""

    texts: Mapping[str, str] = {}
    about: Mapping[str, Any] | None = None


class Fleet:
    """The secrets that are to be looked at next, by their names or ARNs; shared by all threads."""

    def __init__(self, ask: Ask, secret_ids: Sequence[str], *, may_lag: bool) -> None:
        """Describe the secrets, where that `may_lag` and is worth it, and read the first texts.

        Raises `StoreError` where texts are denied, or the request fails.
        """
        self._listed = _list(ask, secret_ids) if may_lag and len(secret_ids) >= _PAGE else {}
        self._batches: dict[str, _Batch] = {}
        # Threads that look at neighbours ask for different batches.
        window = _BATCH * _SIDE_BY_SIDE
        for start in range(0, len(secret_ids), window):
            part = secret_ids[start : start + window]
            count = -(-len(part) // _BATCH)
            for first in range(count):
                batch = _Batch(ask, part[first::count])
                self._batches |= dict.fromkeys(part[first::count], batch)
        self._batches[secret_ids[0]].read()

    def find(self, secret_id: str) -> Known:
        """Return what is known of a secret; read its text, with those of its batch."""
        texts = self._batches[secret_id].find(secret_id)
        about = self._listed.get(secret_id, {})
        versions = (about.get("SecretVersionsToStages") or {}).items()
        current = next((version for version, labels in versions if CURRENT in labels), None)
        if current is None or current not in texts:
            return Known(texts)
        return Known(texts, {**about, "VersionIdsToStages": about["SecretVersionsToStages"]})


class _Batch:
    """The current texts of up to twenty secrets, read by whoever needs one of them first."""

    def __init__(self, ask: Ask, secret_ids: Sequence[str]) -> None:
        self._ask = ask
        self._ids = secret_ids
        self._lock = Lock()
        self._texts: dict[str, dict[str, str]] | None = None

    def read(self) -> Mapping[str, Mapping[str, str]]:
        """Return the texts by their versions, and those by names and ARNs; raises `StoreError`."""
        with self._lock:
            if self._texts is None:
                self._texts = {}
                answer = self._ask(BATCH, SecretIdList=list(self._ids)) or {}
                for each in filter(None, answer.get("SecretValues") or ()):
                    known = {str(each.get("VersionId")): str(each.get("SecretString") or "")}
                    self._texts |= {str(each.get(name)): known for name in ("Name", "ARN")}
            return self._texts

    def find(self, secret_id: str) -> Mapping[str, str]:
        """Return the text of one secret; none after a failure, as each is read alone then."""
        try:
            return self.read().get(secret_id, {})
        except StoreError as error:
            _log.info("%d secrets are read alone: %s", len(self._ids), error)
            return {}


def _list(ask: Ask, secret_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """Return the descriptions of these secrets that a list of AWS has; any may be missing."""
    wanted, found = set(secret_ids), {}
    try:
        for each in _list_pages(ask, _prefix_of(secret_ids), most=len(secret_ids) // _BATCH):
            for name in {str(each.get("Name")), str(each.get("ARN"))} & wanted:
                found[name] = each
    except StoreError as error:
        _log.info("each secret is described alone: %s", error)
    return found


def _list_pages(ask: Ask, prefix: str, most: int) -> Iterator[Mapping[str, Any]]:
    """Yield all secrets whose names begin so, up to some pages; raises `StoreError`."""
    given: dict[str, Any] = {"MaxResults": _PAGE}
    if prefix:
        given["Filters"] = [{"Key": "name", "Values": [prefix]}]
    for _ in range(most):
        answer = ask(LIST, **given) or {}
        yield from filter(None, answer.get("SecretList") or ())
        if not answer.get("NextToken"):
            return
        given["NextToken"] = answer["NextToken"]


def _prefix_of(secret_ids: Sequence[str]) -> str:
    """Return what all names begin with: an account may have thousands of other secrets."""
    names = (
        each.rpartition(":")[2][:-_SUFFIX] if each.startswith("arn:") else each
        for each in secret_ids
    )
    return os.path.commonprefix(list(names))  # noqa: RUF071 - of letters, not of folders
