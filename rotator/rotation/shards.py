"""Shards: which tokens each of several rotators serves, so that nobody has to tell them.

By rendezvous hashing: https://en.wikipedia.org/wiki/Rendezvous_hashing.
"""

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

MOST = 1000  # shards
_FORM = re.compile(r"([0-9]{1,4})/([0-9]{1,4})", re.ASCII)


class Shard(NamedTuple):
    """One of `parts` shares, of which the first has the number 0."""

    part: int
    parts: int

    def __str__(self) -> str:
        return f"{self.part}/{self.parts}"


def parse_shard(text: str) -> Shard:
    """Read `0/3`; raises `ValueError` for anything else."""
    match = _FORM.fullmatch(text)
    expected = f"found {text!r}, expected INDEX/COUNT such as 0/3"
    if not match:
        raise ValueError(expected)
    index, count = int(match[1]), int(match[2])
    if not 1 <= count <= MOST:
        raise ValueError(f"{expected}, with a COUNT from 1 to {MOST}")
    if index >= count:
        raise ValueError(f"{expected}, with an INDEX from 0 to {count - 1}")
    return Shard(index, count)


def tokens_of_shard(names: Iterable[str], index: int, count: int) -> list[str]:
    """Return the names in this shard; with another count, few names change theirs."""

    def owner(name: str) -> int:
        return max(range(count), key=lambda shard: sha256(f"{name}\0{shard}".encode()).digest())

    return [name for name in names if owner(name) == index]
