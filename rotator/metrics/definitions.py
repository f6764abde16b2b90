"""What is measured of each token, as plain numbers: the table behind docs/metrics.md.

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
NONE = math.nan  # there is no such number; `None` says that nobody knows
_USUAL = "expiring"
_WORKING = (Status.OK, Status.DUE, Status.ETERNAL)
_LACKING = (StoreState.BEHIND, StoreState.ABSENT)


class Series(NamedTuple):
    """One number's name and labels; only counters have a `reason`."""

    metric: str
    token: str
    reason: str | None = None


Samples = dict[Series, float]


class Gauge(NamedTuple):
    """A number that goes up and down; `help` is read by whoever is on call.

    `value` returns NaN where there is no such number, and None where it is not known: then what was
    known before still stands.
    """

    name: str
    help: str
    value: Callable[[TokenState, datetime], float | None]
    unit: str = ""


class Counter(NamedTuple):
    """Numbers that only grow, by reason; the exposition adds `_total` to the name."""

    name: str
    help: str
    counts: Callable[[TokenState], Mapping[str, int]]


def measured(states: Mapping[str, TokenState | None], now: datetime) -> Samples:
    """Return what is known of the tokens at `now`, which is aware UTC."""
    samples: Samples = {}
    for token, state in states.items():
        if state is None:
            continue
        for gauge in GAUGES:
            value = gauge.value(state, now)
            if value is not None:
                samples[Series(gauge.name, token)] = value
        for counter in COUNTERS:
            for reason, count in counter.counts(state).items():
                samples[Series(counter.name, token, reason)] = count
    return samples


def _expiry(state: TokenState, _now: datetime) -> float | None:
    # Of the last look that knew it: an alert on it must not end because its store went away, too.
    if state.last_readable is None:
        return None
    expires_at = state.last_readable.expires_at
    return expires_at.timestamp() if expires_at else NONE


def _seconds_left(state: TokenState, now: datetime) -> float | None:
    expiry = _expiry(state, now)
    return None if expiry is None else expiry - now.timestamp()


def _working(state: TokenState, now: datetime) -> float | None:
    report = state.last.report
    if report.status is Status.UNKNOWN:
        return None
    over = report.expires_at is not None and report.expires_at <= now
    return not over and (report.status in _WORKING or report.action in CHANGED)


def _succeeded_at(state: TokenState, _now: datetime) -> float | None:
    return state.succeeded_at.timestamp() if state.succeeded_at else None


def _attempts_left(state: TokenState, _now: datetime) -> float:
    attempts = state.last.report.attempts_left
    return NONE if attempts is None else attempts


def _behind(state: TokenState, _now: datetime) -> float | None:
    report = state.last.report
    lacking = sum(each.status in _LACKING for each in report.stores)
    return None if report.status is Status.UNKNOWN else lacking


def _orphans(state: TokenState, _now: datetime) -> float | None:
    return None if state.last.report.status is Status.UNKNOWN else state.last.report.orphans


def _hooks(state: TokenState, _now: datetime) -> float | None:
    return None if state.last.report.status is Status.UNKNOWN else state.last.report.hooks_left


def _duration(state: TokenState, _now: datetime) -> float:
    # The clock may have been set back meanwhile.
    return max(0.0, (state.last.ended_at - state.last.started_at).total_seconds())


def _rotations(state: TokenState) -> Mapping[str, int]:
    # Prometheus sees no increase in a series that begins with 1: the usual one begins with 0.
    return {_USUAL: 0, **state.rotations}


GAUGES = (
    Gauge(
        f"{PREFIX}token_expiry_timestamp_seconds",
        "When the current token expires, as a Unix time; none if it never does, or is not there.",
        _expiry,
        "seconds",
    ),
    Gauge(
        SECONDS_LEFT,
        "The life that the current token has left, in seconds, negative when it is over.",
        _seconds_left,
    ),
    Gauge(
        f"{PREFIX}token_working",
        "1 if the bot has a working token, 0 if it is expired, missing, invalid or refused.",
        _working,
    ),
    Gauge(
        f"{PREFIX}last_attempt_timestamp_seconds",
        "When the rotator last looked after the token, whatever came of it, as a Unix time.",
        lambda state, _now: state.last.ended_at.timestamp(),
        "seconds",
    ),
    Gauge(
        f"{PREFIX}last_success_timestamp_seconds",
        "When that last went without a failure, as a Unix time.",
        _succeeded_at,
        "seconds",
    ),
    Gauge(
        f"{PREFIX}failing",
        "1 if the last attempt failed, be it in one store or hook only; else 0.",
        lambda state, _now: state.last.report.error is not None,
    ),
    Gauge(
        f"{PREFIX}attempts_left",
        "How many attempts to renew the token fit into its life; only while they fail.",
        _attempts_left,
    ),
    Gauge(
        f"{PREFIX}stores_behind",
        "Stores that do not hold the current token: what reads them has an older one, or none.",
        _behind,
    ),
    Gauge(
        f"{PREFIX}orphans",
        "Tokens that may be live with no store to hold them.",
        _orphans,
    ),
    Gauge(
        f"{PREFIX}hook_failures",
        "Hooks that have not worked yet since the last rotation; each run tries them again.",
        _hooks,
    ),
    Gauge(
        f"{PREFIX}run_duration_seconds",
        "How long the last attempt took.",
        _duration,
        "seconds",
    ),
)
COUNTERS = (
    Counter(
        f"{PREFIX}rotations",
        "Rotations by reason; behind means that the token was only copied to stores.",
        _rotations,
    ),
    Counter(
        f"{PREFIX}failures",
        "Failed attempts by the kind of the first failure.",
        lambda state: state.failures,
    ),
)
