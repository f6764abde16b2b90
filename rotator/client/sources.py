"""Where a bot's service token comes from.

A text is the token itself, `env:NAME`, `file:PATH` or the URL of a store; a callable returns it.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rotator.errors import (
    ConfigError,
    MalformedTokenError,
    RotatorError,
    ServiceTokenUnavailableError,
    StoreError,
)
from rotator.stores.port import Absent, is_missing_file
from rotator.stores.readonly import BareFile, UnavailableStore
from rotator.tokens import ServiceToken


class TokenSource(NamedTuple):
    """A source of the service token; `name` is for messages and holds no secret.

    A `cheap` source is on this machine and may be read at every refresh. `remedy` says what to do
    when the API refuses its token.
    """

    name: str
    cheap: bool
    read_text: Callable[[], str]
    remedy: str = "renew it: rotator rotate"

    def read(self) -> ServiceToken:
        """Return the token as it is now; raises `ServiceTokenUnavailableError`."""
        try:
            return ServiceToken.parse(self.read_text())
        except RotatorError as error:
            why = str(error).removeprefix(f"{self.name}: ")  # a store's errors begin with its URL
            raise ServiceTokenUnavailableError(
                f"the service token cannot be read from {self.name}: {why}"
            ) from None


def open_source(service_token: str | Callable[[], str], folder: Path) -> TokenSource:
    """Return the source that `service_token` names; relative files start at `folder`.

    Nothing is read yet. Raises `ConfigError` for a URL that no store serves and for what is neither
    text nor callable, and `MalformedTokenError` for a text that is neither a URL nor a token.
    """
    if not isinstance(service_token, str):
        if not callable(service_token):  # such as `os.environ.get` of a variable that is not set
            raise ConfigError(
                f"service_token: found {type(service_token).__name__}, expected a text such as"
                " env:NAME, or a callable"
            )
        name = getattr(service_token, "__qualname__", type(service_token).__name__)
        return TokenSource(f"the callable {name}", False, partial(_call, service_token))  # noqa: FBT003 - `cheap`
    scheme, colon, rest = service_token.partition(":")
    if not colon:
        return _open_text(service_token)
    match scheme:
        case "env":
            return TokenSource(f"env:{rest}", cheap=True, read_text=partial(_read_variable, rest))
        case "file":
            file = BareFile(folder / rest)
            return TokenSource(file.url, cheap=True, read_text=lambda: file.read().secret)
        case _:
            return _open_store(service_token, folder)


def _open_text(token: str) -> TokenSource:
    try:
        ServiceToken.parse(token)
    except MalformedTokenError as error:
        raise MalformedTokenError(
            error.reason,
            "service_token: found neither a token nor a source (env:NAME, file:PATH, dotenv:.env"
            f" or another store's URL): {error}",
        ) from None
    remedy = "renew it: rotator rotate, and pass a source such as dotenv:.env instead of a text"
    return TokenSource("the text that was passed", True, lambda: token, remedy)  # noqa: FBT003 - `cheap`


def _call(function: Callable[[], str]) -> str:
    try:
        text = function()
    except RotatorError:
        raise
    except Exception as error:  # noqa: BLE001 - a caller's function may raise anything
        kind = type(error).__name__
    else:
        if not isinstance(text, str):
            raise ServiceTokenUnavailableError(f"it returned {type(text).__name__}, not a text")
        return text
    # Not in the `except` block: that error's text may hold the token, and would be our context.
    raise ServiceTokenUnavailableError(f"it raised {kind}")


def _read_variable(name: str) -> str:
    text = os.environ.get(name)
    if text is None:
        raise ServiceTokenUnavailableError("there is no such variable")
    return text


def _open_store(url: str, folder: Path) -> TokenSource:
    # Imported here, as it reads the installed packages' entry points.
    from rotator.stores.registry import Backends  # noqa: PLC0415

    backends = Backends()
    try:
        store = backends.open(url, folder)
        if isinstance(store, UnavailableStore):  # nothing gets installed while the bot runs
            store.read()
    except ConfigError as error:
        raise type(error)(f"service_token: {error}") from None
    except StoreError as error:
        raise ConfigError(
            f"service_token: {error}; a bot can also read file:PATH or env:NAME, or call a function"
        ) from None

    def read() -> str:
        # A new store each time: one serves a single thread, and its connections no forked child.
        entry = backends.open(url, folder).read()
        if isinstance(entry, Absent):
            if is_missing_file(store.url):
                raise ServiceTokenUnavailableError("there is no such file yet")
            raise ServiceTokenUnavailableError("there is no token in it yet")
        return entry.secret

    is_cheap = url.lower().startswith("dotenv:")
    return TokenSource(store.url, is_cheap, partial(_call, read))
