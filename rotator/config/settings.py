"""The settings: frozen, checked, and the same whether they came from a file or the environment."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from rotator.errors import ConfigError

RENEW_BEFORE = timedelta(days=7)
VALIDITY = timedelta(days=90)
ROTATION_TIMEOUT = timedelta(minutes=2)
HOOK_TIMEOUT = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that is given directly or stands in a file, and never shows in a repr."""

    origin: str
    value: str | None = field(default=None, repr=False)
    file: Path | None = None

    def get(self) -> str:
        """Return the value, reading the file anew at each call; line breaks at its end are cut.

        Raises `ConfigError` when the file cannot be read or is empty.
        """
        if self.file is None:
            return self.value or ""
        try:
            text = self.file.read_text("utf-8-sig")
        except OSError as error:
            why = error.strerror or "it cannot be read"
            raise ConfigError(f"{self.origin}: cannot read {self.file}: {why}") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{self.origin}: {self.file} is not UTF-8 text") from None
        text = text.rstrip("\r\n")
        if not text:
            raise ConfigError(f"{self.origin}: {self.file} is empty, expected the value in it")
        return text


class StoredSecret(NamedTuple):
    """The URL of a store that holds a secret; relative files in it start at `folder`."""

    origin: str
    url: str
    folder: Path


class ApiSettings(NamedTuple):
    """Where the API is and how to log in; what is not configured is None.

    The password is at most one of `admin_password` and `admin_password_store`.
    `url` has no slash at its end. A command that needs a missing value says which one, and in which
    `file`, None for the environment, it could stand.
    """

    url: str | None = None
    admin_email: Secret | None = None
    admin_password: Secret | None = None
    file: Path | None = None
    admin_password_store: StoredSecret | None = None


class TokenSettings(NamedTuple):
    """One token: its stores, in order, when and how it is renewed, and who hears of it.

    `scope` None keeps the current token's scope. `retire` is how long the old token stays valid
    after a rotation, None until it expires. `rotation_timeout` is the longest that one rotation may
    take: the record of another run that is older is that of a dead one. `hooks` are commands, as
    lists of arguments, each of which may run for `hook_timeout`; `restart` are workloads, as
    `[NAMESPACE/]KIND/NAME`, each of which has the same time; `notify` are URLs for apprise.
    `origin` names the place that configured the token.
    """

    name: str
    origin: str
    stores: tuple[str, ...]
    renew_before: timedelta = RENEW_BEFORE
    validity: timedelta = VALIDITY
    scope: str | None = None
    probe: bool = True
    retire: timedelta | None = None
    rotation_timeout: timedelta = ROTATION_TIMEOUT
    hooks: tuple[tuple[str, ...], ...] = ()
    hook_timeout: timedelta = HOOK_TIMEOUT
    notify: tuple[Secret, ...] = ()
    restart: tuple[str, ...] = ()


class Settings(NamedTuple):
    """All there is to know for a run; relative store files start at `folder`."""

    api: ApiSettings
    tokens: tuple[TokenSettings, ...]
    folder: Path
