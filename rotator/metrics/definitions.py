"""The metrics of a token: the table behind docs/metrics.md, and their values as plain numbers.

Names and units follow https://prometheus.io/docs/practices/naming/.
"""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

from rotator.rotation.model import CHANGED, StoreState
from rotator.rotation.policy import Status
from rotator.rotation.states import TokenState

PREFIX = "nocturna_rotator_"
SECONDS_LEFT = f"{PREFIX}token_seconds_left"
NONE = math.nan  # there is no such number; Python's None stands for one that is not known
_USUAL_REASON = "expiring"
_WORKING = (Status.OK, Status.DUE, Status.ETERNAL)
_WITHOUT_CURRENT = (StoreState.BEHIND, StoreState.ABSENT)


class Series(NamedTuple):
    """The metric and labels of one number; only counters have a `reason`."""

    metric: str
    token: str
    reason: str | None = None


Samples = dict[Series, float]


class GaugeMetric(NamedTuple):
    """A number that goes up and down; `help` is for whoever is on call.

    `value` returns NaN where there is no number, and None where it is not known, so that the last
    one stands. With `needs_store` it is not known either while no store can be read.
    """

    name: str
    help: str
    value: Callable[[TokenState, datetime], float | None]
    needs_store: bool = False
    labels: tuple[str, ...] = ("token",)


class CounterMetric(NamedTuple):
    """Numbers that only grow, by reason; Prometheus adds `_total` to the name."""

    name: str
    help: str
    counts: Callable[[TokenState], Mapping[str, int]]
    labels: tuple[str, ...] = ("token", "reason")


def measure(states: Mapping[str, TokenState | None], now: datetime) -> Samples:
    """Return what is known about the tokens at `now` (aware UTC)."""
    samples: Samples = {}
    for token, state in states.items():
        if state is None:
            continue
        unreadable = state.last.report.status is Status.UNKNOWN
        for gauge in GAUGES:
            value = None if unreadable and gauge.needs_store else gauge.value(state, now)
            if value is not None:
                samples[Series(gauge.name, token)] = value
        for counter in COUNTERS:
            for reason, count in counter.counts(state).items():
                samples[Series(counter.name, token, reason)] = count
    return samples


def _expiry(state: TokenState, _now: datetime) -> float | None:
    # By the last readable report: an alert on the expiry goes on while the stores are unreachable.
    if state.last_readable is None:
        return None
    expires_at = state.last_readable.expires_at
    return expires_at.timestamp() if expires_at else NONE


def _seconds_left(state: TokenState, now: datetime) -> float | None:
    expiry = _expiry(state, now)
    return None if expiry is None else expiry - now.timestamp()


def _is_working(state: TokenState, now: datetime) -> bool:
    report = state.last.report
    expired = report.expires_at is not None and report.expires_at <= now
    return not expired and (report.status in _WORKING or report.action in CHANGED)


def _attempts_left(state: TokenState, _now: datetime) -> float:
    attempts = state.last.report.attempts_left
    return NONE if attempts is None else attempts


def _last_use(state: TokenState, _now: datetime) -> float:
    laggards = [old for old in state.last.report.old_tokens if old.is_in_use]
    uses = (old.last_used_at.timestamp() for old in laggards if old.last_used_at)
    return max(uses, default=NONE)


GAUGES = (
    GaugeMetric(
        f"{PREFIX}token_expiry_timestamp_seconds",
        "When the current token expires, as a Unix time; none if it never does, or is not there.",
        _expiry,
    ),
    GaugeMetric(
        SECONDS_LEFT,
        "The life that the current token has left, in seconds, negative when it is over.",
        _seconds_left,
    ),
    GaugeMetric(
        f"{PREFIX}token_working",
        "1 if the bot has a working token, 0 if it is expired, missing, invalid or refused.",
        _is_working,
        needs_store=True,
    ),
    GaugeMetric(
        f"{PREFIX}last_attempt_timestamp_seconds",
        "When the rotator last looked at the token, successfully or not, as a Unix time.",
        lambda state, _now: state.last.ended_at.timestamp(),
    ),
    GaugeMetric(
        f"{PREFIX}last_success_timestamp_seconds",
        "When it last did so without a failure, as a Unix time.",
        lambda state, _now: state.succeeded_at.timestamp() if state.succeeded_at else None,
    ),
    GaugeMetric(
        f"{PREFIX}failing",
        "1 if the last attempt failed, even in one store or hook only; else 0.",
        lambda state, _now: state.last.report.error is not None,
    ),
    GaugeMetric(
        f"{PREFIX}attempts_left",
        "How many attempts to renew the token fit into its life; only while they fail.",
        _attempts_left,
    ),
    GaugeMetric(
        f"{PREFIX}stores_behind",
        "Stores without the current token: their readers have an older one, or none.",
        lambda state, _now: sum(
            store.status in _WITHOUT_CURRENT for store in state.last.report.stores
        ),
        needs_store=True,
    ),
    GaugeMetric(
        f"{PREFIX}unsettled",
        "Mints that were cut off and are not cleared up, and old tokens that could not be revoked.",
        lambda state, _now: state.last.report.unsettled,
        needs_store=True,
    ),
    GaugeMetric(
        f"{PREFIX}laggards",
        'Replaced tokens that somebody still uses; only with retire = "unused …".',
        lambda state, _now: sum(old.is_in_use for old in state.last.report.old_tokens),
        needs_store=True,
    ),
    GaugeMetric(
        f"{PREFIX}old_token_last_used_timestamp_seconds",
        "When somebody last used a replaced token that is still in use, as a Unix time.",
        _last_use,
        needs_store=True,
    ),
    GaugeMetric(
        f"{PREFIX}hook_failures",
        "Hooks that still fail since the last rotation; each run tries them again.",
        lambda state, _now: state.last.report.hooks_left,
        needs_store=True,
    ),
    GaugeMetric(
        f"{PREFIX}run_duration_seconds",
        "How long the last attempt took.",
        # The clock may have been set back during the attempt.
        lambda state, _now: max(0.0, (state.last.ended_at - state.last.started_at).total_seconds()),
    ),
)
COUNTERS = (
    CounterMetric(
        f"{PREFIX}rotations",
        "Rotations by reason; behind means that the token was only copied to stores.",
        # Prometheus sees no increase in a series that starts at 1: the usual reason starts at 0.
        lambda state: {_USUAL_REASON: 0, **state.rotations},
    ),
    CounterMetric(
        f"{PREFIX}failures",
        "Failed attempts by the kind of the first failure.",
        lambda state: state.failures,
    ),
)
