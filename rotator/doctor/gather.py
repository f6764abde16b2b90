"""What the API says when it is spoken to: whether it answers, lets us in, and what time it is."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from rotator import wiring
from rotator.clock import Clock
from rotator.config.settings import ApiSettings, Secret, Settings, TokenSettings
from rotator.errors import (
    ApiError,
    ApiUnreachableError,
    ConfigError,
    RotatorError,
    StoreError,
    internal_error,
    quote_value,
)
from rotator.hooks.commands import Hooks
from rotator.hooks.restarts import Restarts
from rotator.nocturna.calls import Call
from rotator.nocturna.client import ApiClient
from rotator.nocturna.service_tokens import ListedToken
from rotator.rotation.decide import Decider
from rotator.rotation.inventory import map_in_threads
from rotator.rotation.model import RotateOptions
from rotator.rotation.observe import Snapshot, observe
from rotator.rotation.policy import Status, Verdict
from rotator.stores.port import SecretStore
from rotator.wiring import OpenApi

# The one call that asks for no login and changes nothing.
HEALTH = Call("reach the API", "GET", "/health")


class Contact(NamedTuple):
    """How far we got with the API at `url`, None where none is configured.

    `silence` is why it did not answer, `refusal` why we may not manage its tokens; `account` is the
    admin's user id. `skew` is how far this machine's clock is ahead, None where no answer told it.
    """

    url: str | None
    silence: str | None = None
    refusal: str | None = None
    account: str | None = None
    skew: timedelta | None = None

    @property
    def answers(self) -> bool:
        """Whether the API can be asked anything."""
        return self.url is not None and self.silence is None

    def server_time(self, now: datetime) -> datetime:
        """Return the server's present as far as it is known."""
        return now - (self.skew or timedelta())


class Listing(NamedTuple):
    """The API's list of service tokens at `now`, the server's time, or why it could not be had."""

    now: datetime
    rows: tuple[ListedToken, ...] = ()
    trouble: str | None = None


def reach(url: str | None, api: OpenApi, clock: Clock, *, may_log_in: bool) -> Contact:
    """Speak to the API, and log in where the settings allow it."""
    if url is None:
        return Contact(None)
    http = ApiClient(url, clock)
    try:
        http.send(HEALTH)
    except ApiUnreachableError as error:
        return Contact(url, silence=str(error))
    except ApiError:
        pass  # it answered, if not as it should: a proxy may hide this call, and serve the others
    met = Contact(url, skew=http.time.skew)
    if not may_log_in:
        return met
    try:
        api().log_in()
        account = api().account()
    except RotatorError as error:
        return met._replace(refusal=str(error))
    return met._replace(account=account, skew=api().clock_skew)


def ask_list(api: OpenApi) -> Listing:
    """Get the list of service tokens."""
    try:
        rows = api().list_tokens()
    except RotatorError as error:
        return Listing(api().now(), trouble=str(error))
    return Listing(api().now(), tuple(rows))


class Examined(NamedTuple):
    """One token. `verdict` is about the current one, whichever stores hold it.

    `probed` says that the API was asked whether it accepts that, `untold` why it did not say.
    `unwritable` tells by URL why a store may not be written. `broken_hooks` are the numbers, from
    1, of those hooks that could not be started; `restarts` tells by workload what is in the way of
    its restart, if anything. `undone` names what of this did not work after the last rotation, as
    far as the settings still have it.
    """

    token: TokenSettings
    seen: Snapshot
    verdict: Verdict
    probed: bool
    untold: str | None
    unwritable: Mapping[str, str]
    broken_hooks: tuple[int, ...]
    restarts: Mapping[str, str | None]
    undone: tuple[str, ...]


class Examiner(NamedTuple):
    """Looks at tokens; the API is asked where it answers, and the token's settings permit it."""

    api: OpenApi
    api_answers: bool
    clock: Clock
    environ: Mapping[str, str]

    def look(self, token: TokenSettings, stores: Sequence[SecretStore]) -> Examined:
        """Read every store, prove that what a rotation does can be done, and change nothing."""
        seen = observe(stores, self.clock())
        diagnosis = Decider(token, self.api, self.clock)
        verdict, untold = diagnosis.decide_from_stores(seen, RotateOptions()), None
        lives = seen.current is not None and verdict.status is not Status.EXPIRED
        probed = lives and token.probe and self.api_answers
        if probed:
            verdict, untold = diagnosis.decide_with_server(seen, RotateOptions())
        if seen.current and verdict.reason == "behind":  # each store has a finding of its own
            verdict = diagnosis.decide_written(seen, seen.current)
        faults = {r.store.url: _unwritable(r.store) for r in seen.reachable}
        unwritable = {url: fault for url, fault in faults.items() if fault}
        unstartable = broken(token.hooks, self.environ)
        restarts = try_restarts(token)
        undone = name_undone(token, seen.hooks)
        return Examined(
            token, seen, verdict, probed, untold, unwritable, unstartable, restarts, undone
        )


