"""The port through which the rotation reads and writes secrets.

A backend is a callable `open_store(url: StoreUrl) -> SecretStore`, registered in the entry point
group `rotator.backends` under its URL scheme.
"""

import re
import stat
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Protocol, Self, runtime_checkable
from urllib.parse import parse_qsl, unquote

from rotator.errors import ConfigError, has_token, quote_value
from rotator.http.throttle import STORE_CONNECTIONS
from rotator.stores.journal import Journal

DEFAULT_FIELD = "NOCTURNA_SERVICE_TOKEN"
SCRATCH = "_REHEARSAL"  # what the name of a scratch place ends in, where it has a name


class StoreUrl(NamedTuple):
    """A store's address, taken apart: `scheme:location?query#field`.

    `location` is percent-decoded and starts with `//` where the URL has an authority; relative
    files start at `folder`. `field` is None without a fragment. `connections` are the most that one
    server may get from this process at the same time: see `rotator.http.throttle`.
    """

    text: str
    scheme: str
    location: str
    query: Mapping[str, str]
    field: str | None
    folder: Path
    connections: int = STORE_CONNECTIONS


@dataclass(frozen=True, slots=True)
class Entry:
    """A secret as a store holds it: untrusted text, which may or may not be a token.

    `version` is opaque: it changes whenever the secret or its journal does. `ends_at` (aware UTC)
    is when the store itself will delete this value, None where it says nothing of the kind.
    `has_scratch` says that something is in the scratch place beside it; see `Rehearsable`.
    `has_leftovers` says that a killed rotator left something that `hold` removes, and that nobody
    is inside `hold` now; only then does a run with nothing else to do call it.
    """

    secret: str = field(repr=False)
    version: str
    journal: Journal
    ends_at: datetime | None = None
    has_scratch: bool = False
    has_leftovers: bool = False


@dataclass(frozen=True, slots=True)
class Absent:
    """The store answered, and there is no such secret in it (yet).

    A missing folder, mount or namespace is an error instead: an unmounted volume must not look like
    a token that has yet to be minted. `has_scratch` and `has_leftovers` are those of `Entry`.
    """

    version: str
    journal: Journal
    has_scratch: bool = False
    has_leftovers: bool = False


class SecretStore(Protocol):
    """One secret in one store.

    Every method raises `StoreUnreachableError` when the store does not answer, and
    `StoreDeniedError` when it denies access. An instance serves one thread at a time.
    """

    @property
    def url(self) -> str:
        """The canonical address: the same for the same secret, free of credentials."""

    def read(self) -> Entry | Absent:
        """Return the secret, its version and its journal; needs read rights only."""

    def preflight(self) -> None:
        """Prove that `write` and `note` would be allowed, and change nothing."""

    def write(self, secret: str, journal: Journal, *, expected: str) -> None:
        """Replace secret and journal in one step that readers see whole or not at all.

        Raises `ConflictError`, having changed nothing, when the version is not `expected` any more,
        and `UnconfirmedWriteError` when the store's answer shows something else than was written.
        """

    def note(self, journal: Journal, *, expected: str) -> str:
        """Replace the journal alone, whether or not there is a secret, in one step.

        Raises `ConflictError`, having changed nothing, when the version is not `expected` any more.
        Return the new version.
        """

    def hold(self) -> AbstractContextManager[None]:
        """Lock out the other rotators of this host, and remove what a killed one left.

        The lock ends with the process. A store that is shared between hosts relies on `expected`,
        and may do nothing here.
        """

    def held_elsewhere(self) -> bool | None:
        """Tell whether another process is inside `hold` now; None where the store cannot know.

        False proves that whoever left an intent in this store is dead (or this process).
        """


@runtime_checkable
class BumpedStore(SecretStore, Protocol):
    """A store whose `write` looks at the version first, and compares less when it writes.

    A rotator may sleep in between, for longer than others wait for it. What others `note` meanwhile
    does not stop such a write; what they `bump` does.
    """

    def bump(self, *, expected: str) -> str:
        """Make every write that is under way fail; readers see no change.

        Raises `ConflictError` when the version is not `expected` any more, and `StoreError` where
        there is no secret. Return the version, which may be the same.
        """


@runtime_checkable
class KeepsHistory(Protocol):
    """A store that may implement this, too: it keeps what was written before."""

    def earlier_secrets(self) -> Iterator[str]:
        """Yield the texts that were in the place of the secret, the newest first.

        Raises what `read` raises. Used where somebody has put an old token back, to find the
        newer one again; so ten of them are enough.
        """


FirstRead = Callable[[], Entry | Absent]


@runtime_checkable
class ReadsAhead(Protocol):
    """A store that may implement this, too: one request can tell of many secrets."""

    def shelf(self) -> Hashable:
        """Return what is equal for all stores of which one request can tell."""

    def read_ahead(self, stores: Sequence[Self], *, may_lag: bool) -> Mapping[str, FirstRead]:
        """Ask for this store and others of its shelf by as few requests as possible.

        Return what takes the place of the first `read` of each that was asked for, by its URL; it
        raises what `read` raises. What the answer does not tell of is read alone: its `read` itself
        is returned. The journals of answers that `may_lag` may be some minutes old, the secrets may
        not. Raises `StoreError` where the request is denied, or fails.
        """


