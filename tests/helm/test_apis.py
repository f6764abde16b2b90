"""Several APIs in one release: each has its own password, and the pod the rights to read it."""

from pathlib import Path

import pytest

from rotator.config.loader import load_settings
from tests.helm.chart import TOKENS, Chart

EU = {
    "name": "eu",
    "url": "https://eu.example.com/api",
    "admin_email": "a@example.com",
    "admin_password": "kubernetes://ops/nocturna-eu#password",
}
US = {
    **EU,
    "name": "us",
    "url": "https://us.example.com:8443/api",
    "admin_password": "vault://secret/us#password",
}
CONFIG: dict[str, object] = {
    "apis": [EU, US],
    "defaults": {"api": "eu"},
    "tokens": [*TOKENS, {"name": "sol", "stores": ["kubernetes://bots/sol"], "api": "us"}],
}
VALUES: dict[str, object] = {
    "networkPolicy": {"enabled": True},
    "extraEnv": [
        {"name": "VAULT_ADDR", "value": "https://vault.example.com:8200"},
    ],
}


def test_each_api_is_in_the_config_with_its_rights_and_its_port(
    chart: Chart, tmp_path: Path
) -> None:
    manifests = chart.render(config=CONFIG, **VALUES)
    (tmp_path / "rotator.toml").write_text(manifests.toml)
    settings = load_settings(tmp_path / "rotator.toml", {}, tmp_path)
    assert [api.name for api in settings.apis] == ["eu", "us"]
    assert [token.api for token in settings.tokens] == ["eu", "us"]
    roles = {each["metadata"]["namespace"]: each["rules"] for each in manifests.of("Role")}
    assert roles["ops"][0]["resourceNames"] == ["nocturna-eu"]
    egress = manifests.one("NetworkPolicy")["spec"]["egress"]
    ports = {port["port"] for rule in egress for port in rule.get("ports", ())}
    assert {443, 8443, 8200} <= ports
    for _, pod in manifests.pods():
        assert not any(
            each["name"].startswith("NOCTURNA_")
            for container in pod["containers"]
            for each in container.get("env", ())
        )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"api": {"url": EU["url"]}}, "config.api: found config.apis as well, expected one of"),
        (
            {"apis": [EU, {**US, "url": "x"}]},
            'config.apis[1].url: found "x", expected the API\'s URL',
        ),
        (
            {"apis": [{**EU, "admin_password": ""}]},
            "the admin's password: found no source, expected exactly one of admin.existingSecret",
        ),
        (
            {"defaults": {}},
            'config.tokens: the api of "luna-bot": found nothing, expected one of: eu, us',
        ),
    ],
)
def test_what_does_not_fit_is_refused(chart: Chart, changes: dict[str, object], said: str) -> None:
    assert said in chart.refusal(config={**CONFIG, **changes}, **VALUES)


def test_one_secret_is_no_password_of_several(chart: Chart) -> None:
    files = [{**each, "admin_password": ""} for each in (EU, US)]
    said = chart.refusal(
        config={**CONFIG, "apis": files}, admin={"existingSecret": "nocturna-admin"}, **VALUES
    )
    assert "admin: found existingSecret or csi, which hold one password, beside config.apis" in said
