"""Access tokens that several runs share, as files in a private folder.

Their age is counted on the clock since the machine's start, which goes on during sleep and which
nobody can set; with the id of that start it means the same to all processes. By the wall clock a
token of before would look fresh again after the clock was set back.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from rotator import wiring
from rotator.cli import exit_codes, options
from rotator.clock import Clock, utc_now
from rotator.config.settings import Settings
from rotator.errors import ConfigError, StoreError, TokenRefusedError
from rotator.exec.runtime_folder import UnusableFolderError, folder_path, private_folder
from rotator.rotation.decide import lack_of
from rotator.rotation.observe import observe
from rotator.stores.port import SecretStore
from rotator.tokens import ServiceToken, is_live
from rotator.wiring import open_readable

if TYPE_CHECKING:
    from rotator.nocturna.session import AccessToken

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # random(4)
_FORGOTTEN_AFTER = 86400.0  # seconds; by then a token is over, or was replaced


class Start(NamedTuple):
    """A start of the machine, and the seconds since then."""

    name: str
    now: Callable[[], float]

    @classmethod
    def latest(cls) -> Start:
        """Return the one that this process lives in; raises `OSError` where the system has none."""
        return cls(_BOOT_ID.read_text().strip(), lambda: time.clock_gettime(time.CLOCK_BOOTTIME))


class Cache:
    """Tokens in the folder behind a descriptor, which nobody else can read."""

    def __init__(self, folder: int, start: Start) -> None:
        self._folder = folder
        self.start = start

    def get(self, key: str) -> str | None:
        """Return the fresh token of that key; None where there is none, or nothing readable."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            with os.fdopen(self._open(_name(key), os.O_RDONLY), encoding="utf-8") as file:
                entry = json.load(file)
            is_fresh = entry["asked"] <= self.start.now() < entry["fresh_until"]
            if is_fresh and entry["start"] == self.start.name:
                return str(entry["token"])
        return None

    def put(self, key: str, token: str, *, asked: float, fresh_until: float) -> None:
        """Keep a token, in one step for those who read; times are of `Start.now`.

        Raises `OSError`. What others left behind a day ago is removed.
        """
        self._sweep()
        entry = {
            "start": self.start.name,
            "asked": asked,
            "fresh_until": fresh_until,
            "token": token,
        }
        new = f".{secrets.token_hex(8)}"
        try:
            fd = self._open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                json.dump(entry, file)
            os.replace(new, _name(key), src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except OSError:
            with suppress(OSError):
                os.unlink(new, dir_fd=self._folder)
            raise

    def _open(self, name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW, 0o600, dir_fd=self._folder)

    def _sweep(self) -> None:
        for name in os.listdir(self._folder):  # noqa: PTH208 - a descriptor has no path
            with suppress(OSError):
                written = os.stat(name, dir_fd=self._folder, follow_symlinks=False).st_mtime
                if time.time() - written > _FORGOTTEN_AFTER:
                    os.unlink(name, dir_fd=self._folder)


def _name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


Exchange = Callable[[str], "AccessToken"]


class Traded(NamedTuple):
    """An access token, and the service token that it was got for."""

    token: ServiceToken
    access: AccessToken


class Source(NamedTuple):
    """The stores of the token `name`, which may hold different ones: the current one counts."""

    name: str
    stores: Sequence[SecretStore]
    clock: Clock

    def read(self) -> ServiceToken:
        """Return the live token that the stores show; raises `StoreError` where there is none."""
        now = self.clock()
        seen = observe(self.stores, now)
        if seen.current and is_live(seen.current, now):
            return seen.current
        lacks = [str(each.error) for each in seen.unreachable]
        lacks += [lack_of(reading, now).message for reading in seen.reachable]
        raise StoreError(f"{self.name}: {'; '.join(lacks)}")

    def traded(self, token: ServiceToken, exchange: Exchange) -> Traded:
        """Exchange a token that was read, or the one that has replaced it if it is refused.

        Raises `TokenRefusedError`, and whatever else `exchange` raises.
        """
        try:
            return Traded(token, exchange(token.secret))
        except TokenRefusedError:
            newer = self.read()
            if newer.secret == token.secret:
                raise self._refusal(token) from None
        try:
            return Traded(newer, exchange(newer.secret))
        except TokenRefusedError:
            raise self._refusal(newer) from None

    def _refusal(self, token: ServiceToken) -> TokenRefusedError:
        return TokenRefusedError(
            f"{self.name}: the API does not accept service token {token.name} (401), and there is"
            f" no other in {self._urls}; renew it: rotator rotate"
        )

    @property
    def _urls(self) -> str:
        return ", ".join(store.url for store in self.stores)


_log = logging.getLogger(__name__)


def print_access_token(
    settings: Settings, name: str | None, *, as_header: bool, cached: bool
) -> int:
    """Print an access token, or with `as_header` the header that carries it.

    Raises `ConfigError`, `StoreError` where the stores show no live token, and `ApiError`.
    """
    if sys.stdout is None:
        raise ConfigError("stdout is closed, so nobody would get the access token")
    url = wiring.require_url(settings.api)
    source = _source(settings, name)

    def exchange(service_token: str) -> AccessToken:
        return wiring.lazy_api(settings.api, utc_now)().exchange(service_token)

    with ExitStack() as stack:
        cache = _opened_cache(stack) if cached else None
        if cache:
            secret = _through(cache, url, source, exchange)
        else:
            secret = source.traded(source.read(), exchange).access.secret
    sys.stdout.write(f"Authorization: Bearer {secret}\n" if as_header else f"{secret}\n")
    sys.stdout.flush()
    return exit_codes.OK


def _source(settings: Settings, name: str | None) -> Source:
    found = open_readable(settings, [name] if name else [])
    if len(found) > 1:
        names = ", ".join(token.name for token, _ in found)
        raise ConfigError(f"access-token: found no NAME, expected one of: {names}")
    token, stores = found[0]
    return Source(token.name, stores, utc_now)


def _opened_cache(stack: ExitStack) -> Cache | None:
    try:
        path = folder_path(os.environ, tempfile.gettempdir)
        return Cache(stack.enter_context(private_folder(path)), Start.latest())
    except (OSError, UnusableFolderError) as error:
        _warn(error)
        return None


def _through(cache: Cache, url: str, source: Source, exchange: Exchange) -> str:
    token = source.read()
    if found := cache.get(_key(url, token)):
        return found
    from rotator.client.access_tokens import CachedAccessToken  # noqa: PLC0415 - HTTP comes with it, 60 ms

    asked = cache.start.now()
    traded = source.traded(token, exchange)
    fresh_until = CachedAccessToken.since(asked, traded.access).fresh_until
    secret = traded.access.secret
    try:
        cache.put(_key(url, traded.token), secret, asked=asked, fresh_until=fresh_until)
    except OSError as error:
        _warn(error)
    return secret


def _key(url: str, token: ServiceToken) -> str:
    # The whole token: an id is only what the token claims.
    return f"{url} {token.secret}"


def _warn(error: OSError | UnusableFolderError) -> None:
    why = error.strerror if isinstance(error, OSError) else error
    _log.warning("the access token is not cached: %s", why)


@click.command("access-token")
@options.name
@click.option("--header", is_flag=True, help="Print the whole header, for curl -H @-.")
@click.option("--cache", is_flag=True, help="Keep it for other runs while it is fresh.")
@options.configured
def command(
    name: str | None, config: Path | None, log_format: str, *, header: bool, cache: bool
) -> int:
    """Print a fresh access token, for scripts.

    \b
      set -o pipefail
      rotator access-token --header | curl -fsS -H @- https://your-api-server.com/api/...

    Without pipefail a failure of rotator is lost, and curl calls without a token.

    The service token that the stores of NAME show is exchanged for it; NAME may be left out where
    only one is configured. To read the stores is all that is needed: no admin, and no right to
    write; one may also be file:PATH, a file with the bare token. With --cache the access token is
    kept in the user's runtime directory until its last minutes.

    Exits 1 when there is no service token, or the API does not accept it or does not answer, and 2
    when the settings are wrong.
    """  # noqa: D301 - \b is click's mark for lines that are not to be wrapped
    settings = options.begin(config, log_format)
    return print_access_token(settings, name, as_header=header, cached=cache)
