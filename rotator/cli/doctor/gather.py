"""Collects the facts that the checks judge: all I/O of the doctor.

It changes nothing, but for what a rehearsal changes and what one left that was killed.
"""

import os
import shutil
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from rotator import wiring
from rotator.cli.doctor import checks, list_checks
from rotator.cli.doctor.findings import Finding, Result, Topic, run_checks
from rotator.clock import ONE_DAY, Clock
from rotator.config.settings import Secret, Settings, TokenSettings
from rotator.errors import (
    ApiError,
    ApiUnreachableError,
    ConfigError,
    RotatorError,
    StoreError,
    internal_error,
)
from rotator.files import find_foreign_folder
from rotator.hooks.hooks import Hooks, name_command
from rotator.hooks.notify import examine_urls
from rotator.hooks.restarts import Restarts
from rotator.nocturna.api import HEALTH, ApiClient
from rotator.rotation.in_flight import InFlightMints
from rotator.rotation.inventory import Inventory
from rotator.rotation.listing import longest_rotation
from rotator.rotation.model import MintRequest, StoreReport
from rotator.rotation.observe import Decider, Snapshot, observe, provenance_of
from rotator.rotation.policy import RotateOptions, Status
from rotator.rotation.rehearsal import Rehearsal
from rotator.rotation.rehearsal_leftovers import clear_up_beside
from rotator.rotation.rotation import remove_leftovers
from rotator.rotation.threads import map_in_threads
from rotator.stores.port import SecretStore, is_open_to_all, path_of_file_store

_DOWN = (502, 503, 504)  # what answers is a proxy in front of the API
_OpenTokens = list[tuple[TokenSettings, list[SecretStore]]]


def examine(
    settings: Settings, names: Sequence[str], clock: Clock, environ: Mapping[str, str]
) -> list[Finding]:
    """Look at everything that a rotation of these tokens needs; rehearse it where that is wanted.

    Raises `ConfigError` for an unknown name, or when no token is configured.
    """
    usable, unusable = _open_tokens(settings, names)
    needed = (wiring.require_url, wiring.require_email, wiring.require_password)
    no_login = wiring.collect_mistakes(settings.api, *needed)
    found = list(_examine_settings(settings, [*unusable, *no_login], environ))
    gatherer = Gatherer(settings, clock, environ)
    of_api = gatherer.reach_api(may_log_in=not no_login)
    begun = of_api.server_time(clock())

    def look(each: tuple[TokenSettings, list[SecretStore]]) -> checks.TokenFacts | Finding:
        try:
            return gatherer.look_at(*each, of_api)
        except Exception as error:  # noqa: BLE001 - the other tokens must still have their turn
            message = internal_error(error)
            return Finding(Topic.INTERNAL, Result.PROBLEM, message, each[0].name)

    looks = map_in_threads(look, usable)
    if not any(finding.result is Result.PROBLEM for finding in found):  # with the settings
        looks = map_in_threads(gatherer.rehearse, looks)
    found += run_checks(checks.API_CHECKS, of_api)
    for each in looks:
        if isinstance(each, Finding):
            found.append(each)
        else:
            found += run_checks(checks.TOKEN_CHECKS, each, each.settings.name)
    if of_api.account:
        tokens = [each for each in looks if isinstance(each, checks.TokenFacts)]
        try:
            of_list = gatherer.list_tokens(tokens, of_api.account, begun)
        except RotatorError as error:
            return [*found, Finding(Topic.LIST, Result.PROBLEM, str(error))]
        if names or len(tokens) < len(settings.tokens):
            of_list = of_list._replace(inventory=None)
        found += run_checks(list_checks.LIST_CHECKS, of_list)
    return found


