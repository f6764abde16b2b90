"""The least rights that the docs print are enough, and each of them is needed."""

import re

import pytest

from rotator.errors import StoreDeniedError
from rotator.stores.journal import Journal
from rotator.stores.port import Absent
from rotator.testing.rig import new_intent, new_journal, new_secret, read_back, write
from tests.vault.helpers import open_vault
from tests.vault.site import Site, documented_policy

RIGHTS = [
    (path, capability)
    for path, listed in re.findall(
        r'path "([^"]+)" \{\s*capabilities = \[(.*?)\]', documented_policy()
    )
    for capability in re.findall(r"\w+", listed)
]


def test_the_docs_name_what_is_tested_here() -> None:
    assert len(RIGHTS) == 6


def test_the_rights_of_the_docs_are_enough(site: Site) -> None:
    store = open_vault(site.store_url, site.variables(site.upstream))
    store.preflight()
    version = store.note(Journal(intents=(new_intent(),)), expected=store.read().version)
    store.write(secret := new_secret(), journal := new_journal(), expected=version)
    store.preflight()
    assert read_back(store) == (secret, journal)


def test_the_rights_of_the_docs_to_look_are_enough_for_it_and_for_no_more(site: Site) -> None:
    policy = site.policy(to_look=True)
    assert re.findall(r'"(\w+)"', policy) == ["read", "read"]
    reader = site.bao.token_for(policy, f"{site.path.replace('/', '-')}-reader")
    variables = {"VAULT_ADDR": site.upstream, "VAULT_TOKEN": reader}
    store = open_vault(site.store_url, variables)
    assert isinstance(store.read(), Absent)
    writer = open_vault(site.store_url, site.variables(site.upstream))
    write(writer, secret := new_secret(), journal := new_journal())
    assert read_back(store) == (secret, journal)
    with pytest.raises(StoreDeniedError):
        write(store, new_secret(), new_journal())
    assert read_back(store) == (secret, journal)


def test_a_reader_is_told_no_more_rights_than_reading_takes(site: Site) -> None:
    policy = ""
    for number, (path, full) in enumerate(
        [(site.data, '["read", "update"]'), (site.metadata, '["create", "patch", "read"]')]
    ):
        site.token = site.bao.token_for(
            policy or 'path "none" { capabilities = ["read"] }',
            f"{site.path.replace('/', '-')}-{number}",
        )
        store = open_vault(site.store_url, site.variables(site.upstream))
        line = f'path "{path}" {{ capabilities = ["read"] }}'
        for act, said in ((store.read, line), (store.preflight, line.replace('["read"]', full))):
            with pytest.raises(StoreDeniedError, match=re.escape(said)):
                act()
        policy += f"{line}\n"
    site.token = site.bao.token_for(policy, f"{site.path.replace('/', '-')}-reader")
    assert isinstance(open_vault(site.store_url, site.variables(site.upstream)).read(), Absent)


@pytest.mark.parametrize(("path", "capability"), RIGHTS)
def test_each_right_that_is_missing_is_named_before_anything_is_written(
    site: Site, path: str, capability: str
) -> None:
    path = path.replace("bots/luna", site.path)
    policy = _without(site.policy(), path, capability)
    assert policy != site.policy()
    site.token = site.bao.token_for(policy, f"{site.path.replace('/', '-')}-less")
    store = open_vault(site.store_url, site.variables(site.upstream))
    with pytest.raises(StoreDeniedError) as caught:
        store.preflight()
    assert f'path "{path}" {{ capabilities = [' in str(caught.value)
    assert f'"{capability}"' in str(caught.value)


@pytest.mark.parametrize(("path", "capability"), RIGHTS)
def test_each_right_that_is_missing_is_needed(site: Site, path: str, capability: str) -> None:
    path = path.replace("bots/luna", site.path)
    policy = _without(site.policy(), path, capability)
    site.token = site.bao.token_for(policy, f"{site.path.replace('/', '-')}-less")
    store = open_vault(site.store_url, site.variables(site.upstream))

    def life() -> None:
        version = store.note(Journal(intents=(new_intent(),)), expected=store.read().version)
        store.write(new_secret(), new_journal(), expected=version)
        store.preflight()

    with pytest.raises(StoreDeniedError) as caught:
        life()
    assert f'path "{path}"' in str(caught.value)


def test_a_write_that_is_not_allowed_leaves_no_note(site: Site) -> None:
    write(open_vault(site.store_url, site.variables(site.upstream)), new_secret(), new_journal())
    before = site.notes()
    policy = _without(site.policy(), site.data, "update")
    site.token = site.bao.token_for(policy, f"{site.path.replace('/', '-')}-less")
    with pytest.raises(StoreDeniedError, match="may not update"):
        write(
            open_vault(site.store_url, site.variables(site.upstream)), new_secret(), new_journal()
        )
    assert site.notes() == before


def test_a_line_of_the_message_is_what_the_server_takes(site: Site) -> None:
    """Grant what each message says, until there is none."""
    policy = ""
    for number in range(5):
        site.token = site.bao.token_for(
            policy or 'path "none" { capabilities = ["read"] }',
            f"{site.path.replace('/', '-')}-{number}",
        )
        store = open_vault(site.store_url, site.variables(site.upstream))
        try:
            store.preflight()
        except StoreDeniedError as error:
            policy += re.findall(r'path "[^"]+" \{.*?\}', str(error))[0] + "\n"
        else:
            break
    write(store, secret := new_secret(), new_journal())
    assert site.secret() == secret


def test_a_mount_that_may_be_missing_is_mentioned(site: Site) -> None:
    store = open_vault("vault://nowhere/luna", site.variables(site.upstream))
    with pytest.raises(StoreDeniedError, match="or there is no mount nowhere"):
        store.read()


def _without(policy: str, path: str, capability: str) -> str:
    head, tail = policy.split(f'path "{path}"')
    listed, rest = tail.split("]", 1)
    return f'{head}path "{path}"{_less(listed, capability)}]{rest}'


def _less(listed: str, capability: str) -> str:
    kept = [each for each in re.findall(r'"(\w+)"', listed) if each != capability]
    return listed.partition("[")[0] + "[" + ", ".join(f'"{each}"' for each in kept)
