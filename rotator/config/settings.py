"""The settings: frozen, checked, and the same whether they came from a file or the environment."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from rotator.errors import ConfigError, has_control, quote_value
from rotator.files import read_small_text
from rotator.http.throttle import API_CONNECTIONS, STORE_CONNECTIONS

RENEW_BEFORE = timedelta(days=7)
VALIDITY = timedelta(days=90)
ROTATION_TIMEOUT = timedelta(minutes=2)
HOOK_TIMEOUT = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Secret:
    """A value, or the file that holds it; it never shows in a repr, and messages name `origin`.

    `is_named` tells that the file was given by a name alone, which by mistake may be the value.
    """

    origin: str
    value: str | None = field(default=None, repr=False)
    file: Path | None = None
    is_named: bool = False

    def get(self) -> str:
        """Return the value, reading the file at each call; line breaks at its end are cut.

        Raises `ConfigError` when the file cannot be read or is empty.
        """
        if self.file is None:
            return self.value or ""
        try:
            text = read_small_text(self.file, "utf-8-sig")
        except OSError as error:
            why = error.strerror or "it cannot be read"
            if self.is_named and isinstance(error, FileNotFoundError):
                raise ConfigError(
                    f"{self.origin}: found no such file in {self.file.parent}, expected the name of"
                    " one (what is there is not shown, as it may be the value itself)"
                ) from None
            raise ConfigError(f"{self.origin}: cannot read {self.file}: {why}") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{self.origin}: {self.file} is not UTF-8 text") from None
        text = text.rstrip("\r\n")
        if not text:
            raise ConfigError(f"{self.origin}: {self.file} is empty, expected the value in it")
        if has_control(text):
            raise ConfigError(
                f"{self.origin}: {self.file} holds line breaks or control characters, expected the"
                " value alone"
            )
        return text


class StoredSecret(NamedTuple):
    """The URL of a store that holds a secret; relative files in it start at `folder`."""

    origin: str
    url: str
    folder: Path


class ApiSettings(NamedTuple):
    """Where the API is and how to log in; what is not configured is None.

    `url` has no slash at its end. `file` is the config file, in which a command that misses a value
    says that it could stand; None for the environment. `is_bare` tells that there is neither a
    config file nor a `$ROTATOR_STORE`. `name` is empty where there is only one.
    """

    url: str | None = None
    admin_email: Secret | None = None
    admin_password: Secret | StoredSecret | None = None
    file: Path | None = None
    is_bare: bool = False
    connections: int = API_CONNECTIONS
    name: str = ""

    @property
    def place(self) -> str:
        """The table that configures it, as messages name it."""
        return f"{self.file}: " + (f"[[api]] {quote_value(self.name)}" if self.name else "[api]")


class Unused(NamedTuple):
    """Ends an old token once nobody has used it for `quiet`.

    `at_most` after the rotation it ends all the same; None: not before its own end.
    """

    quiet: timedelta
    at_most: timedelta | None = None


class NoticeEvent(StrEnum):
    """What a notice is about, as `notify_on` and webhooks name it."""

    ROTATED = "rotated"
    FAILED = "failed"
    OWED_IN_USE = "owed-in-use"  # a token that is to be revoked, or could be, and somebody uses it
    TEST = "test"


NOTICES = (NoticeEvent.ROTATED, NoticeEvent.FAILED, NoticeEvent.OWED_IN_USE)


class Label(NamedTuple):
    """By what commands pick tokens, and graphs group them."""

    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


class AtMost(NamedTuple):
    """How many tokens a run renews; with `label`, of those whose label of this name is the same."""

    number: int
    label: str | None = None


class TokenSettings(NamedTuple):
    """One token. Its fields are the keys of a `[[token]]`, see `rotator.config.keys`.

    `renew_before` contains the token's own share of the `spread`, which is a part of `validity`.
    `scope` None keeps the current token's scope, and `notify_on` None is all. `retire` is how long
    the old token stays valid after a rotation, None until it expires. `origin` is the place that
    configures the token. `api` is the name of its API.
    """

    name: str
    origin: str
    stores: tuple[str, ...]
    mirrors: tuple[str, ...] = ()
    renew_before: timedelta = RENEW_BEFORE
    spread: float = 0.0
    at_most: AtMost | None = None
    validity: timedelta = VALIDITY
    scope: str | None = None
    labels: tuple[Label, ...] = ()
    probe: bool = True
    retire: timedelta | Unused | None = None
    rotation_timeout: timedelta = ROTATION_TIMEOUT
    hooks: tuple[tuple[str, ...], ...] = ()
    hook_timeout: timedelta = HOOK_TIMEOUT
    notify: tuple[Secret, ...] = ()
    notify_on: tuple[NoticeEvent, ...] | None = None
    restart: tuple[str, ...] = ()
    max_age: timedelta | None = None
    allow_eternal: bool = True
    rehearse: bool = False
    api: str = ""


def spread_out(token: TokenSettings) -> TokenSettings:
    """Return a token that is renewed earlier, never later, by a share that follows from its name.

    A new token stays fresh for half of its time at least, whatever is configured.
    """
    if not token.spread:
        return token
    share = int.from_bytes(sha256(token.name.encode()).digest()[:4]) / (1 << 32)
    longest = max(timedelta(), token.validity - token.renew_before) / 2
    earlier = min(token.validity * token.spread * share, longest)
    return token._replace(renew_before=token.renew_before + earlier)


class Settings(NamedTuple):
    """All there is to know for a run; relative store files start at `folder`.

    There is at least one of `apis`, each with another name. One server of stores gets at most
    `store_connections` at the same time.
    """

    apis: tuple[ApiSettings, ...]
    tokens: tuple[TokenSettings, ...]
    folder: Path
    store_connections: int = STORE_CONNECTIONS

    def api_of(self, token: TokenSettings) -> ApiSettings:
        return next(api for api in self.apis if api.name == token.api)

    def tokens_of(self, api: ApiSettings) -> tuple[TokenSettings, ...]:
        return tuple(token for token in self.tokens if token.api == api.name)
