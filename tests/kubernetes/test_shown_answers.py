"""What was written is looked at: a cluster that changes it on the way has not taken it."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from backends.kubernetes.store import KubernetesStore
from rotator.errors import StoreError, UnconfirmedWriteError
from rotator.stores.journal import Journal
from rotator.stores.port import Entry
from tests.kubernetes.apiserver import ApiServer
from tests.kubernetes.helpers import store_of
from tests.kubernetes.site import JOURNAL, KEY, Site

NOTED = Journal(token_id="t-1", previous_token_id="t-0")


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def strip_all(changed: dict[str, Any]) -> None:
    changed["metadata"].pop("annotations", None)


def strip_ours(changed: dict[str, Any]) -> None:
    changed["metadata"].get("annotations", {}).pop(JOURNAL, None)


def rewrite_journal(changed: dict[str, Any]) -> None:
    changed["metadata"].setdefault("annotations", {})[JOURNAL] = "v=1 token=t-9"


def keep_old(changed: dict[str, Any]) -> None:
    changed["data"][KEY] = encode("old")


def encrypt(changed: dict[str, Any]) -> None:
    changed["data"][KEY] = encode("vault:v1:AAAA")


def remove_value(changed: dict[str, Any]) -> None:
    changed["data"].pop(KEY, None)


def remove_data(changed: dict[str, Any]) -> None:
    changed.pop("data", None)


JOURNAL_CHANGES = (strip_all, strip_ours, rewrite_journal)
VALUE_CHANGES = (keep_old, encrypt, remove_value, remove_data)
OF_JOURNAL = rf"the cluster changes the annotation {JOURNAL}, .*: ask who runs its admission rules"
OF_VALUE = rf"the cluster changes the value of {KEY} .*: ask who runs its admission rules"


def refused(act: Callable[[], object], words: str) -> None:
    with pytest.raises(UnconfirmedWriteError, match=words) as caught:
        act()
    assert "vault:v1" not in str(caught.value)


@pytest.mark.parametrize("change", [*JOURNAL_CHANGES, *VALUE_CHANGES])
def test_a_dry_run_that_shows_something_else_is_refused_before_a_mint(
    site: Site, stand_in: ApiServer, change: Callable[[dict[str, Any]], None]
) -> None:
    site.put("old")
    stand_in.webhook = change
    words = OF_JOURNAL if change in JOURNAL_CHANGES else OF_VALUE
    refused(store_of(site).preflight, words)
    assert site.secret() == "old"


@pytest.mark.parametrize("change", [*JOURNAL_CHANGES, keep_old, encrypt])
def test_a_write_whose_answer_shows_something_else_has_failed(
    site: Site, stand_in: ApiServer, change: Callable[[dict[str, Any]], None]
) -> None:
    site.put("old")
    store = store_of(site)
    version = store.read().version
    stand_in.webhook = change
    words = OF_JOURNAL if change in JOURNAL_CHANGES else OF_VALUE
    refused(lambda: store.write("new", NOTED, expected=version), words)


@pytest.mark.parametrize("change", [*JOURNAL_CHANGES, encrypt, remove_value])
def test_a_note_whose_answer_shows_something_else_has_failed(
    site: Site, stand_in: ApiServer, change: Callable[[dict[str, Any]], None]
) -> None:
    site.put("old")
    store = store_of(site)
    version = store.read().version
    stand_in.webhook = change
    words = OF_JOURNAL if change in JOURNAL_CHANGES else OF_VALUE
    refused(lambda: store.note(NOTED, expected=version), words)


def test_a_secret_that_is_created_without_its_journal_is_refused_by_the_dry_run(
    vacant: Site, stand_in: ApiServer
) -> None:
    stand_in.webhook = strip_all
    refused(store_of(vacant).preflight, OF_JOURNAL)
    assert vacant.whole() is None


def test_what_else_a_cluster_adds_does_not_matter(site: Site, stand_in: ApiServer) -> None:
    def add(changed: dict[str, Any]) -> None:
        changed["metadata"].setdefault("annotations", {})["policy.example/seen"] = "yes"
        changed["metadata"].setdefault("labels", {})["team"] = "luna"

    stand_in.webhook = add
    store = store_of(site)
    store.preflight()
    store.write("new", NOTED, expected=store.read().version)
    store.note(Journal(), expected=store.read().version)
    assert site.secret() == "new"


DELETED = {"deletionTimestamp": "2026-11-30T00:00:00Z", "finalizers": ["example.com/hold"]}


def deleting(site: Site) -> KubernetesStore:
    site.put("old")
    site.patch({"metadata": DELETED})
    return store_of(site)


def test_a_secret_that_is_being_deleted_is_not_written(site: Site, stand_in: ApiServer) -> None:
    del stand_in  # a real cluster sets the time itself
    store = deleting(site)
    entry = store.read()
    for act in (
        store.preflight,
        lambda: store.write("new", NOTED, expected=entry.version),
        lambda: store.note(NOTED, expected=entry.version),
    ):
        with pytest.raises(
            StoreError, match="this Secret is being deleted since 2026-11-30 00:00 UTC"
        ):
            act()
    assert site.secret() == "old"


def test_a_secret_that_is_being_deleted_tells_its_end(site: Site, stand_in: ApiServer) -> None:
    del stand_in
    entry = deleting(site).read()
    assert isinstance(entry, Entry)
    assert entry.ends_at is not None
    assert entry.ends_at.isoformat() == "2026-11-30T00:00:00+00:00"
