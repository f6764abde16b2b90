"""The stores of a process share one way to the API server."""

from pathlib import Path

import pytest

from backends.kubernetes.connection import share_connection
from backends.kubernetes.store import open_store
from rotator.stores.port import parse_url
from tests.kubernetes.site import Site


def test_stores_share_a_connection_as_long_as_the_environment_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = share_connection(None, 8)
    assert share_connection(None, 8) is one
    assert share_connection("prod", 8) is not one
    assert share_connection(None, 8, ("GET", "PATCH")) is not one
    monkeypatch.setenv("KUBECONFIG", "/elsewhere")
    assert share_connection(None, 8) is not one


def test_the_kubeconfig_is_read_once_for_many_stores(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    site.put("here")
    variables = site.variables(site.upstream)
    config = tmp_path / "config"
    config.write_bytes(Path(variables["KUBECONFIG"]).read_bytes())
    for name, value in {**variables, "KUBECONFIG": str(config)}.items():
        monkeypatch.setenv(name, value)
    url = parse_url(site.store_url, Path())
    one, other = open_store(url), open_store(url)
    one.read()
    config.unlink()
    other.read()
