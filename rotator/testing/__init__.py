"""The contract that every store has to keep, as tests: yours included.

    from rotator.testing import Rig, StoreContract

    class TestShelf(StoreContract):
        @pytest.fixture
        def rig(self, tmp_path):
            return Rig(open=lambda: open_store(url_of(tmp_path)))

pytest has to be installed. What a rig does not say how to do is not tested; pytest's report lists
it as skipped.
"""

import pytest

_MODULES = ("contract", "failing", "racing", "reading", "rig", "writing")
pytest.register_assert_rewrite(*(f"{__name__}.{name}" for name in _MODULES))

from rotator.testing.contract import StoreContract  # noqa: E402 - its assertions are to explain themselves
from rotator.testing.rig import Cut, Rig  # noqa: E402 - (the same)

__all__ = ["Cut", "Rig", "StoreContract"]
