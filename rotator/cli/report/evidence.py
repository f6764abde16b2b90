"""The evidence for an audit: what the API's list, the journals and the stores show at one moment.

Nothing is exchanged: that would count as a use of the token.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from rotator import wiring
from rotator.cli.report.policy import Audited, RuleResult, RuleState, worst_of
from rotator.clock import Clock, in_days, rfc3339, rfc3339_or_none
from rotator.config.settings import Settings
from rotator.rotation.ahead import ReadAhead
from rotator.rotation.inventory import Inventory
from rotator.rotation.listing import (
    RowStatus,
    TokenRow,
    describe_young,
    list_rows,
    longest_rotation,
)
from rotator.rotation.model import RotationResult
from rotator.rotation.observe import Decider
from rotator.rotation.policy import RotateOptions
from rotator.rotation.report import build_report
from rotator.rotation.threads import map_in_threads
from rotator.wiring import requirements, selection


class Mark(StrEnum):
    """Why a token of the account is listed, as `--json` shows it."""

    ETERNAL = "eternal"
    ORPHAN = "orphan"
    EXPIRED = "expired"
    UNUSED = "unused"


class MarkedToken(NamedTuple):
    """A token of the account that somebody should look at."""

    row: TokenRow
    marks: tuple[Mark, ...]


class AuditedToken(NamedTuple):
    """A configured token, and the results of the rules."""

    facts: Audited
    results: Sequence[RuleResult]

    @property
    def name(self) -> str:
        return self.facts.settings.name

    @property
    def state(self) -> RuleState:
        return worst_of({result.state for result in self.results})

    def to_json(self) -> dict[str, Any]:
        facts, report = self.facts, self.facts.report
        minted_at, row = facts.snapshot.journal.minted_at, facts.row
        return {
            "name": self.name,
            "policy": self.state,
            "token_id": report.token_id,
            "status": report.status,
            "age_days": None if facts.age is None else in_days(facts.age.total_seconds()),
            "made_at": rfc3339_or_none(facts.made_at),
            "last_rotation_at": rfc3339_or_none(minted_at),
            "expires_at": rfc3339_or_none(report.expires_at),
            "days_left": in_days(report.seconds_left),
            "last_used_at": rfc3339_or_none(row.last_used_at) if row else None,
            "stores": [each._asdict() for each in report.stores],
            "rules": [result._asdict() for result in self.results],
        }


class Evidence(NamedTuple):
    """What was found at `taken_at`, the server's time (aware UTC).

    `unused` is for how long a listed token was not used. `troubles` say what is not known.
    """

    taken_at: datetime
    api: str
    account: str
    unused: timedelta
    tokens: Sequence[AuditedToken]
    marked: Sequence[MarkedToken]
    troubles: Sequence[str]

    @property
    def state(self) -> RuleState:
        return worst_of({token.state for token in self.tokens})

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints, with stable keys."""
        return {
            "taken_at": rfc3339(self.taken_at),
            "api": self.api,
            "account": self.account,
            "policy": self.state,
            "tokens": [token.to_json() for token in self.tokens],
            "account_tokens": [
                {**each.row.to_json(), "marks": list(each.marks)} for each in self.marked
            ],
            "troubles": list(self.troubles),
        }


def gather(
    settings: Settings,
    names: Collection[str],
    unused: timedelta,
    clock: Clock,
    name: str | None = None,
) -> Evidence:
    """Look at the list of one API, perhaps of this `name`, and at every store, once each.

    Raises `ConfigError` for an unknown name and for tokens of several APIs, and `RotatorError` when
    the API does not answer.
    """
    of_api = selection.choose_api(settings, name, list(names))
    requirements.require_login(of_api)
    wanted = {token.name for token, _ in wiring.open_selected(settings, list(names))}
    every = wiring.open_selected(settings, ())
    open_api = wiring.lazy_api(of_api, clock)
    api = open_api()
    # In this order: a token that is minted meanwhile is not listed, instead of without its store.
    listed, account = api.list_tokens(), api.account()
    api.log_out()
    now = api.time.now()
    ahead = ReadAhead(time.monotonic)
    ahead.expect(store for _, stores in every for store in stores)
    snapshots = map_in_threads(lambda each: ahead.observe(each[1], now), every)
    inventory = Inventory(
        (token.name, answer)
        for (token, _), snapshot in zip(every, snapshots, strict=True)
        for answer in snapshot.answers
    )
    rows = list_rows(listed, inventory, account, now, longest_rotation(settings.tokens_of(of_api)))
    by_id = {row.token_id: row for row in rows}

    def audit(index: int) -> AuditedToken:
        token, snapshot = every[index][0], snapshots[index]
        verdict = Decider(token, open_api).decide_from_stores(snapshot, RotateOptions())
        report = build_report(token.name, RotationResult(snapshot, verdict), now)
        facts = Audited(token, snapshot, report, by_id, now)
        return AuditedToken(facts, facts.examine())

    troubles = [
        f"{name}: {unreachable.error}; which tokens are orphans is not known"
        for name, unreachable in inventory.unreachable
    ]
    if not troubles and (young := describe_young(rows)):
        troubles = [f"{young}: look again in some minutes"]
    wanted &= {token.name for token in settings.tokens_of(of_api)}
    return Evidence(
        taken_at=now,
        api=requirements.require_url(of_api),
        account=account,
        unused=unused,
        tokens=[audit(n) for n, (token, _) in enumerate(every) if token.name in wanted],
        marked=[
            MarkedToken(row, marks)
            for row in rows
            if row.own and (marks := _marks(row, now, unused))
        ],
        troubles=troubles,
    )


def _marks(row: TokenRow, now: datetime, unused: timedelta) -> tuple[Mark, ...]:
    used_at = row.last_used_at or row.created_at
    found = {
        Mark.ETERNAL: row.expires_at is None,
        Mark.ORPHAN: row.status is RowStatus.ORPHAN,
        Mark.EXPIRED: row.left is not None and row.left <= timedelta(),
        Mark.UNUSED: now - used_at >= unused,
    }
    return tuple(mark for mark, is_found in found.items() if is_found)