class ScratchStore(SecretStore, Protocol):
    """The place beside a secret in which the token of a rehearsal is kept for a moment.

    No bot reads it. Its `preflight` raises `StoreError` where there is no place, such as beside a
    secret that does not exist yet.
    """

    def remove(self, journal: Journal, *, expected: str) -> None:
        """Remove the secret, and replace the journal; with an empty one nothing is left.

        Raises `ConflictError`, having changed nothing, when the version is not `expected` any more.
        """


@runtime_checkable
class Rehearsable(Protocol):
    """A store that may implement this, too: a rotation can be rehearsed in it.

    Its `read` tells by `has_scratch` whether a rehearsal is under way there, or left something.
    """

    def scratch(self) -> ScratchStore | None:
        """Return the place, which is changed by the same steps, and needs the same rights.

        None where this store has none; raises what `read` raises where it has to be asked.
        """


class StoreEvent(NamedTuple):
    """What a run came to for a token, told where its store is looked at.

    `reason` is one word in CamelCase, such as `Rotated`; `message` is a line without secrets, `at`
    is aware UTC.
    """

    reason: str
    message: str
    at: datetime
    is_failure: bool = False


@runtime_checkable
class ShowsEvents(Protocol):
    """A store that may implement this, too: who looks at the secret sees what happened to it."""

    def show(self, event: StoreEvent) -> None:
        """Show it; raises `StoreError` where that is denied, on which nothing depends."""


class Provenance(NamedTuple):
    """Who else writes a secret, as far as the store can tell, and a message may show.

    `owner` is what keeps the secret as it wants it, such as `the ExternalSecret luna`; `writer` is
    who wrote it last, of those that are no rotator, and `changed_at` (aware UTC) is when.
    """

    owner: str | None = None
    writer: str | None = None
    changed_at: datetime | None = None


@runtime_checkable
class KnowsProvenance(Protocol):
    """A store that may implement this, too: it can tell who else writes the secret, and when."""

    def provenance(self) -> Provenance:
        """Tell it as it is now; raises what `read` raises."""


_FILE_SCHEMES = ("dotenv", "file")
_BYTES = "surrogateescape"  # as in the names that the system gives
_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*):(?P<rest>[^\s\x00-\x1f\x7f]+)", re.IGNORECASE)


def parse_moment(text: object) -> datetime | None:
    """Read a moment as Kubernetes and Vault write it, as aware UTC; None for other text."""
    try:
        moment = datetime.fromisoformat(str(text))  # Vault's nanoseconds are cut to microseconds
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def path_of_file_store(url: str) -> Path | None:
    """Return the file of a store that is one: its canonical URL has an empty host, and says so."""
    scheme, _, rest = url.partition(":")
    if not scheme or not rest.startswith("///"):
        return None
    return Path(unquote(rest[2:].partition("#")[0].partition("?")[0], errors=_BYTES))


def shorten_url(url: str) -> str:
    """Return a store's URL without the usual field, for people."""
    return url.removesuffix(f"#{DEFAULT_FIELD}")


def is_missing_file(url: str) -> bool:
    """Tell whether a store is a file that is not there; False where nobody may look."""
    path = path_of_file_store(url)
    try:
        return path is not None and not path.exists()
    except OSError:
        return False


def is_open_to_all(path: Path) -> bool:
    """Tell whether every user may read a file, and enter all folders on the way to it."""
    try:
        return bool(path.stat().st_mode & stat.S_IROTH) and all(
            folder.stat().st_mode & stat.S_IXOTH for folder in path.parents
        )
    except OSError:  # it is not there, or nobody may look
        return False


def current_folder() -> Path:
    """Return the current folder; raises `ConfigError` when it is gone, or its parents are closed.

    That folder itself may be closed, as `sudo -u` leaves it.
    """
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise ConfigError("the current folder is gone: change to another one") from None
    except OSError as error:
        raise ConfigError(
            f"the current folder cannot be told ({error.strerror}): change to another one"
        ) from None


def parse_url(text: str, folder: Path) -> StoreUrl:
    """Take a store URL apart; raises `ConfigError`, without the URL where it holds credentials."""
    match = _URL.fullmatch(text)
    if not match:
        blank = ", in which a space is written %20" if " " in text.strip() else ""
        raise ConfigError(
            f"found {quote_value(text)}, expected a store URL such as dotenv:.env{blank}"
        )
    if has_token(text):
        raise ConfigError(
            "found a store URL with a token in it, expected the place where the token is kept, such"
            " as dotenv:.env"
        )
    rest, _, fragment = match["rest"].partition("#")
    location, _, query = rest.partition("?")
    authority = location[2:].split("/", 1)[0] if location.startswith("//") else ""
    if "@" in authority:
        raise ConfigError(
            "found a store URL with a user or password in it, expected one without: credentials"
            " come from the store's own variables and files; an @ that is part of a name is written"
            " %40"
        )
    scheme = match["scheme"].lower()
    try:
        # A file may have any bytes for its name, all else is text.
        errors = _BYTES if scheme in _FILE_SCHEMES else "strict"
        location, field = unquote(location, errors=errors), unquote(fragment, errors="strict")
    except UnicodeDecodeError:
        raise ConfigError(
            f"found {quote_value(text)}, expected UTF-8 behind the % signs: é is written %C3%A9"
        ) from None
    return StoreUrl(
        text=text,
        scheme=scheme,
        location=location,
        query=dict(parse_qsl(query, keep_blank_values=True)) if query else {},
        field=field or None,
        folder=folder,
    )
