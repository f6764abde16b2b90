"""Once all trouble is over, two runs have put everything right."""

from datetime import timedelta

from rotator.clock import minute
from rotator.embedded_api.state import ServiceTokenRow
from rotator.rotation.disuse import due_at
from rotator.rotation.model import OldTokenState
from rotator.rotation.policy import RotateOptions
from rotator.rotation.report import Report
from tests.stateful.rotator import Rotator
from tests.stateful.scene import Scene

PAUSE = timedelta(minutes=5)
# A token this young is left alone, even where somebody revoked it.
LONG_PAUSE = timedelta(minutes=65)
_LONGEST_QUIET = timedelta(hours=20, minutes=1)


def settle(scene: Scene, rotator: Rotator) -> None:
    """Let two runs put all right, and make sure that they did."""
    scene.wire.faults.clear()
    scene.wire.late.clear()
    rotator.suffer({})
    scene.clock.advance(LONG_PAUSE if _is_spoilt(scene) else PAUSE)
    rotator.run(RotateOptions())
    scene.clock.advance(PAUSE)
    _assert_settled(scene, rotator.run(RotateOptions()))
    if scene.disuse.is_wanted:
        scene.clock.advance(_LONGEST_QUIET)
        _assert_settled(scene, rotator.run(RotateOptions()))


def _is_spoilt(scene: Scene) -> bool:
    rows = [scene.history.row_of(place) for place in scene.places]
    return any(row.revoked for row in rows if row)


def _assert_settled(scene: Scene, reports: list[Report]) -> None:
    assert [report.error for report in reports] == [_rightly_told(scene, r) for r in reports]
    for token in scene.tokens:
        own = [place for place in scene.places if place.name == token.name]
        assert len({place.secret for place in own}) == 1, f"the stores of {token.name} differ"
        row = scene.history.row_of(own[0])
        assert row, f"{token.name} has {own[0].secret!r}"
        assert row.is_live(scene.clock()), f"{token.name} has a dead token"
    journals = [place.reading.journal for place in scene.places]
    assert not [intent for journal in journals for intent in journal.intents]
    for row in _live_elsewhere(scene):
        _assert_rightly_alive(scene, row)


def _rightly_told(scene: Scene, report: Report) -> str | None:
    """Return what has to be told.

    Somebody put an old token back, or gave it to another bot; or it is still used after `at_most`.
    """
    tokens = (place.reading.token for place in scene.places)
    in_use = {token.token_id for token in tokens if token}
    told = [
        f"the old token {old.token_id} is not revoked yet: {old.message}"
        for old in report.old_tokens
        if old.state is OldTokenState.WAITING and old.message and old.token_id in in_use
    ]
    told += [
        f"the old token {old.token_id} was revoked at the end of the most time that it may have,"
        f" though it was last used {minute(old.last_used_at)}: restart a bot that fails now"
        for old in report.old_tokens
        if old.state is OldTokenState.REVOKED
        and old.at_most
        and old.last_used_at
        and scene.clock() - old.last_used_at < timedelta(hours=1)  # the only bounded one's quiet
    ]
    told += [
        f"the old token {old.token_id} is still in use, and is revoked at {minute(old.at_most)}"
        f" all the same: {old.message}"
        for old in report.old_tokens
        if old.is_in_use and old.at_most  # always near: the only bounded one has six hours
    ]
    return "; ".join(told) or None


def _live_elsewhere(scene: Scene) -> list[ServiceTokenRow]:
    held = {place.secret for place in scene.places}
    minted = {mint.token_id for mint in scene.wire.mints}
    return [
        row
        for row in scene.wire.state.rows
        if row.is_live(scene.clock())
        and row.secret not in held
        and row.id in minted | scene.history.stood.keys()
    ]


def _assert_rightly_alive(scene: Scene, row: ServiceTokenRow) -> None:
    name = scene.history.stood.get(row.id)
    assert name, f"{row.id} was minted and is nowhere"
    (grace,) = [token.retire for token in scene.tokens if token.name == name]
    if grace is None or name in scene.history.edited:
        return
    pending = [
        due_at(pending, pending.disuse) if pending.disuse else pending.due_at
        for place in scene.places
        if place.name == name
        for pending in place.reading.journal.pending
        if pending.token_id == row.id
    ]
    assert pending, f"{row.id} was replaced, and nobody is going to revoke it"
    assert max(pending) > scene.clock(), f"{row.id} was to be revoked and was not"
