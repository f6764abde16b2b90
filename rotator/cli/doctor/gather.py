"""Collects the facts that the checks judge: all I/O of the doctor.

It changes nothing, but for what a rehearsal changes and what one left that was killed.
"""

import os
import shutil
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain

from rotator import wiring
from rotator.cli.doctor import checks, list_checks
from rotator.cli.doctor.findings import Finding, Result, Topic, run_checks
from rotator.clock import ONE_DAY, Clock
from rotator.config.settings import ApiSettings, Secret, Settings, StoredSecret, TokenSettings
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
from rotator.rotation.former_stores import find_copies
from rotator.rotation.inventory import Inventory
from rotator.rotation.listing import longest_rotation
from rotator.rotation.model import MintRequest, RotationContext, StoreReport
from rotator.rotation.observe import Decider, Snapshot, observe, provenance_of
from rotator.rotation.policy import RotateOptions, Status
from rotator.rotation.rehearsal import Rehearsal
from rotator.rotation.rehearsal_leftovers import clear_up_beside
from rotator.rotation.rotation import remove_leftovers
from rotator.rotation.threads import map_in_threads
from rotator.stores.port import SecretStore, is_open_to_all, path_of_file_store
from rotator.wiring import requirements, selection

_DOWN = (502, 503, 504)  # what answers is a proxy in front of the API
_OpenTokens = list[tuple[TokenSettings, list[SecretStore]]]


def examine(
    settings: Settings, names: Sequence[str], clock: Clock, environ: Mapping[str, str]
) -> list[Finding]:
    """Look at everything that a rotation of these tokens needs; rehearse it where that is wanted.

    Raises `ConfigError` for an unknown name, or when no token is configured.
    """
    usable, unusable = _open_tokens(settings, names)
    used = {token.api for token in selection.select(settings, names)}
    apis = [api for api in settings.apis if not names or api.name in used]
    needed = (requirements.require_url, requirements.require_email, requirements.require_password)
    no_login = {api.name: requirements.collect_mistakes(api, *needed) for api in apis}
    doubles = requirements.collect_mistakes(settings, requirements.require_own_accounts)
    mistakes = [*unusable, *chain(*no_login.values()), *doubles]
    found = list(_examine_settings(settings, mistakes, environ))
    contexts = wiring.build_contexts(settings, clock)
    gatherers = {
        api.name: Gatherer(settings, api, contexts[api.name]._replace(environ=environ))
        for api in apis
    }
    for name, gatherer in gatherers.items():
        gatherer.reach_api(may_log_in=not no_login[name])

    def look(each: tuple[TokenSettings, list[SecretStore]]) -> checks.TokenFacts | Finding:
        try:
            return gatherers[each[0].api].look_at(*each)
        except Exception as error:  # noqa: BLE001 - the other tokens must still have their turn
            message = internal_error(error)
            return Finding(Topic.INTERNAL, Result.PROBLEM, message, each[0].name)

    def rehearse(each: checks.TokenFacts | Finding) -> checks.TokenFacts | Finding:
        return each if isinstance(each, Finding) else gatherers[each.settings.api].rehearse(each)

    looks = map_in_threads(look, usable)
    if not any(finding.result is Result.PROBLEM for finding in found):  # with the settings
        looks = map_in_threads(rehearse, looks)
    tokens = [each for each in looks if isinstance(each, checks.TokenFacts)]
    is_whole = not names and len(tokens) == len(settings.tokens)
    for api in apis:
        of_api = run_checks(checks.API_CHECKS, gatherers[api.name].of_api)
        found += (each._replace(api=api.name or None) for each in of_api)
    found += _compare_accounts({name: each.of_api.account for name, each in gatherers.items()})
    for each in looks:
        if isinstance(each, Finding):
            found.append(each)
        else:
            found += run_checks(checks.TOKEN_CHECKS, each, each.settings.name)
    for api in apis:
        of_list = gatherers[api.name].examine_list(tokens, is_whole=is_whole)
        found += (each._replace(api=api.name or None) for each in of_list)
    return found


