"""The shelf keeps the contract that every store has to keep."""

import json

import pytest
from rotator_shelf import open_store

from rotator.stores.port import parse_url
from rotator.testing import Rig, StoreContract


class TestShelf(StoreContract):
    @pytest.fixture
    def rig(self, tmp_path):
        url = parse_url("shelf:shelf.json#TOKEN", tmp_path)
        shelf = tmp_path / "shelf.json"
        shelf.write_text('{"OTHER": ["theirs", ""]}')

        def put(secret):
            kept = json.loads(shelf.read_text())
            _, journal = kept.get("TOKEN", ("", ""))
            shelf.write_text(json.dumps(kept | {"TOKEN": [secret, journal]}))

        def neighbours():
            return {
                key: kept for key, kept in json.loads(shelf.read_text()).items() if key != "TOKEN"
            }

        return Rig(open=lambda: open_store(url), put=put, neighbours=neighbours)
