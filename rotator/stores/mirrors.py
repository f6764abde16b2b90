"""The port of mirrors: places that can be written, and not read back, such as a CI's secrets.

A mirror is a callable `open_mirror(url: StoreUrl) -> Mirror`, registered in the entry point group
`rotator.mirrors` under its URL scheme.
"""

from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Protocol, cast

from rotator.errors import ConfigError
from rotator.stores.port import parse_url
from rotator.stores.registry import find_entry_point, load_backend

GROUP = "rotator.mirrors"


class Seen(NamedTuple):
    """What a place tells of the secret in it; None is what it does not tell.

    `changed_at` (aware UTC) is when it was last written, by the clock of that place, and `digest`
    is that of `digest_of`.
    """

    changed_at: datetime | None = None
    digest: str | None = None


class Mirror(Protocol):
    """A secret in a place that only takes it.

    Both methods raise `StoreUnreachableError` when the place does not answer, `StoreDeniedError`
    when it denies access, and `StoreError` for the rest.
    """

    @property
    def url(self) -> str:
        """The canonical address: the same for the same secret, free of credentials."""

    def push(self, secret: str) -> None:
        """Put the secret there, in the place of what is there, whoever wrote that."""

    def seen(self) -> Seen | None:
        """Tell what is there; None where there is no such secret."""


def open_mirror(text: str, folder: Path) -> Mirror:
    """Return the mirror behind a URL, without any I/O.

    Raises `ConfigError` for a URL that no package can serve; a broken one gives a mirror that is
    unreachable.
    """
    url = parse_url(text, folder)
    point = find_entry_point(GROUP, url.scheme, f"serve {url.scheme}: mirrors")
    if point is None:
        raise ConfigError(
            f"no installed package serves {url.scheme}: mirrors; what can be read belongs to stores"
        )
    return cast("Mirror", load_backend(point)(url))


def digest_of(text: str) -> str:
    """Return what stands for a text in a journal: it does not tell the text."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
