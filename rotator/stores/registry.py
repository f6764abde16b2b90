"""From an entry point to the backend behind it; a broken one only stops the tokens that use it.

Backends come from other packages, and their errors may hold secrets: of these no message shows more
than the kind, and the module that is missing.
"""

from collections.abc import Callable
from importlib.metadata import EntryPoint, packages_distributions
from importlib.util import find_spec
from pathlib import Path

from rotator.broken import BrokenStore
from rotator.errors import ConfigError, RotatorError
from rotator.stores.port import SecretStore, StoreUrl

OpenStore = Callable[[StoreUrl], SecretStore]
_OURS = "nocturna-rotator"
_BACKENDS = "backends"
_STORES = "rotator.backends"


def load(point: EntryPoint) -> OpenStore:
    """Return what opens the stores of a scheme; of what cannot be loaded it opens broken ones.

    Opening raises `ConfigError` for a URL that the backend refuses, and nothing else.
    """
    hidden = _hidden() if _owner(point) == _OURS else None
    if hidden:
        return _opening_broken(hidden)
    try:
        backend: OpenStore = point.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - another package may raise anything
        return _opening_broken(_why(point, error, "be loaded"))

    def open_store(url: StoreUrl) -> SecretStore:
        try:
            store = backend(url)
            _ = store.url  # what is no store fails here, where it can still be told
        except ConfigError:
            raise
        except RotatorError as error:
            return BrokenStore(url.text, str(error))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - (the same)
            return BrokenStore(url.text, f"{url.text}: {_why(point, error, 'open this one')}")
        return store

    return open_store


def _opening_broken(why: str) -> OpenStore:
    return lambda url: BrokenStore(url.text, f"{url.text}: {why}")


def _why(point: EntryPoint, error: BaseException, failed: str) -> str:
    owner = _owner(point)
    served = f"{point.name}: stores" if point.group == _STORES else "restarts"
    missing = error.name if isinstance(error, ImportError) else None
    extra = point.value.partition("[")[2].rstrip("] ")  # `point.extras` splits names with dashes
    if extra and isinstance(error, ModuleNotFoundError) and _is_foreign(missing, point):
        return (
            f"{served} need the module {missing}, which is not installed:"
            f" pip install '{owner}[{extra}]'"
        )
    if others := _others() if owner == _OURS else "":
        return (
            f"another package ({others}) has put its own {_BACKENDS} over that of {_OURS}:"
            f" uninstall it, and install {_OURS} again"
        )
    kind = f"{type(error).__name__}: {missing}" if missing else type(error).__name__
    return (
        f"the package {owner}, which serves {served}, cannot {failed} ({kind}): update,"
        " repair or uninstall it"
    )


def _is_foreign(module: str | None, point: EntryPoint) -> bool:
    own = point.value.partition(":")[0].partition(".")[0].strip()
    return module is not None and module.partition(".")[0] not in (own, "rotator")


def _owner(point: EntryPoint) -> str:
    return (point.dist.name if point.dist else None) or point.value


def _hidden() -> str | None:
    """Say what Python finds in the place of our own backends, which lie beside this package.

    To be asked before anything is loaded, as that would run what stands there.
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


def _others() -> str:
    return ", ".join(sorted({*packages_distributions().get(_BACKENDS, ())} - {_OURS}))
