"""Emergency: the tokens that leaked are renewed and revoked, and what was made with them is found.

A leaked service token has the rights of the admin who minted it, so whoever had it may have minted
others, which survive it. Of these the API says only who owns them and when they were made.

The API may have one worker, which the bots need as well: all this sends it one call at a time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from rotator import wiring
from rotator.cli.leaked.assessment import Assessment, Order, assess, find_since
from rotator.cli.leaked.elsewhere import Elsewhere, may_live
from rotator.clock import SLACK, Clock, in_words
from rotator.config.settings import Settings, TokenSettings
from rotator.errors import ApiError, RotatorError
from rotator.rotation.fleet import notify_failures, report_failure, run_fleet
from rotator.rotation.inventory import Inventory
from rotator.rotation.listing import RowStatus, TokenRow, list_rows, longest_rotation
from rotator.rotation.model import CHANGED, Action, OldTokenState, StoreState
from rotator.rotation.observe import Observation, observe
from rotator.rotation.policy import RotateOptions
from rotator.rotation.report import Report
from rotator.rotation.rotation import Rotation
from rotator.rotation.severity import FOUR_A_DAY, with_severity
from rotator.rotation.threads import map_in_threads
from rotator.stores.journal import Journal, ReplacedToken
from rotator.stores.port import SecretStore
from rotator.tokens import is_token_id
from rotator.wiring import requirements, selection

if TYPE_CHECKING:
    from rotator.nocturna.service_tokens import ListedToken

_log = logging.getLogger(__name__)
_ROUNDS = 3
_PAUSE = 5.0  # seconds between two rounds: an API that had too much to do gets some time
_MOST_SILENT = 3  # tokens, after which an API that does not answer is not asked for the others
_GAPS = (StoreState.BEHIND, StoreState.UNREACHABLE)
_SILENCE = frozenset({"api-unreachable", "not-done"})
# Kinds of failures that may be over soon.
_PASSING = _SILENCE | {"api", "api-fault", "conflict", "verification"}


class Case(NamedTuple):
    """One of the tokens that leaked, with its stores."""

    settings: TokenSettings
    stores: Sequence[SecretStore]
    rotation: Rotation


class FoundState(StrEnum):
    """What became of a token that no store holds, as `--json` shows it."""

    LEFT = "left"
    UNKNOWN = "unknown"
    REVOKED = "revoked"
    FAILED = "failed"


class FoundToken(NamedTuple):
    """A token that was made since, and that no store holds; `message` says what went wrong."""

    row: TokenRow
    state: FoundState
    message: str | None = None


class Search(NamedTuple):
    """What was made `since` (aware UTC), and the ids of all tokens that are alive.

    They are None where the API did not list them. `troubles` say what could not be looked at.
    `elsewhere` are the leaked tokens that live at another API, each with its name, and `doubtful`
    those that may.
    """

    since: datetime
    found: tuple[FoundToken, ...]
    alive: frozenset[str] | None
    troubles: tuple[str, ...] = ()
    elsewhere: Mapping[str, str] = MappingProxyType({})
    doubtful: frozenset[str] = frozenset()


class Emergency:
    """Serves the tokens `names`, all of the `api` if empty, and those that share a token with them.

    `sleep` takes seconds. Raises `ConfigError` for what a rotation would refuse, and for tokens of
    several APIs.
    """

    def __init__(  # noqa: PLR0913 - what the command was given
        self,
        settings: Settings,
        names: Sequence[str],
        order: Order,
        clock: Clock,
        sleep: Callable[[float], object] = time.sleep,
        *,
        api: str | None = None,
    ) -> None:
        requirements.require_rotation(settings)
        self._settings = settings
        self._clock = clock
        self._order = order._replace(is_named=bool(names))
        self.api = selection.choose_api(settings, api, names)
        contexts = wiring.build_contexts(settings, clock, connections=1)
        context = contexts.pop(self.api.name)
        self._elsewhere = Elsewhere(contexts)
        self._sleep = sleep
        self._has_waited = False
        self._context = context._replace(sleep=self._wait)
        every = wiring.open_selected(settings, ())
        named = {token.name for token, _ in wiring.open_selected(settings, names)}
        self._cases = {
            token.name: Case(token, stores, Rotation(token, stores, self._context))
            for token, stores in every
            if token.api == self.api.name
        }
        self._named = [name for name in self._cases if name in named]
        self._rows: Mapping[str, ListedToken] = {}
        self._has_listed = False
        self._missing: dict[str, dict[str, datetime | None]] = {}
        self._account = ""
        self._silent = 0

    @property
    def account(self) -> str:
        """The admin account of the config, once `examine` has asked for it."""
        return self._account

    def examine(self) -> tuple[list[Assessment], Search]:
        """Tell what leaked, of the named tokens and of those that show the same; change nothing.

        Raises `ApiError` where the API lets nothing be done.
        """
        api, troubles = self._context.api(), []
        api.log_in()
        self._account = api.account()
        try:
            self._rows = {row.token_id: row for row in api.list_tokens()}
            self._has_listed = True
        except RotatorError as error:  # what leaked can be revoked without the list
            troubles.append(str(error))
        inventory = self._context.fleet_stores.take_inventory()
        assessments: dict[str, Assessment] = {}
        waiting = list(self._named)
        while waiting:
            new = map_in_threads(self._assess, [self._cases[name] for name in waiting])
            assessments |= {each.name: each for each in new}
            leaked = {token.token_id for each in new for token in each.leaked}
            holders = {place.name for each in leaked for place in inventory.holders(each)}
            waiting = [n for n in self._cases if n in holders and n not in assessments]
        ordered = [assessments[name] for name in self._cases if name in assessments]
        search = self._find(list(self._rows.values()), inventory, ordered)
        if troubles:
            search = search._replace(alive=None, troubles=(*troubles, *search.troubles))
        return ordered, search

    def renew(
        self, names: Collection[str], stopped: Callable[[], bool], advance: Callable[[], None]
    ) -> list[Report]:
        """Renew these tokens, and revoke the old ones.

        Whoever fails of what may pass soon gets a second and a third turn. No other is begun once
        `stopped` returns True; `advance` is called after each.
        """
        waiting = [self._cases[name].rotation for name in self._cases if name in names]
        reports: dict[str, Report] = {}
        for number in range(_ROUNDS):
            if number:
                self._sleep(_PAUSE)
                if not self._is_api_there():
                    break
            self._silent = 0
            done = run_fleet(waiting, self._renew, stopped=stopped, advance=advance)
            reports |= {report.name: _join(reports.get(report.name), report) for report in done}
            waiting = [each for each in waiting if _may_pass(reports[each.name])]
            advance = _nothing  # each counts once
            if stopped() or not waiting:
                break
        pairs = [
            (self._cases[name].rotation, with_severity(report, renew_before, FOUR_A_DAY))
            for name, report in reports.items()
            for renew_before in [self._cases[name].settings.renew_before]
        ]
        notify_failures(pairs)
        return [report for _, report in pairs]

    def search(self, assessments: Sequence[Assessment]) -> Search:
        """Look for live tokens that can have been made with the leaked ones and no store holds.

        Raises `RotatorError` when the API does not list them.
        """
        # In this order: a token that is minted meanwhile is not listed.
        listed = self._context.api().list_tokens()
        return self._find(listed, self._context.fleet_stores.take_inventory(), assessments)

    def _find(
        self,
        listed: Sequence[ListedToken],
        inventory: Inventory,
        assessments: Sequence[Assessment],
    ) -> Search:
        now, since = self._context.api().time.now(), find_since(assessments)
        owners = frozenset[str]().union(*(each.owners for each in assessments))
        owners = owners or frozenset({self._account})
        made = [row for row in listed if row.created_at >= since and row.user_id in owners]
        under_way = longest_rotation(self._settings.tokens_of(self.api))
        if not inventory.intents:
            # Who mints for a store notes it there first, so none of these is on its way to one; and
            # one that is younger than the Date of the answer is as old as any other.
            under_way = -SLACK
        rows = list_rows(made, inventory, self._account, now, under_way)
        states = {RowStatus.ORPHAN: FoundState.LEFT, RowStatus.UNKNOWN: FoundState.UNKNOWN}
        found = [FoundToken(row, states[row.status]) for row in rows if row.status in states]
        alive = frozenset(row.token_id for row in listed if row.expires_at > now)
        troubles = (*_describe_unknown(inventory, found), *self._elsewhere.troubles())
        elsewhere = self._elsewhere
        return Search(since, tuple(found), alive, troubles, elsewhere.alive, elsewhere.doubtful)

    def note(self, names: Iterable[str], found: Iterable[FoundToken]) -> None:
        """Note in a journal what is about to be revoked: a later run of the command tells of it.

        One journal will do, of a token that was minted for this leak. Nothing waits for it.
        """
        rows = (each.row for each in found if is_token_id(each.row.token_id))
        tokens = [ReplacedToken(row.token_id, row.expires_at) for row in rows]

        def change(seen: Observation) -> Journal:
            leak = seen.journal.leak
            return replace(seen.journal, leak=leak.with_found(tokens)) if leak else seen.journal

        for case in (self._cases[name] for name in names):
            snapshot = observe(case.stores, self._clock())
            if snapshot.journal.leak and not snapshot.note(change)[1]:
                return
        _log.warning(
            "no journal notes what is revoked now, so no later run can tell of it: keep what this"
            " one tells"
        )

    def revoke(self, found: FoundToken) -> FoundToken:
        """Revoke a token that is left; every failure becomes part of the answer."""
        try:
            self._context.api().ensure_revoked(found.row.token_id, "asked")
        except RotatorError as error:
            return found._replace(state=FoundState.FAILED, message=str(error))
        return found._replace(state=FoundState.REVOKED)

    def log_out(self) -> None:
        """End the admin's sessions."""
        self._context.api.log_out()
        self._elsewhere.log_out()

    def _assess(self, case: Case) -> Assessment:
        snapshot = observe(case.stores, self._clock())
        now = self._context.api().time.now()
        # As at first: what was minted since the list is not missing from it.
        missing = self._missing.get(case.settings.name)
        if missing is None:
            ends = may_live(snapshot, now) if self._has_listed else {}
            missing = {each: end for each, end in ends.items() if each not in self._rows}
            self._missing[case.settings.name] = missing
        rows = {**self._elsewhere.look_for(missing), **self._rows}
        unlisted = {each: missing[each] for each in self._elsewhere.doubtful & missing.keys()}
        found = assess(case.settings.name, snapshot, rows, now, self._order, unlisted=unlisted)
        here = (self._rows.get(each.token_id) for each in found.leaked)
        return found._replace(owners=frozenset(row.user_id for row in here if row))

    def _wait(self, seconds: float) -> None:
        """Sleep as a rotation does that meets another one, and say so: it can take minutes."""
        if not self._has_waited:
            self._has_waited = True
            longest = in_words(longest_rotation(self._settings.tokens_of(self.api)))
            _log.warning(
                "waiting for a rotation that is under way or was cut off, %s at most", longest
            )
        self._sleep(seconds)

    def _is_api_there(self) -> bool:
        try:
            self._context.api().account()
        except ApiError:
            return False
        return True

    def _renew(self, rotation: Rotation) -> Report:
        if self._silent >= _MOST_SILENT:
            error = "not begun, since the API did not answer for other tokens: run again"
            return report_failure(rotation, "unreachable", error, failure="api-unreachable")
        # Once more: somebody else may have replaced it since it was shown.
        found = self._assess(self._cases[rotation.name])
        wanted = RotateOptions(force=found.answer is None, revoke_old=True, leak=found.leak)
        report = rotation.rotate(wanted)
        self._silent = self._silent + 1 if report.failure in _SILENCE else 0
        return report


