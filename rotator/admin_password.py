"""The admin's password as a store holds it: looked up at each login, and never kept."""

from rotator.config.settings import StoredSecret
from rotator.config.stored import EXPECTED
from rotator.errors import ConfigError
from rotator.registry import Backends, UnknownSchemeError
from rotator.stores.port import Absent, SecretStore


def open_stored(stored: StoredSecret) -> SecretStore:
    """Return the store, new at each call, as one serves one thread only; it is not read.

    Raises `ConfigError` for a URL that no backend can serve.
    """
    try:
        return Backends().open(stored.url, stored.folder)
    except UnknownSchemeError:  # perhaps a password with a colon in it
        raise ConfigError(
            f"{stored.origin}: found a URL that no installed package serves (it is not shown),"
            f" expected {EXPECTED}"
        ) from None
    except ConfigError as error:
        raise ConfigError(f"{stored.origin}: {error}") from None


def read_stored(stored: StoredSecret) -> str:
    """Return the password as it is now; line breaks at its end are cut.

    Raises `ConfigError` where there is none, and what a store raises when it is read.
    """
    store = open_stored(stored)
    found = store.read()
    password = "" if isinstance(found, Absent) else found.secret.rstrip("\r\n")
    if not password:
        raise ConfigError(
            f"{stored.origin}: there is nothing in {store.url}, expected the admin's password in it"
        )
    return password
