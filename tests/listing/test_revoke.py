"""`rotator tokens revoke`: by hand, and not from under a bot."""

import pytest

from rotator.cli.tokens import StillHeldError, revoke_token
from rotator.errors import ConfigError, NotFoundError
from tests.listing.desk import Desk
from tests.support.sandbox import Fault

INTENT = "# rotator: v=1 intent=0123456789ab/2026-11-20T00:00:00Z/90/01234567/{}\n"


def test_a_token_that_no_store_holds_is_revoked(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    held, orphan = desk.put(), desk.issue()
    assert revoke_token(desk.settings, orphan, force=False) == 0
    assert desk.live_ids == {held}
    assert capsys.readouterr().out.startswith(
        f"revoked {orphan}: it is no longer exchanged; as a bearer it works until its end (20"
    )


def test_an_eternal_one_is_said_to_work_for_ever(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    revoke_token(desk.settings, desk.issue(eternal=True), force=False)
    assert capsys.readouterr().out.endswith("as a bearer it works for ever\n")


def test_one_that_a_store_holds_is_not(desk: Desk) -> None:
    held = desk.put()
    with pytest.raises(StillHeldError, match=rf"luna: dotenv:\S+ still holds {held}"):
        revoke_token(desk.settings, held, force=False)
    assert desk.live_ids == {held}
    assert desk.api.calls == []


def test_one_that_a_store_may_hold_is_not(desk: Desk) -> None:
    orphan = desk.issue()
    desk.sol = "away/sol.env"
    with pytest.raises(StillHeldError, match="is not known whether"):
        revoke_token(desk.settings, orphan, force=False)
    assert desk.live_ids == {orphan}


def test_one_that_a_rotation_has_just_made_is_not(desk: Desk) -> None:
    made = desk.issue()
    desk.put(note=INTENT.format(made))
    with pytest.raises(StillHeldError, match="rotator rotate settles it"):
        revoke_token(desk.settings, made, force=False)
    assert made in desk.live_ids


def test_one_that_was_replaced_is_revoked(desk: Desk) -> None:
    old = desk.issue()
    desk.put(note=f"# rotator: v=1 previous={old}\n")
    assert revoke_token(desk.settings, old, force=False) == 0
    assert old not in desk.live_ids


def test_force_revokes_even_a_held_one_and_says_what_to_do(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    held = desk.put()
    desk.sol = "away/sol.env"
    assert revoke_token(desk.settings, held, force=True) == 0
    assert desk.live_ids == set()
    assert "rotator rotate luna renews it" in caplog.text


def test_an_unknown_id_is_told(desk: Desk) -> None:
    gone = desk.issue()
    desk.api.revoke(gone)
    for token_id in (gone, gone[:8]):
        with pytest.raises(NotFoundError, match=rf"lists no token {token_id}: it is revoked"):
            revoke_token(desk.settings, token_id, force=False)


def test_the_beginning_of_an_id_is_no_id(desk: Desk) -> None:
    orphan = desk.issue()
    with pytest.raises(NotFoundError):
        revoke_token(desk.settings, orphan[:12], force=False)
    assert desk.live_ids == {orphan}


@pytest.mark.parametrize("token_id", ["../users/1", "a b", "", "x" * 65, "ä"])
def test_what_can_be_no_id_goes_nowhere(desk: Desk, token_id: str) -> None:
    with pytest.raises(ConfigError, match="no token id"):
        revoke_token(desk.settings, token_id, force=False)
    assert desk.api.calls == []


def test_a_token_in_the_place_of_an_id_is_not_shown(desk: Desk) -> None:
    secret = desk.api.issue()
    with pytest.raises(ConfigError) as caught:
        revoke_token(desk.settings, secret, force=False)
    assert secret not in str(caught.value)


def test_one_that_somebody_else_revokes_at_that_moment_is_gone(desk: Desk) -> None:
    orphan = desk.issue()

    def revoke() -> None:
        desk.api.revoke(orphan)

    desk.api.misbehave(Fault.meanwhile(revoke, "before"), "DELETE /auth/admin/service-tokens/{id}")
    with pytest.raises(NotFoundError):
        revoke_token(desk.settings, orphan, force=False)
