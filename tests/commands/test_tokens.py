"""`rotator tokens` as processes: list what is there, and revoke one of them."""

from tests.support.process import Runner
from tests.support.sandbox import Sandbox


def test_an_orphan_is_found_and_revoked(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(60))
    api.issue(90)
    listed = rotator("tokens", "list", "--json")
    assert (listed.status, listed.err) == (0, "")
    held, orphan = (row["token_id"] for row in listed.json)
    assert [row["status"] for row in listed.json] == ["held", "orphan"]
    refused = rotator("tokens", "revoke", held)
    assert (refused.status, refused.out, refused.err.count("\n")) == (1, "", 1)
    assert "still holds" in refused.err
    done = rotator("tokens", "revoke", orphan)
    assert (done.status, done.err) == (0, "")
    assert [row.id for row in api.live_tokens()] == [held]


def test_a_missing_id_is_a_wrong_call(rotator: Runner) -> None:
    result = rotator("tokens", "revoke")
    assert result.status == 2
    assert result.err.endswith("see rotator tokens revoke --help\n")
