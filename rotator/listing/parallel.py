"""Many looks side by side: mostly they wait for stores and the API."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from rotator.rotation.fleet import WORKERS

Item = TypeVar("Item")
Seen = TypeVar("Seen")


def side_by_side(look: Callable[[Item], Seen], items: Sequence[Item]) -> list[Seen]:
    """Apply `look`, which raises nothing, to each item; return the results in their order."""
    if len(items) < 2:  # noqa: PLR2004 - one needs no threads
        return [look(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - (the same)

    with ThreadPoolExecutor(WORKERS, "look") as pool:
        return list(pool.map(look, items))
