"""Store URLs, and the backends that serve their schemes.

Backends come in by the entry point group `rotator.backends`: the built-in ones through the same
door as everybody else's.
"""

import re
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from rotator.config.section import shown
from rotator.errors import ConfigError
from rotator.stores.port import SecretStore, StoreUrl
from rotator.stores.registry import OpenStore, load

GROUP = "rotator.backends"
_FOR_BOTS = {
    "file": "`file:` is only read, by rotator exec, rotator access-token and rotator.client, as a"
    " bare token leaves no room for the record of a rotation: use dotenv:PATH, or the store that"
    " fills the file, such as kubernetes://NAMESPACE/NAME#KEY",
    "env": "`env:` is only read, by rotator.client, as nobody can change the environment of a"
    " process from outside: use dotenv:PATH, or any other store",
}
_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*):(?P<rest>[^\s\x00-\x1f\x7f]+)", re.IGNORECASE)


class UnknownSchemeError(ConfigError):
    """No installed package serves stores of this scheme."""


def file_of(url: str) -> Path | None:
    """Return the file of a store that is one: its canonical URL has an empty host, and says so."""
    scheme, _, rest = url.partition(":")
    if not scheme or not rest.startswith("///"):
        return None
    return Path(unquote(rest[2:].partition("#")[0].partition("?")[0]))


class Backends:
    """The stores that are installed; each backend is looked up once, however many URLs use it."""

    def __init__(self) -> None:
        self._loaded: dict[str, OpenStore] = {}

    def open(self, text: str, folder: Path) -> SecretStore:
        """Return the store behind a URL, without any I/O beyond the file system.

        Relative files start at `folder`. Raises `ConfigError` for a URL that no backend can serve;
        a backend that is broken gives a store that never answers.
        """
        url = parse_url(text, folder)
        if url.scheme not in self._loaded:
            self._loaded[url.scheme] = load(_backend(url.scheme))
        return self._loaded[url.scheme](url)


def parse_url(text: str, folder: Path) -> StoreUrl:
    """Take a store URL apart; raises `ConfigError`, without the URL where it holds credentials."""
    match = _URL.fullmatch(text)
    if not match:
        raise ConfigError(f"found {shown(text)}, expected a store URL such as dotenv:.env")
    rest, _, fragment = match["rest"].partition("#")
    location, _, query = rest.partition("?")
    authority = location[2:].split("/", 1)[0] if location.startswith("//") else ""
    if "@" in authority:
        raise ConfigError(
            "found a store URL with a user or password in it, expected one without: credentials"
            " come from the store's own variables and files"
        )
    return StoreUrl(
        text=text,
        scheme=match["scheme"].lower(),
        location=unquote(location),
        query=dict(parse_qsl(query, keep_blank_values=True)),
        field=unquote(fragment) or None,
        folder=folder,
    )


def _backend(scheme: str) -> EntryPoint:
    found = entry_points(group=GROUP, name=scheme)
    if len(found) > 1:
        owners = ", ".join(sorted(point.dist.name for point in found if point.dist))
        raise ConfigError(
            f"several packages serve {scheme}: stores ({owners}); uninstall all but one"
        )
    for point in found:
        return point
    if scheme in _FOR_BOTS:
        raise UnknownSchemeError(_FOR_BOTS[scheme])
    schemes = ", ".join(sorted(entry_points(group=GROUP).names))
    raise UnknownSchemeError(
        f"no installed package serves {scheme}: stores; installed are: {schemes}"
    )
