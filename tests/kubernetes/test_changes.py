"""What is changed in a Secret, and what is not; with a real cluster too."""

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from backends.kubernetes.store import KubernetesStore
from rotator.errors import ConflictError, StoreDeniedError, StoreError, StoreUnreachableError
from rotator.stores.journal import Journal
from rotator.stores.port import Absent, Entry
from tests.kubernetes.helpers import opened, store_of
from tests.kubernetes.site import CHECKER, JOURNAL, KEY, Site
from tests.support.relay import Relay

NOTED = Journal(token_id="t-1", previous_token_id="t-0")


class Meddler:
    """Does something just before each of the first `times` changes reaches the server."""

    def __init__(self, act: Callable[[], object], times: int = 1) -> None:
        self._act = act
        self._left = times

    def __call__(self, moment: str) -> bool:
        if moment.startswith(("before PATCH", "before POST")) and self._left:
            self._left -= 1
            self._act()
        return True


def whole(site: Site) -> dict[str, Any]:
    found = site.whole()
    assert found
    return found


def write_through(site: Site, meddler: Meddler) -> None:
    with Relay(site.upstream) as relay:
        store = opened(site.store_url, site.variables(relay.url))
        version = store.read().version
        relay.at = meddler
        store.write("new", NOTED, expected=version)


def test_the_secret_is_what_a_pod_reads_and_the_journal_an_annotation(site: Site) -> None:
    store_of(site).write("new", NOTED, expected=store_of(site).read().version)
    assert site.secret() == "new"
    assert whole(site)["metadata"]["annotations"][JOURNAL] == "v=1 token=t-1 previous=t-0"


def test_an_empty_journal_leaves_no_annotation(site: Site) -> None:
    store = store_of(site)
    store.write("new", NOTED, expected=store.read().version)
    store.note(Journal(), expected=store.read().version)
    assert JOURNAL not in whole(site)["metadata"]["annotations"]


def test_two_keys_of_one_secret_do_not_know_of_each_other(site: Site) -> None:
    other = store_of(site, site.store_url.replace(KEY, "OTHER_TOKEN"))
    store = store_of(site)
    version, others = store.read().version, other.read().version
    store.write("ours", NOTED, expected=version)
    other.write("theirs", Journal(token_id="t-2"), expected=others)
    assert store.read().journal == NOTED
    assert other.read().journal == Journal(token_id="t-2")
    assert site.secret() == "ours"


def test_a_neighbour_that_is_changed_meanwhile_is_no_conflict_and_kept(site: Site) -> None:
    write_through(site, Meddler(lambda: site.put("changed", key="OTHER")))
    assert site.secret() == "new"
    assert whole(site)["data"]["OTHER"] == base64.b64encode(b"changed").decode()


def test_our_key_that_is_changed_meanwhile_is_a_conflict(site: Site) -> None:
    with pytest.raises(ConflictError, match=f"somebody else changed {KEY}"):
        write_through(site, Meddler(lambda: site.put("theirs")))
    assert site.secret() == "theirs"


def test_a_secret_that_never_rests_is_a_conflict_in_the_end(site: Site) -> None:
    numbers = iter(range(100))
    with pytest.raises(ConflictError, match="keep changing this Secret"):
        write_through(site, Meddler(lambda: site.put(str(next(numbers)), key="OTHER"), times=100))
    assert site.secret() is None


def test_threads_that_change_keys_of_one_secret_wait_for_each_other(site: Site) -> None:
    keys = [f"TOKEN_{number}" for number in range(8)]
    with Relay(site.upstream) as relay:
        variables = site.variables(relay.url)
        stores = [opened(site.store_url.replace(KEY, key), variables) for key in keys]
        versions = [store.read().version for store in stores]
        begin = Barrier(len(stores))

        def write(store: KubernetesStore, version: str) -> None:
            begin.wait()
            store.write("new", NOTED, expected=version)

        with ThreadPoolExecutor(len(stores)) as pool:
            list(pool.map(write, stores, versions))
        patches = [moment for moment in relay.moments if moment.startswith("before PATCH")]
    assert len(patches) == len(keys)
    assert set(keys) <= whole(site)["data"].keys()


def test_a_secret_that_is_deleted_meanwhile_is_not_made_again(site: Site) -> None:
    with pytest.raises(StoreUnreachableError, match="there is no Secret luna"):
        write_through(site, Meddler(site.delete))
    assert site.whole() is None


