"""How long a Vault token is used, and what becomes of one that is over."""

from pathlib import Path

import pytest

from backends.vault.store import open_store
from rotator.errors import StoreDeniedError
from rotator.stores.port import parse_url
from rotator.testing.rig import new_journal, new_secret, read_back, write
from tests.support.relay import Relay
from tests.vault.helpers import open_vault
from tests.vault.roles import count, revoke_tokens_of
from tests.vault.site import Site


class Monotonic:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def monotonic() -> Monotonic:
    return Monotonic()


def test_many_stores_share_one_login(
    site: Site, relay: Relay, approle: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in approle.items():
        monkeypatch.setenv(name, value)
    for number in range(20):
        open_store(parse_url(f"{site.store_url}{number}", Path())).read()
    assert _logins(relay) == 1


def test_a_login_is_repeated_when_less_than_a_third_is_left(
    site: Site, relay: Relay, approle: dict[str, str], monotonic: Monotonic
) -> None:
    store = open_vault(site.store_url, approle, monotonic)
    for seconds, logins in ((0, 1), (2399, 1), (2, 2), (2399, 2), (2, 3)):
        monotonic.now += seconds
        store.read()
        assert _logins(relay) == logins


def test_a_login_that_fails_early_is_tried_again_before_the_end(
    site: Site, relay: Relay, approle: dict[str, str], monotonic: Monotonic
) -> None:
    store = open_vault(site.store_url, approle, monotonic)
    store.read()
    relay.at = lambda moment: "approle" not in moment
    monotonic.now += 2500
    store.read()
    store.read()
    assert _logins(relay) == 2
    relay.at = lambda _: True
    monotonic.now += 1000
    store.read()
    assert _logins(relay) == 3


def test_a_login_whose_token_was_revoked_is_repeated_in_the_middle_of_a_write(
    site: Site, relay: Relay, approle: dict[str, str]
) -> None:
    site.put(new_secret())
    store = open_vault(site.store_url, approle)

    def revoking(moment: str) -> bool:
        if moment == f"before POST /v1/{site.data}":
            relay.at = lambda _: True
            revoke_tokens_of(site)
        return True

    relay.at = revoking
    write(store, secret := new_secret(), journal := new_journal())
    assert read_back(store) == (secret, journal)
    assert _logins(relay) == 2


def test_a_token_that_was_revoked_is_told_from_a_missing_right(site: Site) -> None:
    store = open_vault(site.store_url, site.variables(site.upstream))
    store.read()
    site.bao.call("POST", "auth/token/revoke", {"token": site.token})
    for act in (store.read, store.preflight):
        with pytest.raises(StoreDeniedError, match="does not know the Vault token") as caught:
            act()
        assert "set VAULT_TOKEN to another" in str(caught.value)
        assert site.token not in str(caught.value)


def test_the_file_of_the_command_is_read_again_when_its_token_is_over(
    site: Site, tmp_path: Path
) -> None:
    variables = {"VAULT_ADDR": site.upstream, "HOME": str(tmp_path)}
    store = open_vault(site.store_url, variables)
    with pytest.raises(StoreDeniedError, match="there is no Vault token: set VAULT_TOKEN"):
        store.read()
    file = tmp_path / ".vault-token"
    file.write_text("gone")
    with pytest.raises(StoreDeniedError, match="log in again: vault login"):
        store.read()
    file.write_text("two words\n")
    with pytest.raises(StoreDeniedError, match="holds none"):
        store.read()
    file.write_text(f"{site.token}\n")
    store.preflight()


def test_a_token_that_can_be_renewed_is_renewed(
    site: Site, relay: Relay, monotonic: Monotonic
) -> None:
    policy = site.policy() + 'path "auth/token/*" { capabilities = ["read", "update"] }'
    token = site.bao.token_for(policy, site.path.replace("/", "-"), ttl="600s")
    variables = {"VAULT_ADDR": relay.url, "VAULT_TOKEN": token}
    store = open_vault(site.store_url, variables, monotonic)
    for seconds, renewals in ((0, 0), (390, 0), (20, 1), (390, 1), (20, 2)):
        monotonic.now += seconds
        store.read()
        assert count(relay, "renew-self") == renewals


def test_a_token_that_may_not_be_renewed_is_used_to_its_end(
    site: Site, relay: Relay, monotonic: Monotonic, caplog: pytest.LogCaptureFixture
) -> None:
    policy = site.policy() + 'path "auth/token/lookup-self" { capabilities = ["read"] }'
    token = site.bao.token_for(policy, site.path.replace("/", "-"), ttl="600s")
    variables = {"VAULT_ADDR": relay.url, "VAULT_TOKEN": token}
    store = open_vault(site.store_url, variables, monotonic)
    for seconds, renewals in ((0, 0), (410, 1), (10, 1), (130, 2), (200, 3), (9999, 3)):
        monotonic.now += seconds
        store.read()
        assert count(relay, "renew-self") == renewals
    assert "the Vault token ends soon: it is not renewed (403)" in caplog.text
    assert token not in caplog.text


def _logins(relay: Relay) -> int:
    return count(relay, "POST /v1/auth/approle/login")
