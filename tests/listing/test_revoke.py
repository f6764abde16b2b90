"""`rotator tokens revoke`: by hand, and not from under a bot."""

import pytest

from rotator.cli.tokens.revocation import StillHeldError, revoke_tokens
from rotator.errors import ConfigError
from tests.listing.desk import Desk
from tests.support.sandbox import Fault

INTENT = "# rotator: v=1 intent=0123456789ab/2026-11-20T00:00:00Z/90/01234567/{}\n"


def test_a_token_that_no_store_holds_is_revoked(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    held, orphan = desk.put(), desk.issue()
    assert revoke_tokens(desk.settings, [orphan], force=False) == 0
    assert desk.live_ids == {held}
    assert capsys.readouterr().out.startswith(
        f"revoked {orphan}: it is no longer exchanged; as a bearer it works until its end (20"
    )


def test_an_eternal_one_is_said_to_work_for_ever(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    revoke_tokens(desk.settings, [desk.issue(eternal=True)], force=False)
    assert capsys.readouterr().out.endswith("as a bearer it works for ever\n")


def test_one_that_a_store_holds_is_not(desk: Desk) -> None:
    held = desk.put()
    with pytest.raises(StillHeldError, match=rf"luna: dotenv:\S+ still holds {held}"):
        revoke_tokens(desk.settings, [held], force=False)
    assert desk.live_ids == {held}
    assert desk.api.calls == []


def test_one_that_a_store_may_hold_is_not(desk: Desk) -> None:
    orphan = desk.issue()
    desk.sol = "away/sol.env"
    with pytest.raises(StillHeldError, match="is not known whether"):
        revoke_tokens(desk.settings, [orphan], force=False)
    assert desk.live_ids == {orphan}


def test_one_that_a_rotation_has_just_made_is_not(desk: Desk) -> None:
    made = desk.issue()
    desk.put(note=INTENT.format(made))
    with pytest.raises(StillHeldError, match="rotator rotate settles it"):
        revoke_tokens(desk.settings, [made], force=False)
    assert made in desk.live_ids


def test_one_that_was_replaced_is_revoked(desk: Desk) -> None:
    old = desk.issue()
    desk.put(note=f"# rotator: v=1 previous={old}\n")
    assert revoke_tokens(desk.settings, [old], force=False) == 0
    assert old not in desk.live_ids


def test_force_revokes_even_a_held_one_and_says_what_to_do(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    held = desk.put()
    desk.sol = "away/sol.env"
    assert revoke_tokens(desk.settings, [held], force=True) == 0
    assert desk.live_ids == set()
    assert "rotator rotate luna renews it" in caplog.text


def test_an_unknown_id_is_told_and_keeps_no_other_from_being_revoked(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    gone, orphan = desk.issue(), desk.issue()
    desk.api.revoke(gone)
    assert revoke_tokens(desk.settings, [gone, gone[:8], orphan], force=False) == 1
    for token_id in (gone, gone[:8]):
        assert f"lists no token {token_id}: it is revoked already" in caplog.text
    assert desk.live_ids == set()


def test_the_beginning_of_an_id_is_no_id(desk: Desk) -> None:
    orphan = desk.issue()
    assert revoke_tokens(desk.settings, [orphan[:12]], force=False) == 1
    assert desk.live_ids == {orphan}


def test_many_are_revoked_with_one_login(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    orphans = [desk.issue() for _ in range(5)]
    assert revoke_tokens(desk.settings, [*orphans, orphans[0]], force=False) == 0
    told = [line.split()[1].rstrip(":") for line in capsys.readouterr().out.splitlines()]
    assert told == orphans
    assert desk.live_ids == set()
    assert [path for _, path, _ in desk.api.calls].count("/auth/login") == 1


def test_one_that_a_store_holds_keeps_all_from_being_revoked(desk: Desk) -> None:
    orphan, held = desk.issue(), desk.put()
    with pytest.raises(StillHeldError):
        revoke_tokens(desk.settings, [orphan, held], force=False)
    with pytest.raises(ConfigError):
        revoke_tokens(desk.settings, [orphan, "a b"], force=False)
    assert desk.live_ids == {orphan, held}


@pytest.mark.parametrize("token_id", ["../users/1", "a b", "", "x" * 65, "ä"])
def test_what_can_be_no_id_goes_nowhere(desk: Desk, token_id: str) -> None:
    with pytest.raises(ConfigError, match="no token id"):
        revoke_tokens(desk.settings, [token_id], force=False)
    assert desk.api.calls == []


def test_a_token_in_the_place_of_an_id_is_not_shown(desk: Desk) -> None:
    secret = desk.api.issue()
    with pytest.raises(ConfigError) as caught:
        revoke_tokens(desk.settings, [secret], force=False)
    assert secret not in str(caught.value)


def test_one_that_somebody_else_revokes_at_that_moment_is_gone(desk: Desk) -> None:
    orphan = desk.issue()

    def revoke() -> None:
        desk.api.revoke(orphan)

    desk.api.misbehave(Fault.meanwhile(revoke, "before"), "DELETE /auth/admin/service-tokens/{id}")
    assert revoke_tokens(desk.settings, [orphan], force=False) == 1
