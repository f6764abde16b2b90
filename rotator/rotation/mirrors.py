"""Mirrors: push the token to places that cannot be read back, and tell what is known of them.

What was pushed stands in a journal. A mirror is behind where the current token is not on record, or
where the place itself tells that it has another one, or none. Nobody can compare and set there:
whoever pushes looks afterwards whether the stores still show what was pushed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import NamedTuple

from rotator.audit import Event, trace
from rotator.clock import Clock, minute, within
from rotator.errors import StoreError, StoreUnreachableError, internal_error
from rotator.rotation.model import StoreReport, StoreState
from rotator.rotation.observe import Observation, Snapshot, observe
from rotator.rotation.threads import map_in_threads
from rotator.stores.journal import Journal, Push
from rotator.stores.mirrors import Mirror, Seen, digest_of
from rotator.tokens import ServiceToken

_ATTEMPTS = 3  # while other rotators renew the token
_NEEDY = (StoreState.BEHIND, StoreState.ABSENT)


class MirrorLook(NamedTuple):
    """What is known of a mirror; `is_recorded` says that the current token was pushed there."""

    mirror: Mirror
    status: StoreState
    message: str | None
    is_recorded: bool

    @property
    def is_behind(self) -> bool:
        """Whether it needs the current token."""
        return self.status in _NEEDY or not self.is_recorded

    def to_report(self) -> StoreReport:
        return StoreReport(self.mirror.url, self.status, self.message)


class Mirrors:
    """The mirrors of one token, which are asked side by side, as the token must not wait for them.

    A look takes half of `timeout` at most, and what is pushed all of it.
    """

    def __init__(self, mirrors: Sequence[Mirror], clock: Clock, timeout: timedelta) -> None:
        self._mirrors = mirrors
        self._clock = clock
        self._timeout = timeout

    def look(self, snapshot: Snapshot) -> tuple[MirrorLook, ...]:
        """Ask each place what it tells; nothing where there is no token. Raises nothing."""
        if snapshot.current is None:
            return ()
        look = partial(_look, snapshot=snapshot, token=snapshot.current)
        with within(self._timeout / 2):
            return tuple(map_in_threads(look, self._mirrors))

    def push(self, snapshot: Snapshot) -> tuple[Snapshot, tuple[MirrorLook, ...], list[str]]:
        """Push the current token to each mirror that is behind, and note it.

        Return what the stores show then, what is known now, and what could not be noted.
        """
        looks = self.look(snapshot)
        troubles: list[str] = []
        for _ in range(_ATTEMPTS):
            behind = [each for each in looks if each.is_behind]
            with within(self._timeout):
                pushed = map_in_threads(partial(self._push, snapshot=snapshot), behind)
            records = [record for _, record in pushed if record]
            after = {each.mirror.url: each for each, _ in pushed}
            looks = tuple(after.get(each.mirror.url, each) for each in looks)
            if not records:
                break
            snapshot, troubles = _note(snapshot, records)
            if troubles or set(records) <= set(_pushes_in(snapshot)):
                break
            # Another rotator has renewed the token meanwhile: what we pushed may be the older one.
            snapshot = observe([each.store for each in snapshot.answers], self._clock())
            looks = self.look(snapshot)
        return snapshot, looks, troubles

    def _push(self, look: MirrorLook, *, snapshot: Snapshot) -> tuple[MirrorLook, Push | None]:
        token, mirror = snapshot.current, look.mirror
        if token is None:
            return look, None
        message = f"the token was pushed to {mirror.url}"
        try:
            with trace(Event.WRITTEN, message, store=mirror.url, token_id=token.name):
                mirror.push(token.secret)
            seen = mirror.seen()
        except StoreError as error:
            return look._replace(status=StoreState.BEHIND, message=str(error)), None
        except Exception as error:  # noqa: BLE001 - a bug in one must not stop the others
            why = f"{mirror.url}: {internal_error(error)}"
            return MirrorLook(mirror, StoreState.BEHIND, why, look.is_recorded), None
        digest = digest_of(token.secret)
        if seen is None or seen.digest not in (None, digest):
            why = f"{mirror.url}: it took the token, and does not show it: see who else writes it"
            return MirrorLook(mirror, StoreState.BEHIND, why, look.is_recorded), None
        at = (seen.changed_at or self._clock()).replace(microsecond=0)
        record = Push(digest_of(mirror.url), digest, at)
        return MirrorLook(mirror, StoreState.WRITTEN, None, is_recorded=True), record


def _look(mirror: Mirror, *, snapshot: Snapshot, token: ServiceToken) -> MirrorLook:
    url, digest = mirror.url, digest_of(token.secret)
    record = next((p for p in _pushes_in(snapshot) if p.mirror == digest_of(url)), None)
    is_recorded = record is not None and record.token == digest
    try:
        seen = mirror.seen()
    except StoreError as error:
        return MirrorLook(mirror, StoreState.UNREACHABLE, str(error), is_recorded)
    except Exception as error:  # noqa: BLE001 - a bug in one must not stop the others
        failure = StoreUnreachableError(f"{url}: {internal_error(error)}")
        return MirrorLook(mirror, StoreState.UNREACHABLE, str(failure), is_recorded)
    if seen is None:
        message = f"{url}: there is no such secret yet; rotator rotate pushes it"
        return MirrorLook(mirror, StoreState.ABSENT, message, is_recorded)
    why = _find_lag(seen, record, digest)
    if why:
        message = f"{url}: {why}; rotator rotate pushes the current one"
        return MirrorLook(mirror, StoreState.BEHIND, message, is_recorded)
    known = None if seen.digest else "the current token was pushed, and cannot be read back"
    if known and record:
        known = f"{known} (since {minute(record.at)})"
    # One that shows the token needs no record.
    return MirrorLook(mirror, StoreState.CURRENT, known, is_recorded or seen.digest is not None)


def _find_lag(seen: Seen, record: Push | None, digest: str) -> str | None:
    if seen.digest is not None:
        return None if seen.digest == digest else "it holds another token"
    if record is None or record.token != digest:
        return "the current token was not pushed there"
    if seen.changed_at and seen.changed_at.replace(microsecond=0) != record.at:
        return f"somebody else changed it at {minute(seen.changed_at)}"
    return None


def _pushes_in(snapshot: Snapshot) -> tuple[Push, ...]:
    """Return the record of the first store that shows the current token."""
    holders = (each for each in snapshot.reachable if each.shows(snapshot.current))
    return next((each.journal.pushes for each in holders if each.journal.pushes), ())


def _note(snapshot: Snapshot, records: Sequence[Push]) -> tuple[Snapshot, list[str]]:
    """Note what was pushed in the first store that shows the token."""
    first = next((each for each in snapshot.reachable if each.shows(snapshot.current)), None)
    known = {push.mirror: push for push in (*_pushes_in(snapshot), *records)}

    def change(each: Observation) -> Journal:
        if first is None or each.store is not first.store or not each.shows(snapshot.current):
            return each.journal
        return replace(each.journal, pushes=tuple(known.values()))

    return snapshot.note(change)
