"""Where a bot's service token comes from.

A text is the token itself, `env:NAME`, `file:PATH` or the URL of a store; a callable returns it.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rotator.client.errors import ServiceTokenUnavailableError
from rotator.errors import ConfigError, MalformedTokenError, RotatorError, StoreError
from rotator.stores.port import Absent, path_of_file_store
from rotator.stores.readonly import content
from rotator.tokens import ServiceToken


class Source(NamedTuple):
    """A place to read the service token from; `name` is for messages and holds no secret.

    A `cheap` one stays on this machine: it may be read at every refresh. `remedy` is what to do
    when the API refuses its token.
    """

    name: str
    cheap: bool
    text: Callable[[], str]
    remedy: str = "renew it: rotator rotate"

    def read(self) -> ServiceToken:
        """Return the token as it is now; raises `ServiceTokenUnavailableError`."""
        try:
            return ServiceToken.parse(self.text())
        except RotatorError as error:
            why = str(error).removeprefix(f"{self.name}: ")  # a store's errors begin with its URL
            raise ServiceTokenUnavailableError(
                f"the service token cannot be read from {self.name}: {why}"
            ) from None


def source_of(service_token: str | Callable[[], str], folder: Path) -> Source:
    """Return the source that was named; relative files start at `folder`.

    A store is not read yet. Raises `ConfigError` for a URL that no store serves and for what is
    neither text nor callable, and `MalformedTokenError` for a text that is neither a URL nor a
    token.
    """
    if not isinstance(service_token, str):
        if not callable(service_token):  # as `os.environ.get` of a variable that is not set
            raise ConfigError(
                f"service_token: found {type(service_token).__name__}, expected a text such as"
                " env:NAME, or a callable"
            )
        name = getattr(service_token, "__qualname__", type(service_token).__name__)
        return Source(f"the callable {name}", cheap=False, text=partial(_called, service_token))
    scheme, colon, rest = service_token.partition(":")
    if not colon:
        return _itself(service_token)
    match scheme:
        case "env":
            return Source(f"env:{rest}", cheap=True, text=partial(_variable, rest))
        case "file":
            path = folder / rest
            return Source(f"file:{path}", cheap=True, text=partial(_content, path))
        case _:
            return _store(service_token, folder)


def _itself(token: str) -> Source:
    try:
        ServiceToken.parse(token)
    except MalformedTokenError as error:
        raise MalformedTokenError(
            error.reason,
            "service_token: found neither a token nor a source (env:NAME, file:PATH, dotenv:.env"
            f" or another store's URL): {error}",
        ) from None
    remedy = "renew it: rotator rotate, and pass a source such as dotenv:.env instead of a text"
    return Source("the text that was passed", cheap=True, text=lambda: token, remedy=remedy)


def _called(function: Callable[[], str]) -> str:
    try:
        text = function()
    except RotatorError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever is not ours
        raised = type(error).__name__
    else:
        return _checked(text)
    # Out here, where it has no context: the text of that error may hold the token.
    raise ServiceTokenUnavailableError(f"it raised {raised}")


def _checked(text: object) -> str:
    if not isinstance(text, str):
        raise ServiceTokenUnavailableError(f"it returned {type(text).__name__}, not a text")
    return text


def _variable(name: str) -> str:
    text = os.environ.get(name)
    if text is None:
        raise ServiceTokenUnavailableError("there is no such variable")
    return text


def _content(path: Path) -> str:
    try:
        return content(path)
    except (OSError, ValueError) as error:  # ValueError: no path can be like that
        why = getattr(error, "strerror", None) or type(error).__name__
        raise ServiceTokenUnavailableError(why) from None


def _store(url: str, folder: Path) -> Source:
    from rotator.stores.registry import Backends, UnavailableStore  # noqa: PLC0415 - loads packages

    backends = Backends()
    try:
        store = backends.open(url, folder)
        if isinstance(
            store, UnavailableStore
        ):  # nothing that is installed will change while we run
            store.read()
    except ConfigError as error:
        raise type(error)(f"service_token: {error}") from None
    except StoreError as error:
        raise ConfigError(
            f"service_token: {error}; a bot can also read file:PATH or env:NAME, or call a function"
        ) from None
    file = path_of_file_store(store.url)

    def read() -> str:
        # A new one each time: a store serves one thread, and its connections no child of a fork.
        found = backends.open(url, folder).read()
        if isinstance(found, Absent):
            if file and not file.exists():
                raise ServiceTokenUnavailableError("there is no such file yet")
            raise ServiceTokenUnavailableError("there is no token in it yet")
        return found.secret

    return Source(store.url, cheap=url.lower().startswith("dotenv:"), text=partial(_called, read))