class Gatherer:
    """Asks one API and reads the stores; made for one examination.

    What `reach_api` finds out is `of_api`.
    """

    def __init__(self, settings: Settings, api: ApiSettings, context: RotationContext) -> None:
        self._settings = settings.tokens_of(api)
        self._context = context
        wanted = (MintRequest(t.validity, "", t.renew_before) for t in self._settings)
        tolerance = min((request.tolerance for request in wanted), default=ONE_DAY)
        self.of_api = checks.ApiFacts(api.url, tolerance)
        self._begun = context.clock()

    def reach_api(self, *, may_log_in: bool) -> None:
        """Send the API a request, and log in where the settings allow it."""
        self.of_api = self._reach(self.of_api, may_log_in=may_log_in)
        self._begun = self.of_api.server_time(self._context.clock())

    def _reach(self, facts: checks.ApiFacts, *, may_log_in: bool) -> checks.ApiFacts:
        if facts.url is None:
            return facts
        http = ApiClient(facts.url, self._context.clock)
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
        api = self._context.api()
        try:
            api.log_in()
            return facts._replace(account=api.account(), skew=api.time.skew)
        except RotatorError as error:
            return facts._replace(refusal=str(error))

    def look_at(self, token: TokenSettings, stores: Sequence[SecretStore]) -> checks.TokenFacts:
        """Read every store, and prove that what a rotation does can be done.

        The API is asked whether it accepts the token where it answers and the settings allow it.
        """
        api, clock, environ = self.of_api, self._context.clock, self._context.environ
        snapshot = observe(stores, clock())
        remove_leftovers(snapshot)
        timeout = token.rotation_timeout
        cleared = clear_up_beside(self._context, timeout, snapshot.reachable)
        decider = Decider(token, self._context.api)
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
            now=api.server_time(clock()),
            snapshot=snapshot,
            verdict=verdict,
            is_probed=is_probed,
            no_answer=no_answer,
            owners={each.store.url: provenance_of(each.store).owner for each in snapshot.reachable},
            write_faults={each.store.url: _write_fault(each.store) for each in snapshot.reachable},
            foreign_folders=_find_foreign_folders(stores),
            open_files=_find_open_files(stores),
            broken_hooks=_find_broken_hooks(token, environ),
            restarts=_try_restarts(token),
            failed_hooks=_name_failed_hooks(token, snapshot.hooks),
            cleared=cleared,
            mirrors=self._look_at_mirrors(token, snapshot),
            copies=[*find_copies(snapshot, self._context.fleet_stores, api.server_time(clock()))],
        )

    def _look_at_mirrors(self, token: TokenSettings, snapshot: Snapshot) -> list[StoreReport]:
        if not token.mirrors:
            return []
        from rotator.rotation.mirrors import Mirrors  # noqa: PLC0415 - few have mirrors

        opened = self._context.open_mirrors(token)
        mirrors = Mirrors(opened, self._context.clock, token.rotation_timeout)
        return [each.to_report() for each in mirrors.look(snapshot)]

    def rehearse(self, look: checks.TokenFacts) -> checks.TokenFacts:
        """Rehearse a rotation of a token whose settings want that."""
        if not look.settings.rehearse:
            return look
        stores = [answer.store for answer in look.snapshot.answers]
        rehearsal = Rehearsal(look.settings, stores, self._context)
        return look._replace(rehearsed=rehearsal.run(with_hooks=False))

    def examine_list(
        self, tokens: Sequence[checks.TokenFacts], *, is_whole: bool
    ) -> Iterable[Finding]:
        """Compare the API's list of service tokens with what was seen of them.

        `tokens` are those of all APIs, and `is_whole` tells whether they are all of the config.
        """
        if not self.of_api.account:
            return ()
        api = self._context.api()
        inventory = Inventory(
            (t.settings.name, answer) for t in tokens for answer in t.snapshot.answers
        )
        try:
            facts = list_checks.ListFacts(
                rows=api.list_tokens(),
                now=api.time.now(),
                begun=self._begun,
                tokens=[each for each in tokens if self._context.is_own(each.settings.name)],
                inventory=inventory if is_whole else None,
                account=self.of_api.account,
                under_way=longest_rotation(self._settings),
            )
        except RotatorError as error:
            return (Finding(Topic.LIST, Result.PROBLEM, str(error)),)
        return run_checks(list_checks.LIST_CHECKS, facts)


def _compare_accounts(accounts: Mapping[str, str | None]) -> Iterator[Finding]:
    """Yield the APIs of which another one turns out to have the same account."""
    names: dict[str | None, str] = {}
    for name, account in accounts.items():
        if account in names:
            message = (
                f"{names[account]} has the same account, though by another URL or e-mail: keep one"
                " [[api]] for both"
            )
            yield Finding(Topic.LOGIN, Result.PROBLEM, message, api=name)
        elif account:
            names[account] = name


def _examine_settings(
    settings: Settings, known: Sequence[str], environ: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield the mistakes, of which some are `known`, and what works and should not be so."""
    of_notices, silent = _examine_notices(settings, environ)
    of_restarts = requirements.collect_mistakes(
        settings, requirements.require_restarts, wiring.require_mirrors
    )
    mistakes = dict.fromkeys([*known, *of_notices, *of_restarts])
    for message in silent:
        yield Finding(Topic.HOOKS, Result.PROBLEM, message)
    for mistake in mistakes:
        yield Finding(Topic.SETTINGS, Result.PROBLEM, mistake)
    for password in (api.admin_password for api in settings.apis):
        with suppress(OSError):  # which is among the mistakes
            file = password.file if isinstance(password, Secret) else None
            if password and file and file.stat().st_mode & stat.S_IROTH:
                message = (
                    f"{password.origin}: every user of this machine may read {file}: take that"
                    " right away (chmod o-r), or mount it with the mode 0400"
                )
                yield Finding(Topic.SETTINGS, Result.WARNING, message)
    for url in sorted(_find_open_files(_open_password_stores(settings))):
        yield Finding(Topic.SETTINGS, Result.WARNING, f"{url} {checks.OPEN_TO_ALL}")
    if not mistakes:
        yield Finding(Topic.SETTINGS, Result.OK, "the settings are complete")


def _examine_notices(settings: Settings, environ: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the mistakes in the URLs, and what else keeps a notice from being sent."""
    try:
        return examine_urls([url for token in settings.tokens for url in token.notify], environ)
    except ConfigError as error:
        return [str(error)], []


def _open_tokens(settings: Settings, names: Sequence[str]) -> tuple[_OpenTokens, list[str]]:
    wanted = selection.select(settings, names)
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
    if not token.restart or requirements.collect_mistakes(restarts, Restarts.require):
        return {}
    workloads = tuple(dict.fromkeys(token.restart))
    faults = map_in_threads(lambda each: restarts.preflight(each, token.hook_timeout), workloads)
    return dict(zip(workloads, faults, strict=True))


def _open_password_stores(settings: Settings) -> list[SecretStore]:
    """Return the stores of admins' passwords; one that cannot be opened is among the mistakes."""
    opened: list[SecretStore] = []
    for password in (api.admin_password for api in settings.apis):
        if isinstance(password, StoredSecret):
            with suppress(ConfigError):
                opened.append(requirements.open_password_store(password))
    return opened


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
