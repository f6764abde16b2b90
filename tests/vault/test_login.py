"""The ways to a Vault token."""

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError
from rotator.testing.rig import new_journal, new_secret, read_back, write
from tests.support.waiting import wait_until
from tests.vault.bao import agent
from tests.vault.helpers import open_vault
from tests.vault.roles import make_role, named_policy
from tests.vault.site import Site
from tests.vault.stand_in import answer_all


def test_approle_logs_in(site: Site, approle: dict[str, str]) -> None:
    store = open_vault(site.store_url, approle)
    store.preflight()
    write(store, secret := new_secret(), new_journal())
    assert site.secret() == secret


def test_the_secret_id_may_come_from_a_file(
    site: Site, approle: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "secret-id"
    approle["VAULT_SECRET_ID_FILE"] = str(file)
    secret_id = approle.pop("VAULT_SECRET_ID")
    with pytest.raises(StoreDeniedError, match=rf"{file} cannot be read \(No such file"):
        open_vault(site.store_url, approle).read()
    file.write_text(f"{secret_id}\n")
    open_vault(site.store_url, approle).preflight()


@pytest.mark.parametrize("uses", [1, 2, 3, 7])
def test_a_role_whose_tokens_serve_few_requests_is_told_or_logs_in_again(
    site: Site, approle: dict[str, str], uses: int
) -> None:
    site.bao.call("POST", make_role(site), {"token_num_uses": uses})
    store = open_vault(site.store_url, approle)
    if uses == 1:
        with pytest.raises(StoreDeniedError, match="token is used up: it serves 1 request, and"):
            store.preflight()
    else:
        store.preflight()
        write(store, secret := new_secret(), new_journal())
        assert site.secret() == secret


def test_an_agent_of_this_machine_that_adds_its_own_token_needs_no_other(
    site: Site, approle: dict[str, str], tmp_path: Path
) -> None:
    site.put(secret := new_secret())
    ids = approle["VAULT_ROLE_ID"], approle["VAULT_SECRET_ID"]
    with agent(tmp_path, site.upstream, *ids) as address:
        variables = {"VAULT_ADDR": address, "HOME": str(tmp_path)}

        def is_logged_in() -> bool:
            with suppress(StoreError):
                return read_back(open_vault(site.store_url, variables))[0] == secret
            return False

        wait_until(is_logged_in)
        store = open_vault(site.store_url, variables)
        store.preflight()
        write(store, new_secret(), new_journal())


def test_a_server_without_an_agent_before_it_asks_for_a_token(site: Site, tmp_path: Path) -> None:
    variables = {"VAULT_ADDR": site.upstream, "HOME": str(tmp_path)}
    with pytest.raises(StoreDeniedError, match="there is no Vault token: set VAULT_TOKEN"):
        open_vault(site.store_url, variables).read()


def test_a_login_that_is_refused_is_told_without_its_credentials(
    site: Site, approle: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    approle["VAULT_SECRET_ID"] = "not-this-one"
    with pytest.raises(
        StoreDeniedError, match=r"login at auth/approle is refused \(400\)"
    ) as caught:
        open_vault(site.store_url, approle).read()
    assert "VAULT_SECRET_ID" in str(caught.value)
    assert "not-this-one" not in str(caught.value) + caplog.text
    assert approle["VAULT_ROLE_ID"] not in str(caught.value) + caplog.text


def test_an_auth_method_that_is_not_there_is_told(site: Site, approle: dict[str, str]) -> None:
    approle["VAULT_AUTH_PATH"] = "elsewhere"
    with pytest.raises(StoreDeniedError, match=r"auth/elsewhere is refused .*VAULT_AUTH_PATH"):
        open_vault(site.store_url, approle).read()


@pytest.fixture(scope="session")
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def signed(key: ec.EllipticCurvePrivateKey) -> Callable[[str], str]:
    """Return what signs a JWT for a subject, as a CI system would."""

    def sign(subject: str) -> str:
        now = datetime.now(UTC)
        claims = {
            "sub": subject,
            "aud": ["vault"],
            "iat": now,
            "exp": now + timedelta(minutes=5),
            "kubernetes.io": {
                "namespace": "bots",
                "serviceaccount": {"name": "luna", "uid": "a-uid"},
            },
        }
        return jwt.encode(claims, key, "ES256")

    return sign


def test_a_jwt_logs_in(
    site: Site,
    key: ec.EllipticCurvePrivateKey,
    signed: Callable[[str], str],
    tmp_path: Path,
) -> None:
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    site.bao.call("POST", "sys/auth/ci", {"type": "jwt"})
    site.bao.call("POST", "auth/ci/config", {"jwt_validation_pubkeys": [public.decode()]})
    role = {
        "role_type": "jwt",
        "user_claim": "sub",
        "bound_audiences": ["vault"],
        "bound_subject": "luna",
        "token_policies": [named_policy(site)],
        "token_no_default_policy": True,
    }
    site.bao.call("POST", "auth/ci/role/luna", role)
    file = tmp_path / "jwt"
    variables = {
        "VAULT_ADDR": site.upstream,
        "VAULT_AUTH_METHOD": "jwt",
        "VAULT_AUTH_PATH": "ci",
        "VAULT_ROLE": "luna",
        "VAULT_JWT_FILE": str(file),
    }
    file.write_text(signed("sol"))
    with pytest.raises(
        StoreDeniedError, match=r"login at auth/ci is refused .*VAULT_ROLE"
    ) as caught:
        open_vault(site.store_url, variables).read()
    assert file.read_text() not in str(caught.value)
    file.write_text(signed("luna"))
    open_vault(site.store_url, variables).preflight()


def test_the_service_account_of_a_pod_logs_in(
    site: Site, signed: Callable[[str], str], tmp_path: Path
) -> None:
    """The cluster's part, the review of the token, is played by a stand-in."""
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "status": {
            "authenticated": True,
            "audiences": ["vault"],
            "user": {
                "username": "system:serviceaccount:bots:luna",
                "uid": "a-uid",
                "groups": ["system:serviceaccounts", "system:serviceaccounts:bots"],
            },
        },
    }
    file = tmp_path / "token"
    file.write_text(signed("system:serviceaccount:bots:luna"))
    body = json.dumps(review).encode()
    with answer_all(201, body, {}, **{"Content-Type": "application/json"}) as (cluster, asked):
        site.bao.call("POST", "sys/auth/kubernetes", {"type": "kubernetes"})
        any_ca = Path(certifi.where()).read_text()
        config = {
            "kubernetes_host": cluster,
            "kubernetes_ca_cert": any_ca[any_ca.index("-----BEGIN") :].partition("\n\n")[0],
            "disable_local_ca_jwt": True,
        }
        site.bao.call("POST", "auth/kubernetes/config", config)
        role = {
            "bound_service_account_names": ["luna"],
            "bound_service_account_namespaces": ["bots"],
            "token_policies": [named_policy(site)],
            "token_no_default_policy": True,
        }
        site.bao.call("POST", "auth/kubernetes/role/luna", role)
        variables = {
            "VAULT_ADDR": site.upstream,
            "VAULT_AUTH_METHOD": "kubernetes",
            "VAULT_ROLE": "luna",
            "VAULT_JWT_FILE": str(file),
        }
        open_vault(site.store_url, variables).preflight()
        assert asked[0].startswith("POST /apis/authentication.k8s.io/v1/tokenreviews")


def test_a_role_that_binds_no_secret_id_needs_none(site: Site, approle: dict[str, str]) -> None:
    role = {"bind_secret_id": False, "secret_id_bound_cidrs": ["127.0.0.0/8"]}
    site.bao.call("POST", make_role(site), role)
    secret_id = approle.pop("VAULT_SECRET_ID")
    open_vault(site.store_url, approle).preflight()
    site.bao.call("POST", make_role(site), {"bind_secret_id": True})
    with pytest.raises(StoreDeniedError, match="VAULT_ROLE_ID and VAULT_SECRET_ID, which is not"):
        open_vault(site.store_url, approle).read()
    with pytest.raises(StoreDeniedError, match="BAO_SECRET_ID, which may have expired"):
        open_vault(site.store_url, approle | {"BAO_SECRET_ID": f"{secret_id}-not"}).read()


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_login_at_what_is_no_vault_is_told(status: int) -> None:
    with answer_all(status, b'{"error": "who are you?"}') as (address, _):
        variables = {"BAO_ADDR": address, "VAULT_ROLE_ID": "r", "VAULT_SECRET_ID": "s"}
        with pytest.raises(
            StoreError, match=rf"no Vault or OpenBao \({status}\): correct BAO_ADDR"
        ):
            open_vault("vault://secret/luna", variables).read()


def test_a_variable_is_named_as_it_was_set(site: Site) -> None:
    for prefix, other in (("BAO", "VAULT"), ("VAULT", "BAO")):
        variables = {f"{prefix}_ADDR": site.upstream, f"{prefix}_TOKEN": "bad"}
        with pytest.raises(StoreDeniedError, match=f"set {prefix}_TOKEN to another") as caught:
            open_vault(site.store_url, variables | {"BAO_NAMESPACE": ""}).read()
        assert f"{other}_" not in str(caught.value)


@pytest.mark.parametrize("token", [None, 1, "", "two words", "line\n"])
def test_a_login_that_answers_no_token_is_an_odd_server(token: object) -> None:
    body = json.dumps({"auth": {"client_token": token, "lease_duration": "x"}}).encode()
    variables = {"VAULT_ROLE_ID": "r", "VAULT_SECRET_ID": "s"}
    with answer_all(200, body) as (address, _):
        store = open_vault("vault://secret/luna", variables | {"VAULT_ADDR": address})
        with pytest.raises(StoreError, match="no Vault or OpenBao"):
            store.read()


def test_a_login_that_the_server_fails_at_may_work_later() -> None:
    body = json.dumps({"errors": ["no answer from the cluster"]}).encode()
    variables = {"VAULT_ROLE_ID": "r", "VAULT_SECRET_ID": "s"}
    with answer_all(500, body) as (address, _):
        store = open_vault("vault://secret/luna", variables | {"VAULT_ADDR": address})
        with pytest.raises(StoreUnreachableError, match=r"auth/approle fails \(500\)"):
            store.read()
