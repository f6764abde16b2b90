"""What can stand in a mount, and what it means."""

import logging

import pytest

from rotator.errors import StoreError, StoreUnreachableError
from rotator.stores.journal import Journal
from rotator.stores.port import Absent
from rotator.testing.rig import new_intent, new_journal, new_secret, read_back, write
from tests.vault.bao import ROOT, Bao
from tests.vault.helpers import open_vault
from tests.vault.site import FIELD, Site


def as_root(bao: Bao, **variables: str) -> dict[str, str]:
    return {"VAULT_ADDR": bao.url, "VAULT_TOKEN": ROOT} | variables


@pytest.mark.parametrize("value", [12, 0, 1.5, True, False, {"a": ["b"]}, ["x"], {}])
def test_a_field_that_is_no_text_is_refused_and_kept(site: Site, value: object) -> None:
    store = open_vault(site.store_url, site.variables(site.upstream))
    version = store.read().version
    site.put_fields({FIELD: value})
    for act in (
        store.read,
        store.preflight,
        lambda: store.note(Journal(intents=(new_intent(),)), expected=version),
        lambda: store.write(new_secret(), new_journal(), expected=version),
    ):
        with pytest.raises(StoreError, match="the value of this field is no text: correct it, or"):
            act()
    assert site.fields() == {FIELD: value}
    assert site.notes() == {}


@pytest.mark.parametrize("value", [12, None, {"a": ["b"]}])
def test_a_field_that_is_null_is_absent_and_neighbours_may_be_anything(
    site: Site, value: object
) -> None:
    site.put_fields({FIELD: None, "OTHER": value})
    store = open_vault(site.store_url, site.variables(site.upstream))
    assert isinstance(store.read(), Absent)
    write(store, secret := new_secret(), new_journal())
    assert site.fields() == {FIELD: secret, "OTHER": value}


@pytest.mark.parametrize("means", ["delete", "destroy"])
def test_what_was_deleted_is_absent_and_does_not_come_back(site: Site, means: str) -> None:
    site.put_fields({"OLD": "1", FIELD: "old"})
    site.put_fields({"OLD": "2", FIELD: "old"})
    store = open_vault(site.store_url, site.variables(site.upstream))
    write(store, new_secret(), journal := new_journal(intents=1))
    if means == "delete":
        site.bao.call("DELETE", site.data)
    else:
        site.bao.call("PUT", f"{site.mount}/destroy/{site.path}", {"versions": [3]})
    found = store.read()
    assert isinstance(found, Absent)
    assert found.journal == journal
    store.preflight()
    version = store.note(Journal(intents=(new_intent(),)), expected=found.version)
    store.write(secret := new_secret(), Journal(), expected=version)
    assert site.fields() == {FIELD: secret}


def test_a_secret_whose_versions_and_notes_are_gone_is_absent(site: Site) -> None:
    store = open_vault(site.store_url, site.variables(site.upstream))
    version = write(store, new_secret(), new_journal())
    site.bao.call("DELETE", site.metadata)
    assert store.read() == Absent(store.read().version, Journal())
    assert store.read().version != version
    write(store, secret := new_secret(), new_journal())
    assert site.secret() == secret


def test_two_fields_of_one_secret_have_a_journal_each(site: Site) -> None:
    one, other = (
        open_vault(f"{site.store_url}{suffix}", site.variables(site.upstream))
        for suffix in ("", "_2")
    )
    seen = [(new_secret(), new_journal(intents=1)) for _ in range(2)]
    for store, (secret, journal) in zip((one, other), seen, strict=True):
        write(store, secret, journal)
    assert [read_back(one), read_back(other)] == seen


def test_a_mount_of_kv_version_1_is_refused_by_name(bao: Bao) -> None:
    bao.mount("old", version=1)
    for path in ("nothing", "luna", "data/luna"):
        bao.call("POST", f"old/{path}", {FIELD: "t"})
    for path, token in (
        ("nothing-at-all", ROOT),
        ("luna", ROOT),
        ("luna", bao.token_for('path "old/luna" { capabilities = ["read"] }', "for-v1")),
    ):
        store = open_vault(f"vault://old/{path}", {"VAULT_ADDR": bao.url, "VAULT_TOKEN": token})
        with pytest.raises(
            StoreError, match=r"this mount is KV version 1; .* enable-versioning old"
        ):
            store.read()


