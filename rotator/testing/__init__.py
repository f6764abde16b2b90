"""Tests to inherit, for whoever writes a store: the contract that each has to keep.

    from rotator.testing import Rig, StoreContract

    class TestShelf(StoreContract):
        @pytest.fixture
        def rig(self, tmp_path):
            return Rig(open=lambda: open_store(url_of(tmp_path)))

A `command:` store is proven by the rig of its program:

    from rotator.testing import StoreContract, program_rig

    class TestLunaStore(StoreContract):
        @pytest.fixture
        def rig(self, tmp_path):
            return program_rig(f"command:/usr/local/lib/luna-store?args={tmp_path}#TOKEN", tmp_path)

Needs pytest. What a rig cannot do is not tested; pytest's report lists it as skipped.
"""

import pytest

_MODULES = ("contract", "programs", "rehearsals", "rig")
pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _MODULES))

from rotator.testing.contract import StoreContract  # noqa: E402 - after the rewrite of its assertions
from rotator.testing.programs import program_rig  # noqa: E402 - after the rewrite of its assertions
from rotator.testing.rig import Cut, Rig  # noqa: E402 - after the rewrite of its assertions

__all__ = ["Cut", "Rig", "StoreContract", "program_rig"]
