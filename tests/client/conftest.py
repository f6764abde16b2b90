from pathlib import Path

import pytest

from rotator.sandbox import Sandbox
from tests.client.support import Bot

_FROM_OUTSIDE = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _environment_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*_FROM_OUTSIDE, "requests_ca_bundle", "curl_ca_bundle", "netrc"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def bot(api: Sandbox) -> Bot:
    return Bot(api, api.issue(days=30))
