"""The contract as one class."""

from rotator.testing.failing import FailingStores
from rotator.testing.racing import RacingStores
from rotator.testing.reading import ReadStores
from rotator.testing.writing import WrittenStores


class StoreContract(ReadStores, WrittenStores, RacingStores, FailingStores):
    """Inherit it in a class whose name begins with `Test`, and give it a fixture `rig`."""