def _unwritable(store: SecretStore) -> str | None:
    try:
        store.preflight()
    except StoreError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - a bug in one store must not hide the others
        return f"{store.url}: {internal_error(error)}"
    return None


class Wired(NamedTuple):
    """The tokens whose stores can be opened, and what is wrong: a line for each mistake.

    `doubtful` are lines about what works, but should not be. `may_log_in` says that all is there
    that a login needs.
    """

    tokens: Sequence[tuple[TokenSettings, list[SecretStore]]]
    wrong: tuple[str, ...]
    doubtful: tuple[str, ...]
    may_log_in: bool


def wire(settings: Settings, names: Sequence[str]) -> Wired:
    """Open what can be opened; raises `ConfigError` for an unknown name, or without any token."""
    tokens, unusable = _opened(settings, names)
    login = list(_mistakes(*_login_needs(settings.api)))
    afterwards = _mistakes(
        lambda: wiring.require_notices(settings),
        lambda: wiring.require_restarts(settings),
    )
    wrong = dict.fromkeys((*unusable, *login, *afterwards))
    return Wired(tokens, tuple(wrong), tuple(_doubts(settings.api)), may_log_in=not login)


def _opened(
    settings: Settings, names: Sequence[str]
) -> tuple[list[tuple[TokenSettings, list[SecretStore]]], list[str]]:
    try:
        return wiring.open_selected(settings, names), []
    except ConfigError as error:
        wanted = [token for token in settings.tokens if not names or token.name in names]
        if not wanted or len(wanted) < len(set(names)):
            raise
        opened, wrong = [], []
        for token in wanted:  # one by one, so that the mistake of one does not hide the others
            try:
                opened += wiring.open_selected(settings._replace(tokens=(token,)), ())
            except ConfigError as mistake:
                wrong.append(str(mistake))
        return opened, wrong or [str(error)]


def _login_needs(api: ApiSettings) -> Iterator[Callable[[], object]]:
    """Ask for each part with the others given: they are all told, and not only the first."""
    given = Secret("", value="given")
    yield lambda: wiring.require_url(api)
    with_url = api._replace(url=api.url or "given")
    yield lambda: wiring.require_login(
        with_url._replace(admin_password=given, admin_password_store=None)
    )
    yield lambda: wiring.require_login(with_url._replace(admin_email=given))


def _doubts(api: ApiSettings) -> Iterator[str]:
    secret = api.admin_password
    if secret and secret.file and _is_public(secret.file):
        yield (
            f"{secret.origin}: every user of this machine may read {secret.file}: take that right"
            " away (chmod o-r), or mount it with the mode 0400"
        )


def _is_public(file: Path) -> bool:
    try:
        return bool(file.stat().st_mode & stat.S_IROTH)
    except OSError:  # among the mistakes
        return False


def _mistakes(*needs: Callable[[], object]) -> Iterator[str]:
    for need in needs:
        try:
            need()
        except ConfigError as error:
            yield str(error)


def broken(hooks: Sequence[Sequence[str]], environ: Mapping[str, str]) -> tuple[int, ...]:
    """Return the numbers, from 1, of the hooks that could not be started."""
    path = os.pathsep.join(os.get_exec_path(environ))
    return tuple(
        number
        for number, (program, *_) in enumerate(hooks, 1)
        if shutil.which(program, path=path) is None
    )


def try_restarts(token: TokenSettings) -> dict[str, str | None]:
    """Return by workload what would keep it from being restarted, None where nothing would.

    Nothing is returned where the settings do not allow any restart, which is told with them.
    """
    restarts = Restarts(token)
    try:
        if restarts.workloads:
            restarts.require()
    except ConfigError:
        return {}

    def look(workload: str) -> str | None:
        return restarts.preflight(workload, token.hook_timeout)

    workloads = tuple(dict.fromkeys(restarts.workloads))
    return dict(zip(workloads, map_in_threads(look, workloads), strict=True))


def name_undone(token: TokenSettings, noted: Collection[str]) -> tuple[str, ...]:
    """Return names for those of the noted ids that belong to something in the settings."""
    if not noted:
        return ()
    ids = Hooks(token.hooks, token.notify, timedelta(), {}, Restarts(token)).ids
    known = dict(zip(ids, _names(token), strict=True))
    return tuple(known[each] for each in noted if each in known)


def _names(token: TokenSettings) -> Iterator[str]:
    """Yield a name for each in the order of `Hooks.ids`; arguments and URLs may hold secrets."""
    for number, (program, *_) in enumerate(token.hooks, 1):
        yield f"hook {number} ({quote_value(program)})"
    for workload in token.restart:
        yield f"the restart of {workload}"
    for number, _ in enumerate(token.notify, 1):
        yield f"the notice to URL {number}"
