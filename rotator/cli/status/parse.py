"""The daemon's object, read back: what comes over the network is checked before it is shown."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from rotator.config.settings import TokenSettings
from rotator.daemon.rows import FleetStatus, StatusRow
from rotator.rotation.model import Action, OldToken, OldTokenState, StoreReport, StoreState
from rotator.rotation.policy import Status
from rotator.rotation.report import Report
from rotator.rotation.states import HistoryEntry, Look, TokenState


class _Part:
    """A JSON object from outside; each method raises `ValueError` where another kind stands."""

    def __init__(self, found: object) -> None:
        if not isinstance(found, dict):
            raise ValueError("no object")  # noqa: TRY004 - what is wrong is the answer, not a type
        self._found: dict[str, Any] = found

    def text(self, key: str) -> str:
        found = self._found.get(key)
        if not isinstance(found, str):
            raise ValueError(f"no text: {key}")  # noqa: TRY004 - as above
        return found

    def optional_text(self, key: str) -> str | None:
        return None if self._found.get(key) is None else self.text(key)

    def time(self, key: str) -> datetime:
        moment = datetime.fromisoformat(self.text(key))
        if moment.tzinfo is None:
            raise ValueError(f"no time zone: {key}")
        return moment.astimezone(UTC)

    def optional_time(self, key: str) -> datetime | None:
        return None if self._found.get(key) is None else self.time(key)

    def number(self, key: str) -> float:
        found = self._found.get(key)
        if not isinstance(found, int | float) or isinstance(found, bool):
            raise ValueError(f"no number: {key}")  # noqa: TRY004 - as above
        return found

    def items(self, key: str) -> list[Any]:
        found = self._found.get(key)
        if not isinstance(found, list):
            raise ValueError(f"no list: {key}")  # noqa: TRY004 - as above
        return found

    def parts(self, key: str) -> list["_Part"]:
        return [_Part(each) for each in self.items(key)]

    def counts(self, key: str) -> Counter[str]:
        part = _Part(self._found.get(key))
        return Counter({each: int(part.number(each)) for each in part._found})


def parse_fleet(found: object) -> FleetStatus:
    """Return what a daemon said; raises `ValueError` for what no daemon says."""
    fleet = _Part(found)
    now = fleet.time("as_of")
    try:
        rows = [_row(token, now) for token in fleet.parts("tokens")]
    except OverflowError:
        raise ValueError("a time out of range") from None
    return FleetStatus(rows, now, fleet.text("phase"), fleet.optional_text("reload_error"))


def _row(token: _Part, now: datetime) -> StatusRow:
    name, looked_at = token.text("name"), token.optional_time("looked_at")
    if looked_at is None:
        return StatusRow(name, None, TokenSettings(name, "", ()), now)
    report = _report(token)
    state = TokenState(
        last=Look(report, looked_at, looked_at, token.optional_time("next_look_at")),
        last_readable=None,
        succeeded_at=token.optional_time("succeeded_at"),
        rotated_at=token.optional_time("rotated_at"),
        history=tuple(map(_entry, token.parts("history"))),
        rotations=token.counts("rotations"),
        failures=token.counts("failures"),
    )
    return StatusRow(name, state, _settings(token, report), now)


def _report(token: _Part) -> Report:
    action = token.optional_text("action")
    return Report(
        name=token.text("name"),
        status=Status(token.text("status")),
        reason=token.text("reason"),
        message=token.text("message"),
        action=Action(action) if action else None,
        token_id=token.optional_text("token_id"),
        previous_token_id=token.optional_text("previous_token_id"),
        expires_at=token.optional_time("expires_at"),
        stores=tuple(
            StoreReport(
                store.text("store"),
                StoreState(store.text("status")),
                store.optional_text("message"),
            )
            for store in token.parts("stores")
        ),
        error=token.optional_text("error"),
        old_tokens=tuple(
            OldToken(
                old.text("token_id"),
                OldTokenState(old.text("state")),
                old.time("due_at"),
                old.optional_text("message"),
                old.optional_time("last_used_at"),
                old.optional_time("at_most"),
            )
            for old in token.parts("old_tokens")
        ),
        level=token.optional_text("level"),
        failure=token.optional_text("failure"),
        unsettled=int(token.number("unsettled")),
        hooks_left=int(token.number("hooks_left")),
    )


def _entry(entry: _Part) -> HistoryEntry:
    action = entry.optional_text("action")
    return HistoryEntry(
        at=entry.time("at"),
        action=Action(action) if action else None,
        reason=entry.text("reason"),
        message=entry.text("message"),
        failure=entry.optional_text("failure"),
        level=entry.optional_text("level"),
        error=entry.optional_text("error"),
    )


def _settings(token: _Part, report: Report) -> TokenSettings:
    """Return the settings from which the bar and the next renewal follow."""
    settings = TokenSettings(report.name, "", ())
    renews_at, boundary = token.optional_time("renews_at"), token.number("boundary")
    if report.expires_at is None or renews_at is None:
        return settings
    renew_before = report.expires_at - renews_at
    if renew_before <= timedelta() or not 0 < boundary <= 1:
        return settings
    return settings._replace(renew_before=renew_before, validity=renew_before / boundary)
