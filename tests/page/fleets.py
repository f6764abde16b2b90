"""Fleets to be shown: what a daemon would have posted after some days, at a fixed moment."""

from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from rotator.clock import in_words, minute
from rotator.config.settings import TokenSettings
from rotator.rotation.model import Action, OldToken, OldTokenState, StoreReport, StoreState
from rotator.rotation.policy import Status
from rotator.rotation.report import Report
from rotator.rotation.severity import Severity
from rotator.rotation.states import Look, TokenStates
from tests.support.clock import NOON

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
PLANETS = ("luna", "sol", "mars", "venus", "titan", "io", "ceres", "rhea", "juno", "vega")
JOBS = ("bot", "alerts", "reports", "sync", "prices", "mailer", "archive", "search", "chat", "feed")


class Shown(NamedTuple):
    states: TokenStates
    tokens: tuple[TokenSettings, ...]


def of_three() -> Shown:
    """One that is fine, one that was just renewed, and one that fails."""
    states = TokenStates()
    names = ("luna-bot", "sol-bot", "mars-bot")
    states.watch(names)
    luna = "vault://secret/bots/luna#NOCTURNA_SERVICE_TOKEN"
    fine = _report("luna-bot", 41.3, luna, "kubernetes://bots/luna-token#NOCTURNA_SERVICE_TOKEN")
    states.record(_look(_renewed(_report("luna-bot", 90, luna)), 48.7 * DAY))
    states.record(_look(fine, 23 * MINUTE))
    sol = _renewed(_report("sol-bot", 89.98, "dotenv:///srv/sol/.env#NOCTURNA_SERVICE_TOKEN"))
    old = OldToken(_id(77), OldTokenState.WAITING, NOON + 23.5 * HOUR)
    used = OldToken(
        *(_id(78), OldTokenState.IN_USE, NOON + 22 * HOUR, "restart it", NOON - 2 * HOUR),
        at_most=NOON + 60 * HOUR,
    )
    states.record(_look(sol._replace(old_tokens=(old, used)), 29 * MINUTE))
    for hours in (3, 2, 1):
        states.record(_look(_failing("mars-bot", 4.2 + hours / 24), hours * HOUR))
    states.record(_look(_failing("mars-bot", 4.2), 12 * MINUTE))
    return Shown(states, tuple(TokenSettings(name, "", ()) for name in names))


def of_many(count: int = 200) -> Shown:
    """As many as it takes to need a filter; most of them are fine."""
    states = TokenStates()
    names = [f"{PLANETS[n % 10]}-{JOBS[n // 10 % 10]}-{n // 100 + 1}" for n in range(count)]
    states.watch(names)
    for number, name in enumerate(names):
        report = _report(name, 8 + number * 37 % 820 / 10, f"vault://secret/bots/{name}#API_TOKEN")
        match number % 67:
            case 5:
                report = _failing(name, 4.2)
            case 11:
                away = "the store does not answer (timed out after 10 seconds)"
                place = report.stores[0]._replace(status=StoreState.UNREACHABLE, message=away)
                report = report._replace(
                    stores=(place,), error=away, level=Severity.WARNING, failure="store-unreachable"
                )
            case 17:
                report = _eternal(name)
            case 29:
                continue
        states.record(_look(report, (number % 50 + 1) * MINUTE))
    tokens = (TokenSettings(name, "", ()) for name in names)
    return Shown(states, tuple(tokens))


def _look(report: Report, ago: timedelta) -> Look:
    end = NOON - ago
    return Look(report, end - timedelta(seconds=0.8), end, max(end + 57 * MINUTE, NOON + MINUTE))


def _report(name: str, days: float, *stores: str) -> Report:
    end = NOON + days * DAY
    left = f"expires in {in_words(end - NOON)} ({minute(end)}); renewed below 7 days"
    return Report(
        name,
        Status.OK,
        "ok",
        left,
        Action.KEPT,
        _id(sum(name.encode())),
        expires_at=end,
        seconds_left=days * 86400,
        stores=tuple(StoreReport(store, StoreState.CURRENT) for store in stores),
    )


def _renewed(report: Report) -> Report:
    stores = tuple(store._replace(status=StoreState.WRITTEN) for store in report.stores)
    message = "expires in 6 days; renewed below 7 days"
    return report._replace(action=Action.ROTATED, reason="expiring", message=message, stores=stores)


def _failing(name: str, days: float) -> Report:
    store = f"vault://secret/bots/{name.partition('-')[0]}#NOCTURNA_SERVICE_TOKEN"
    refused = (
        f"{store}: Vault does not let us write it; the policy needs update on secret/data/bots"
    )
    left = int(days * 24)
    error = (
        f"{refused}; the token still lives 4 days: {left} attempts left, with at least one an hour"
    )
    return _report(name, days, store)._replace(
        status=Status.DUE,
        reason="expiring",
        action=Action.FAILED,
        error=error,
        failure="store-denied",
        level=Severity.WARNING if days > 4.25 else Severity.ERROR,
        attempts_left=left,
    )


def _eternal(name: str) -> Report:
    report = _report(name, 1, f"dotenv:///srv/{name}/.env#NOCTURNA_SERVICE_TOKEN")
    return report._replace(
        status=Status.ETERNAL,
        reason="eternal",
        message="never expires",
        expires_at=None,
        seconds_left=None,
    )


def _id(number: int) -> str:
    return str(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128, version=4))
