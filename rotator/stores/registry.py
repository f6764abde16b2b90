"""From a URL to the store behind it, by entry point.

Backends come from other packages, and their errors may hold secrets: a message shows no more of
them than their kind and the missing module. A broken backend stops only the tokens that use it.
"""

import sys
from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points, packages_distributions
from importlib.util import find_spec
from pathlib import Path

from rotator.errors import ConfigError, RotatorError, describe_lack
from rotator.http.throttle import STORE_CONNECTIONS
from rotator.stores.port import SecretStore, StoreUrl, parse_url
from rotator.stores.readonly import UnavailableStore

OpenStore = Callable[[StoreUrl], SecretStore]
GROUP = "rotator.backends"
_MIRRORS = "rotator.mirrors"
_OURS = "nocturna-rotator"
_BACKENDS = "backends"
_FOR_BOTS = {
    "file": "`file:` is only read, by rotator exec, rotator access-token and rotator.client, as a"
    " bare token leaves no room for the record of a rotation: use dotenv:PATH, or the store that"
    " fills the file, such as kubernetes://NAMESPACE/NAME#KEY",
    "env": "`env:` is only read, by rotator.client, as nobody can change the environment of a"
    " process from outside: use dotenv:PATH, or any other store",
}


class UnknownSchemeError(ConfigError):
    """No installed package serves stores of this scheme."""


class Backends:
    """The installed stores; each backend is loaded once, however many URLs use it.

    One server gets at most `connections` at the same time.
    """

    def __init__(self, connections: int = STORE_CONNECTIONS) -> None:
        self._connections = connections
        self._loaded: dict[str, OpenStore] = {}

    def open(self, text: str, folder: Path) -> SecretStore:
        """Return the store behind a URL, without any I/O beyond the file system.

        Relative files start at `folder`. Raises `ConfigError` for a URL that no backend can serve;
        a broken backend gives an `UnavailableStore`.
        """
        url = parse_url(text, folder)._replace(connections=self._connections)
        if url.scheme not in self._loaded:
            self._loaded[url.scheme] = load_backend(_find_backend(url.scheme))
        return self._loaded[url.scheme](url)


def find_entry_point(group: str, name: str, does: str) -> EntryPoint | None:
    """Return the entry point of this name; None where no installed package has one.

    Raises `ConfigError` where several have; `does` says what these packages do.
    """
    found = _entry_points(group, tuple(sys.path)).select(name=name)
    if len(found) > 1:
        owners = ", ".join(sorted(point.dist.name for point in found if point.dist))
        raise ConfigError(f"several packages {does} ({owners}); uninstall all but one")
    return next(iter(found), None)


@cache  # a look through all installed packages takes longer than to open a store
def _entry_points(group: str, _path: tuple[str, ...]) -> EntryPoints:
    return entry_points(group=group)


def load_backend(point: EntryPoint) -> OpenStore:
    """Return what opens the stores of a scheme.

    A backend that cannot be loaded opens unavailable stores. Opening raises `ConfigError` for a URL
    that the backend refuses, and nothing else.
    """
    hidden = _describe_hidden_backends() if _owner(point) == _OURS else None
    if hidden:
        return lambda url: UnavailableStore(url.text, f"{url.text}: {hidden}")
    try:
        backend: OpenStore = point.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - another package may raise anything
        why = _describe_failure(point, error, "be loaded")
        return lambda url: UnavailableStore(url.text, f"{url.text}: {why}")

    def open_store(url: StoreUrl) -> SecretStore:
        try:
            store = backend(url)
            _ = store.url  # what is no store fails here, where a message can still name it
        except ConfigError:
            raise
        except RotatorError as error:
            return UnavailableStore(url.text, str(error))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - another package may raise anything
            why = _describe_failure(point, error, "open this one")
            return UnavailableStore(url.text, f"{url.text}: {why}")
        return store

    return open_store


def _find_backend(scheme: str) -> EntryPoint:
    if point := find_entry_point(GROUP, scheme, f"serve {scheme}: stores"):
        return point
    if scheme in _FOR_BOTS:
        raise UnknownSchemeError(_FOR_BOTS[scheme])
    schemes = ", ".join(sorted(_entry_points(GROUP, tuple(sys.path)).names))
    raise UnknownSchemeError(
        f"no installed package serves {scheme}: stores; installed are: {schemes}"
    )


def _describe_failure(point: EntryPoint, error: BaseException, action: str) -> str:
    if lack := describe_lack(error):
        return lack
    owner = _owner(point)
    served = f"{point.name}: stores" if point.group == GROUP else "restarts"
    if point.group == _MIRRORS:
        served = f"{point.name}: mirrors"
    missing = error.name if isinstance(error, ImportError) else None
    extra = point.value.partition("[")[2].rstrip("] ")  # `point.extras` splits names with dashes
    own = point.value.partition(":")[0].partition(".")[0].strip()
    is_foreign = missing is not None and missing.partition(".")[0] not in (own, "rotator")
    if extra and isinstance(error, ModuleNotFoundError) and is_foreign:
        return (
            f"{served} need the module {missing}, which is not installed:"
            f" pip install '{owner}[{extra}]'"
        )
    others = {*packages_distributions().get(_BACKENDS, ())} - {_OURS}
    if others and owner == _OURS:
        names = ", ".join(sorted(others))
        return (
            f"another package ({names}) has put its own {_BACKENDS} over that of {_OURS}:"
            f" uninstall it, and install {_OURS} again"
        )
    kind = f"{type(error).__name__}: {missing}" if missing else type(error).__name__
    return (
        f"the package {owner}, which serves {served}, cannot {action} ({kind}): update,"
        " repair or uninstall it"
    )


def _owner(point: EntryPoint) -> str:
    return (point.dist.name if point.dist else None) or point.value


def _describe_hidden_backends() -> str | None:
    """Say what Python finds in the place of our own backends, which lie beside this package.

    Called before anything is loaded, since loading would run what is there.
    """
    spec = find_spec(_BACKENDS)
    if spec is None:
        return None
    ours = Path(__file__).resolve().parents[2] / _BACKENDS
    found = [*(spec.submodule_search_locations or ()), spec.origin]  # a folder, or a module
    places = [place for place in found if place]
    if any(Path(place).resolve() == ours for place in places):
        return None
    return (
        f"{places[0]} hides the {_BACKENDS} of {_OURS}: rename or remove it, or start the"
        " command rotator instead of python -m rotator"
    )
