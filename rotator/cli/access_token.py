"""`rotator access-token`: prints an access token, for scripts; with a cache that runs share.

The cache counts lifetimes on the clock since boot, which nobody can set and which goes on during
sleep; the boot id tells one boot's times from another's. By the wall clock an old token would look
valid again after the clock was set back.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from rotator import wiring
from rotator.cli import exit_codes, options
from rotator.cli.exec.runtime_folder import cache_folder, open_private_folder
from rotator.clock import utc_now
from rotator.config.settings import ApiSettings, Settings
from rotator.errors import ConfigError, StoreError, offer
from rotator.rotation.observe import lack_of, observe
from rotator.stores.port import SecretStore
from rotator.tokens import ServiceToken, is_live
from rotator.wiring import requirements

if TYPE_CHECKING:
    from rotator.nocturna.api import AccessToken

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # random(4)
_LONGEST_LIFE = 86400.0  # seconds, of a file in the cache: its token has expired or was replaced
_log = logging.getLogger(__name__)


class AccessTokenCache:
    """Access tokens in the folder behind a descriptor, which only this user can read.

    Raises `OSError` if the system has no boot id.
    """

    def __init__(self, folder: int) -> None:
        self._folder = folder
        self._boot_id = _BOOT_ID.read_text().strip()

    def now(self) -> float:
        """Return the seconds since boot."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def get(self, name: str) -> str | None:
        """Return the token of that name until its refresh is advisory; None if there is none."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            with os.fdopen(self._open(name, os.O_RDONLY), encoding="utf-8") as file:
                entry = json.load(file)
            is_fresh = entry["requested_at"] <= self.now() < entry["advisory_at"]
            if is_fresh and entry["boot_id"] == self._boot_id:
                return str(entry["token"])
        return None

    def put(self, name: str, token: str, *, requested_at: float, advisory_at: float) -> None:
        """Keep a token, in one step for concurrent readers; times are those of `now`.

        Raises `OSError`. Files of other tokens that are older than a day are removed.
        """
        for old in os.listdir(self._folder):  # noqa: PTH208 - a descriptor has no path
            with suppress(OSError):
                written = os.stat(old, dir_fd=self._folder, follow_symlinks=False).st_mtime
                if time.time() - written > _LONGEST_LIFE:
                    os.unlink(old, dir_fd=self._folder)
        entry = {
            "boot_id": self._boot_id,
            "requested_at": requested_at,
            "advisory_at": advisory_at,
            "token": token,
        }
        new = f".{secrets.token_hex(8)}"
        try:
            fd = self._open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                json.dump(entry, file)
            os.replace(new, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except OSError:
            with suppress(OSError):
                os.unlink(new, dir_fd=self._folder)
            raise

    def _open(self, name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW, 0o600, dir_fd=self._folder)


class Exchange(NamedTuple):
    """The exchange of the service token `name`, which its stores may hold in several versions."""

    name: str
    stores: Sequence[SecretStore]
    api: ApiSettings

    def read(self) -> ServiceToken:
        """Return the current live token of the stores; raises `StoreError` if there is none."""
        now = utc_now()
        snapshot = observe(self.stores, now)
        if snapshot.current and is_live(snapshot.current, now):
            return snapshot.current
        lacks = [str(each.error) for each in snapshot.unreachable]
        lacks += [message for _, message in (lack_of(each, now) for each in snapshot.reachable)]
        raise StoreError(f"{self.name}: {'; '.join(lacks)}")

    def run(self, token: ServiceToken) -> tuple[ServiceToken, AccessToken]:
        """Exchange a token, or its successor if the API refuses it; return what was exchanged.

        Raises `ApiError`, and what `read` raises.
        """
        from rotator.client.service_token import exchange_newest  # noqa: PLC0415 - HTTP, 60 ms

        api = wiring.lazy_api(self.api, utc_now)()

        def read_newer(refused: ServiceToken) -> ServiceToken | None:
            newer = self.read()
            return None if newer.secret == refused.secret else newer

        urls = ", ".join(store.url for store in self.stores)
        return exchange_newest(
            token,
            lambda each: api.exchange(each.secret),
            read_newer,
            subject=self.name,
            advice=f"{urls}; renew it: rotator rotate",
        )


def _open_cache(stack: ExitStack) -> AccessTokenCache | None:
    try:
        path = cache_folder(os.environ)
        return AccessTokenCache(stack.enter_context(open_private_folder(path)))
    except OSError as error:
        _warn(error)
        return None


def _get_cached(cache: AccessTokenCache, url: str, exchange: Exchange) -> str:
    token = exchange.read()
    if secret := cache.get(_name_in_cache(url, token)):
        return secret
    from rotator.client.access_tokens import CachedAccessToken  # noqa: PLC0415 - HTTP, 60 ms

    requested_at = cache.now()
    token, access = exchange.run(token)
    advisory_at = CachedAccessToken.requested_at(requested_at, access).advisory_at
    try:
        name = _name_in_cache(url, token)
        cache.put(name, access.secret, requested_at=requested_at, advisory_at=advisory_at)
    except OSError as error:
        _warn(error)
    return access.secret


def _name_in_cache(url: str, token: ServiceToken) -> str:
    # The whole token: its id is only a claim, and anybody could make a token that has it.
    return hashlib.sha256(f"{url} {token.secret}".encode()).hexdigest()


def _warn(error: OSError) -> None:
    _log.warning("the access token is not cached: %s", error.strerror or error)


@options.examples(
    "rotator access-token luna-bot --cache",
    "rotator access-token --header |\n  curl -fsS -H @- https://your-api-server.com/api/...",
)
@click.command("access-token")
@options.name
@click.option("--header", is_flag=True, help="Print the whole header, for curl -H @-.")
@click.option("--cache", is_flag=True, help="Share it with other runs until its last minutes.")
@options.configured
def command(settings: Settings, name: str | None, *, header: bool, cache: bool) -> int:
    """Print a fresh access token, for scripts.

    The service token in the stores of NAME is exchanged for it; NAME may be left out where only one
    is configured. This needs the right to read the stores: no admin, and no right to write. A store
    may also be file:PATH, a file with the bare token. With --cache the access token is kept in the
    user's runtime directory until its last minutes. Without set -o pipefail a failure of rotator is
    lost in a pipe, and curl calls without a token.

    Exits 1 when there is no service token, or the API does not accept it or does not answer, and 2
    when the settings are wrong.
    """
    if sys.stdout is None:
        raise ConfigError("stdout is closed, so nobody would get the access token")
    found = wiring.open_selected(settings, [name] if name else [], with_bare_files=True)
    if len(found) > 1:
        names = [token.name for token, _ in found]
        raise ConfigError(f"access-token: found no NAME, expected {offer(names)}")
    [(token, stores)] = found
    api = settings.api_of(token)
    url = requirements.require_url(api)
    exchange = Exchange(token.name, stores, api)
    with ExitStack() as stack:
        opened = _open_cache(stack) if cache else None
        if opened:
            secret = _get_cached(opened, url, exchange)
        else:
            secret = exchange.run(exchange.read())[1].secret
    sys.stdout.write(f"Authorization: Bearer {secret}\n" if header else f"{secret}\n")
    sys.stdout.flush()
    return exit_codes.OK
