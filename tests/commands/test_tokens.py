"""`rotator tokens` as processes: list what is there, and revoke one of them."""

import sys
import uuid

import pytest

from rotator.nocturna.api import LIST
from tests.support.process import Runner
from tests.support.sandbox import Fault, Sandbox

MOST = 200  # MB, of the 256 that the chart grants
# Runs a command, and tells the largest amount of memory that it had (KiB).
MEASURE = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL);"
    " print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)


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


@pytest.mark.long
@pytest.mark.parametrize("command", ["tokens list --json", "rotate"])
def test_the_longest_list_that_is_read_fits_into_a_small_container(
    rotator: Runner, api: Sandbox, command: str
) -> None:
    row = {
        "user_id": str(uuid.uuid4()),
        "created_at": "2026-01-01T00:00:00",
        "expires_at": "2026-02-01T00:00:00",
    }
    rows = [{"id": str(uuid.UUID(int=number)), **row} for number in range(LIST.largest // 175)]
    api.misbehave(Fault.json_of(rows), "GET /auth/admin/service-tokens", times=None)
    api.misbehave(Fault.reset_after(), "POST /auth/admin/service-tokens", times=None)
    names = [f"bot{number}" for number in range(8)]
    for name in names:
        (rotator.folder / f"{name}.env").write_text(f"NOCTURNA_SERVICE_TOKEN={api.issue(3)}\n")
    fleet = (f'[[token]]\nname = "{name}"\nstores = ["dotenv:{name}.env"]\n' for name in names)
    (rotator.folder / "rotator.toml").write_text("".join(fleet))
    del rotator.env["ROTATOR_STORE"]
    told = rotator.in_shell(f"{sys.executable} -c '{MEASURE}' rotator {command}")
    assert "the API's answer" not in told.err
    assert int(told.out) < MOST * 1000
    assert ("GET", "/auth/admin/service-tokens", 200) in api.calls
