from pathlib import Path

import pytest

from tests.http_client.support import forget_environment
from tests.nocturna.support import Client, client_of
from tests.support.sandbox import Sandbox


@pytest.fixture(autouse=True)
def _environment_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_environment(monkeypatch, tmp_path)


@pytest.fixture
def client(api: Sandbox) -> Client:
    return client_of(api)