class Gatherer:
    """Asks the API and reads the stores; made for one examination."""

    def __init__(self, settings: Settings, clock: Clock, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._clock = clock
        self._environ = environ
        self._open_api = wiring.lazy_api(settings.api, clock)
        shared = wiring.build_context(settings, clock, InFlightMints())
        self._context = shared._replace(api=self._open_api, environ=environ)

    def reach_api(self, *, may_log_in: bool) -> checks.ApiFacts:
        """Send the API a request, and log in where the settings allow it."""
        wanted = (MintRequest(t.validity, "", t.renew_before) for t in self._settings.tokens)
        tolerance = min((request.tolerance for request in wanted), default=ONE_DAY)
        facts = checks.ApiFacts(self._settings.api.url, tolerance)
        if facts.url is None:
            return facts
        http = ApiClient(facts.url, self._clock)
        try:
            http.send(HEALTH)
        except ApiUnreachableError as error:
            return facts._replace(silence=str(error))
        except ApiError as error:
            if error.status in _DOWN:
                return facts._replace(silence=str(error))
            # Otherwise it answered: a proxy may hide this call, and serve the others.
        facts = facts._replace(skew=http.time.skew)
        if not may_log_in:
            return facts
        api = self._open_api()
        try:
            api.log_in()
            return facts._replace(account=api.account(), skew=api.time.skew)
        except RotatorError as error:
            return facts._replace(refusal=str(error))

    def look_at(
        self, token: TokenSettings, stores: Sequence[SecretStore], api: checks.ApiFacts
    ) -> checks.TokenFacts:
        """Read every store, and prove that what a rotation does can be done.

        The API is asked whether it accepts the token where it answers and the settings allow it.
        """
        snapshot = observe(stores, self._clock())
        remove_leftovers(snapshot)
        timeout = token.rotation_timeout
        cleared = clear_up_beside(self._context, timeout, snapshot.reachable)
        decider = Decider(token, self._open_api)
        decide = decider.decide_by_server_clock if api.account else decider.decide_from_stores
        verdict, no_answer = decide(snapshot, RotateOptions()), None
        is_live = snapshot.current is not None and verdict.status is not Status.EXPIRED
        is_probed = is_live and token.probe and api.answers
        if is_probed:
            verdict, no_answer = decider.decide_after_probe(snapshot, RotateOptions())
        if snapshot.current and verdict.reason == "behind":  # each store has a finding of its own
            verdict = decider.decide_written(snapshot.current, snapshot.taken_at)
        return checks.TokenFacts(
            settings=token,
            now=api.server_time(self._clock()),
            snapshot=snapshot,
            verdict=verdict,
            is_probed=is_probed,
            no_answer=no_answer,
            owners={each.store.url: provenance_of(each.store).owner for each in snapshot.reachable},
            write_faults={each.store.url: _write_fault(each.store) for each in snapshot.reachable},
            foreign_folders=_find_foreign_folders(stores),
            open_files=_find_open_files(stores),
            broken_hooks=_find_broken_hooks(token, self._environ),
            restarts=_try_restarts(token),
            failed_hooks=_name_failed_hooks(token, snapshot.hooks),
            cleared=cleared,
            mirrors=self._look_at_mirrors(token, snapshot),
        )

    def _look_at_mirrors(self, token: TokenSettings, snapshot: Snapshot) -> list[StoreReport]:
        if not token.mirrors:
            return []
        from rotator.rotation.mirrors import Mirrors  # noqa: PLC0415 - few have mirrors

        mirrors = Mirrors(self._context.open_mirrors(token), self._clock)
        return [each.to_report() for each in mirrors.look(snapshot)]

    def rehearse(self, look: checks.TokenFacts | Finding) -> checks.TokenFacts | Finding:
        """Rehearse a rotation of a token whose settings want that."""
        if isinstance(look, Finding) or not look.settings.rehearse:
            return look
        stores = [answer.store for answer in look.snapshot.answers]
        rehearsal = Rehearsal(look.settings, stores, self._context)
        return look._replace(rehearsed=rehearsal.run(with_hooks=False))

    def list_tokens(
        self, tokens: Sequence[checks.TokenFacts], account: str, begun: datetime
    ) -> list_checks.ListFacts:
        """Get the API's list of service tokens; raises `RotatorError`."""
        api = self._open_api()
        return list_checks.ListFacts(
            rows=api.list_tokens(),
            now=api.time.now(),
            begun=begun,
            tokens=tokens,
            inventory=Inventory(
                (t.settings.name, answer) for t in tokens for answer in t.snapshot.answers
            ),
            account=account,
            under_way=longest_rotation(self._settings),
        )


def _examine_settings(
    settings: Settings, known: Sequence[str], environ: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield the mistakes, of which some are `known`, and what works and should not be so."""
    of_notices, silent = _examine_notices(settings, environ)
    of_restarts = wiring.collect_mistakes(settings, wiring.require_restarts, wiring.require_mirrors)
    mistakes = dict.fromkeys([*known, *of_notices, *of_restarts])
    for message in silent:
        yield Finding(Topic.HOOKS, Result.PROBLEM, message)
    for mistake in mistakes:
        yield Finding(Topic.SETTINGS, Result.PROBLEM, mistake)
    password = settings.api.admin_password
    with suppress(OSError):  # which is among the mistakes
        file = password.file if isinstance(password, Secret) else None
        if password and file and file.stat().st_mode & stat.S_IROTH:
            message = (
                f"{password.origin}: every user of this machine may read {file}: take that"
                " right away (chmod o-r), or mount it with the mode 0400"
            )
            yield Finding(Topic.SETTINGS, Result.WARNING, message)
    if not mistakes:
        yield Finding(Topic.SETTINGS, Result.OK, "the settings are complete")


def _examine_notices(settings: Settings, environ: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the mistakes in the URLs, and what else keeps a notice from being sent."""
    try:
        return examine_urls([url for token in settings.tokens for url in token.notify], environ)
    except ConfigError as error:
        return [str(error)], []


def _open_tokens(settings: Settings, names: Sequence[str]) -> tuple[_OpenTokens, list[str]]:
    wanted = wiring.select(settings, names)
    stores, mistakes = wiring.open_stores(settings)
    return [(token, stores[token.name]) for token in wanted if token.name in stores], mistakes


def _write_fault(store: SecretStore) -> str | None:
    try:
        store.preflight()
    except StoreError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - a bug in one store must not hide the others
        return f"{store.url}: {internal_error(error)}"
    return None


def _find_broken_hooks(token: TokenSettings, environ: Mapping[str, str]) -> list[str]:
    path = os.pathsep.join(os.get_exec_path(environ))
    return [
        name_command(number, hook)
        for number, hook in enumerate(token.hooks, 1)
        if shutil.which(hook[0], path=path) is None
    ]


def _try_restarts(token: TokenSettings) -> dict[str, str | None]:
    """Return by workload what prevents its restart; nothing where the settings have a mistake."""
    restarts = Restarts(token)
    if not token.restart or wiring.collect_mistakes(restarts, Restarts.require):
        return {}
    workloads = tuple(dict.fromkeys(token.restart))
    faults = map_in_threads(lambda each: restarts.preflight(each, token.hook_timeout), workloads)
    return dict(zip(workloads, faults, strict=True))


def _find_foreign_folders(stores: Sequence[SecretStore]) -> dict[str, tuple[str, int]]:
    """Return by URL a folder of another user on the way to a file, and its owner's id, if root."""
    paths = {store.url: path_of_file_store(store.url) for store in stores}
    found = {url: find_foreign_folder(path) for url, path in paths.items() if path}
    return {url: each for url, each in found.items() if each}


def _find_open_files(stores: Sequence[SecretStore]) -> set[str]:
    """Return the URLs of the files that every user may read."""
    paths = {store.url: path_of_file_store(store.url) for store in stores}
    return {url for url, path in paths.items() if path and is_open_to_all(path)}


def _name_failed_hooks(token: TokenSettings, failed: Collection[str]) -> list[str]:
    names = Hooks(token, {}).names
    return [names[each] for each in failed if each in names]