def test_a_missing_secret_is_created_with_a_label_only_where_that_was_asked_for(
    vacant: Site,
) -> None:
    store = store_of(vacant)
    version = store.read().version
    store.preflight()
    assert vacant.whole() is None
    store.write("new", NOTED, expected=version)
    made = whole(vacant)
    assert vacant.secret() == "new"
    assert made["type"] == "Opaque"
    assert made["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "nocturna-rotator"}


def test_a_missing_secret_is_unreachable_where_it_may_not_be_created(vacant: Site) -> None:
    store = store_of(vacant, vacant.store_url.replace("?create=true", ""))
    for act in (store.read, store.preflight):
        with pytest.raises(StoreUnreachableError) as caught:
            act()
        assert str(caught.value) == (
            f"{store.url}: there is no Secret luna in the namespace {vacant.namespace}, or no such"
            " namespace: create it, or let the rotator create the Secret with"
            f" '{vacant.store_url}'"
        )


def test_an_empty_value_is_none_and_a_write_replaces_it(site: Site) -> None:
    site.put("")
    version = store_of(site).note(NOTED, expected=store_of(site).read().version)
    assert store_of(site).read() == Absent(version, NOTED)
    store_of(site).write("new", NOTED, expected=version)
    assert site.secret() == "new"


def test_a_secret_that_another_creates_meanwhile_keeps_what_it_has(vacant: Site) -> None:
    write_through(vacant, Meddler(lambda: vacant.put("a neighbour", key="OTHER")))
    assert vacant.secret() == "new"
    assert set(whole(vacant)["data"]) == {KEY, "OTHER"}


def test_a_secret_that_is_deleted_meanwhile_is_made_again_where_that_was_asked_for(
    vacant: Site,
) -> None:
    vacant.put("a neighbour", key="OTHER")
    write_through(vacant, Meddler(vacant.delete))
    assert set(whole(vacant)["data"]) == {KEY}


def test_a_change_whose_answer_is_lost_is_not_sent_again(site: Site) -> None:
    with Relay(site.upstream) as relay:
        store = opened(site.store_url, site.variables(relay.url))
        version = store.read().version
        relay.at = lambda moment: not moment.startswith("after PATCH")
        with pytest.raises(StoreUnreachableError, match="broke the connection off"):
            store.write("new", NOTED, expected=version)
        assert len([each for each in relay.moments if each.startswith("before PATCH")]) == 1
    assert site.secret() == "new"


def test_a_look_whose_answer_is_lost_is_taken_twice_more(site: Site) -> None:
    with Relay(site.upstream) as relay:
        store = opened(site.store_url, site.variables(relay.url))
        answers = iter([False, False, True, False, False, False])
        relay.at = lambda moment: not moment.startswith("after GET") or next(answers)
        store.read()
        with pytest.raises(StoreUnreachableError, match="broke the connection off"):
            store.read()
        assert len([each for each in relay.moments if each.startswith("before GET")]) == 6


def test_a_token_that_another_creates_meanwhile_is_a_conflict(vacant: Site) -> None:
    with pytest.raises(ConflictError):
        write_through(vacant, Meddler(lambda: vacant.put("theirs")))
    assert vacant.secret() == "theirs"


def test_a_missing_namespace_is_found_out_before_anything_is_minted(site: Site) -> None:
    url = f"kubernetes://{site.namespace}-gone/luna?create=true#{KEY}"
    store = opened(url, site.admin_variables())
    store.read()
    with pytest.raises(StoreUnreachableError, match=r"there is no namespace .*-gone: create it$"):
        store.preflight()


def test_an_immutable_secret_is_told_before_anything_is_minted(site: Site) -> None:
    site.put("old")
    site.patch({"immutable": True})
    store = store_of(site)
    version = store.read().version
    for act in (store.preflight, lambda: store.write("new", NOTED, expected=version)):
        with pytest.raises(StoreError, match="is immutable and cannot take a new token: delete it"):
            act()
    assert site.secret() == "old"


def test_the_missing_right_is_named_as_a_role_spells_it(site: Site, vacant: Site) -> None:
    store = opened(site.store_url, site.variables(site.upstream, CHECKER))
    with pytest.raises(StoreDeniedError) as caught:
        store.preflight()
    assert str(caught.value) == (
        f"{store.url}: user system:serviceaccount:{site.namespace}:{CHECKER} may not patch secrets"
        f' "luna" in the namespace {site.namespace}: rotate needs get and patch: grant it a Role'
        " with resources: [secrets], verbs: [get, patch] and resourceNames: [luna]"
    )
    creating = opened(vacant.store_url, vacant.variables(vacant.upstream, CHECKER))
    creating.read()
    with pytest.raises(StoreDeniedError) as caught:
        creating.preflight()
    assert str(caught.value) == (
        f"{creating.url}: user system:serviceaccount:{vacant.namespace}:{CHECKER} may not create"
        f" secrets in the namespace {vacant.namespace}: rotate needs get, patch and create: grant"
        " it a Role with resources: [secrets], verbs: [get, patch] and resourceNames: [luna], and"
        " another rule with resources: [secrets], verbs: [create]"
    )


def test_bytes_that_are_no_text_are_read_as_something_that_is_no_token(site: Site) -> None:
    site.patch({"data": {KEY: base64.b64encode(b"\xff\xfe").decode()}})
    first = store_of(site).read()
    assert isinstance(first, Entry)
    assert first.secret == "\ufffd\ufffd"
    site.patch({"data": {KEY: base64.b64encode(b"\xfe\xff").decode()}})
    with pytest.raises(ConflictError):
        store_of(site).write("new", NOTED, expected=first.version)
    store_of(site).write("new", NOTED, expected=store_of(site).read().version)
    assert site.secret() == "new"