def test_a_mount_of_another_kind_is_refused_by_name(bao: Bao) -> None:
    store = open_vault("vault://cubbyhole/luna", as_root(bao))
    with pytest.raises(StoreUnreachableError, match="the mount cubbyhole is no KV mount"):
        store.read()


def test_a_mount_that_is_not_there_is_no_absent_secret(bao: Bao) -> None:
    for call in (
        open_vault("vault://nowhere/luna", as_root(bao)).read,
        open_vault("vault://nowhere/luna", as_root(bao)).preflight,
    ):
        with pytest.raises(StoreUnreachableError, match="there is no such mount"):
            call()


def test_a_mount_may_have_slashes_in_its_name(bao: Bao) -> None:
    bao.mount("team/kv")
    url = "vault://team/kv/bots/luna?mount=team/kv"
    store = open_vault(url, as_root(bao))
    write(store, secret := new_secret(), new_journal())
    found = bao.call("GET", "team/kv/data/bots/luna")
    assert found["data"]["data"] == {FIELD: secret}
    with pytest.raises(StoreUnreachableError, match=r"\?mount=team/kv"):
        open_vault("vault://team/kv/bots/luna", as_root(bao)).read()


def test_a_path_may_have_any_characters(bao: Bao, site: Site) -> None:
    url = f"vault://secret/{site.path}/a%20b%3F%23%25é+#f%20ü:%2F"
    store = open_vault(url, as_root(bao))
    write(store, secret := new_secret(), journal := new_journal(intents=1))
    assert read_back(open_vault(store.url, as_root(bao))) == (secret, journal)
    keys = bao.call("LIST", f"secret/metadata/{site.path}")["data"]["keys"]
    assert keys == ["a b?#%é+"]


def test_a_namespace_is_looked_into(bao: Bao) -> None:
    bao.call("POST", "sys/namespaces/moon")
    bao.mount("secret", namespace="moon")
    variables = as_root(bao, VAULT_NAMESPACE="moon/")
    store = open_vault("vault://secret/bots/luna", variables)
    assert isinstance(store.read(), Absent)
    write(store, secret := new_secret(), new_journal())
    store.preflight()
    assert read_back(store)[0] == secret
    assert isinstance(open_vault("vault://secret/bots/luna", as_root(bao)).read(), Absent)


def test_a_namespace_that_is_not_there_is_named(bao: Bao) -> None:
    store = open_vault("vault://secret/luna", as_root(bao, VAULT_NAMESPACE="sun"))
    with pytest.raises(StoreUnreachableError, match="no such namespace: see VAULT_NAMESPACE"):
        store.read()


def test_a_mount_that_requires_cas_is_served(bao: Bao) -> None:
    bao.mount("strict")
    bao.call("POST", "strict/config", {"cas_required": True})
    store = open_vault("vault://strict/luna", as_root(bao))
    for _ in range(2):
        write(store, secret := new_secret(), journal := new_journal())
        assert read_back(store) == (secret, journal)


def test_a_mount_that_requires_cas_for_metadata_is_refused_before_anything_is_minted(
    bao: Bao,
) -> None:
    bao.mount("stricter")
    bao.call("POST", "stricter/config", {"metadata_cas_required": True})
    store = open_vault("vault://stricter/luna", as_root(bao))
    found = store.read()
    with pytest.raises(StoreError, match="metadata_cas_required is set"):
        store.note(Journal(intents=(new_intent(),)), expected=found.version)


def test_the_journal_finds_room_beside_as_many_notes_as_the_server_takes(site: Site) -> None:
    full = {f"k{number}": "v" * 512 for number in range(64)}
    site.bao.call("POST", site.metadata, {"custom_metadata": full})
    store = open_vault(site.store_url, site.variables(site.upstream))
    write(store, new_secret(), journal := new_journal(pending=6, hooks=6, intents=8))
    assert read_back(store)[1] == journal
    assert full.items() <= site.notes().items()


def test_no_log_holds_a_secret_or_a_token(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    store = open_vault(site.store_url, site.variables(site.upstream))
    caplog.set_level(logging.DEBUG)
    caplog.clear()
    secrets = [new_secret(), new_secret()]
    for secret in secrets:
        write(store, secret, new_journal())
        store.preflight()
    assert f"/v1/{site.data}" in caplog.text
    for secret in (*secrets, site.token):
        assert secret not in caplog.text