def _join(earlier: Report | None, later: Report) -> Report:
    """Return what two turns of a token came to: the second does not undo what the first changed."""
    if earlier is None:
        return later
    shown = {old.token_id for old in later.old_tokens}
    revoked = (old for old in earlier.old_tokens if old.state is OldTokenState.REVOKED)
    before = (old for old in revoked if old.token_id not in shown)
    later = later._replace(old_tokens=(*before, *later.old_tokens))
    if earlier.action not in CHANGED or later.action is not Action.KEPT:
        return later
    written = {each.store for each in earlier.stores if each.status is StoreState.WRITTEN}
    return later._replace(
        action=earlier.action,
        reason=earlier.reason,
        message=earlier.message,
        previous_token_id=earlier.previous_token_id,
        stores=tuple(
            each._replace(status=StoreState.WRITTEN) if each.store in written else each
            for each in later.stores
        ),
    )


def _may_pass(report: Report) -> bool:
    """Tell whether a failure may be over soon: the API's, or that of a token served later."""
    if report.error is None or report.hooks_left:  # a hook that fails is not repeated in vain
        return False
    is_owed = any(old.state is not OldTokenState.REVOKED for old in report.old_tokens)
    has_gaps = any(each.status in _GAPS for each in report.stores)
    return (is_owed and not has_gaps) or report.failure in _PASSING


def _describe_unknown(inventory: Inventory, found: Iterable[FoundToken]) -> Iterator[str]:
    if inventory.unreachable:
        urls = ", ".join(inventory.unreachable_urls)
        yield f"which tokens are in no store is not known while {urls} does not answer: run again"
    elif young := [each.row.token_id for each in found if each.state is FoundState.UNKNOWN]:
        yield (
            f"{', '.join(young)} may be on the way to a store, since a rotation is under way or was"
            " cut off: run again in some minutes"
        )


def _nothing() -> None:
    """Do nothing."""
