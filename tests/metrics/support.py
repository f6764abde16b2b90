"""Tokens in every state, and what is rendered of them."""

from datetime import datetime, timedelta
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from rotator.metrics.definitions import PREFIX
from rotator.metrics.exposition import render
from rotator.rotation.model import Action, OldToken, OldTokenState, StoreReport, StoreState
from rotator.rotation.policy import Status
from rotator.rotation.report import Report
from rotator.rotation.states import Look, TokenState, TokenStates
from tests.support.clock import NOON

LAST_MONTH = NOON - timedelta(days=30)


OLD_TOKENS = tuple(
    OldToken(token_id, state, NOON + timedelta(hours=1), last_used_at=NOON - timedelta(hours=ago))
    for token_id, state, ago in (
        ("first", OldTokenState.IN_USE, 3),
        ("second", OldTokenState.IN_USE, 2),
        ("third", OldTokenState.WAITING, 1),
    )
)


def look(action: Action, status: Status = Status.OK, *, name: str = "luna", **more: Any) -> Look:  # noqa: ANN401 - of the report
    """Return a look that took two seconds and ended at noon, unless `ended_at` says otherwise."""
    ended: datetime = more.pop("ended_at", NOON)
    usual = {
        "reason": str(status),
        "message": "…",
        "action": action,
        "expires_at": NOON + timedelta(days=10),
    }
    return Look(
        Report(name=name, status=status, **{**usual, **more}), ended - timedelta(seconds=2), ended
    )


def failed(status: Status = Status.DUE, **more: Any) -> Look:  # noqa: ANN401 - (the same)
    return look(Action.FAILED, status, error="it broke", **{"failure": "api-fault", **more})


def unknown(**more: Any) -> Look:  # noqa: ANN401 - (the same)
    return failed(Status.UNKNOWN, failure="store-unreachable", expires_at=None, **more)


def token_states(*looks: Look) -> dict[str, TokenState | None]:
    """Return the states after these looks."""
    states = TokenStates()
    states.watch(list(dict.fromkeys(each.report.name for each in looks)))
    for each in looks:
        states.record(each)
    return states.by_name()


def every_metric() -> dict[str, TokenState | None]:
    """Return states for which every metric has a value."""
    stores = (StoreReport("dotenv:a", StoreState.CURRENT), StoreReport("x:b", StoreState.BEHIND))
    return token_states(
        look(Action.ROTATED, Status.DUE, reason="expiring", ended_at=LAST_MONTH),
        failed(attempts_left=4, stores=stores, unsettled=2, hooks_left=3, old_tokens=OLD_TOKENS),
        look(Action.KEPT, Status.ETERNAL, name="sol", expires_at=None),
        unknown(name="mars"),
    )


def shown(found: dict[str, TokenState | None], now: datetime = NOON) -> dict[str, dict[str, float]]:
    """Return the numbers of `/metrics` by short name, and by token, or token and reason."""
    _, body = render(found, now, "", reload_failed=False)
    numbers: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            key = "/".join(
                sample.labels[label] for label in ("token", "reason") if label in sample.labels
            )
            numbers.setdefault(sample.name.removeprefix(PREFIX), {})[key] = sample.value
    return numbers
