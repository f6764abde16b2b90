"""Eight tokens in eight fields of one secret, rotated side by side in one run."""

import json
from contextlib import ExitStack

import pytest

from tests.backends.kinds import Site
from tests.support.process import Runner
from tests.support.sandbox import Sandbox
from tests.support.world import MINT

MANY = 8


def configure(rotator: Runner, api: Sandbox, store_url: str) -> None:
    rotator.use(api)
    del rotator.env["ROTATOR_STORE"]
    secret = store_url.partition("#")[0]
    tokens = [
        f'[[token]]\nname = "bot-{number}"\nstores = [{json.dumps(f"{secret}#TOKEN_{number}")}]\n'
        for number in range(MANY)
    ]
    (rotator.folder / "rotator.toml").write_text('[defaults]\nretire = "now"\n' + "".join(tokens))


def assert_each_run_renews_all(rotator: Runner, api: Sandbox, *, rounds: int) -> None:
    for number in range(rounds):
        result = rotator("rotate", "--force", "--json")
        assert [each["error"] for each in result.json] == [None] * MANY
        assert [each["action"] for each in result.json] == ["rotated"] * MANY
        assert (result.status, api.calls.count(MINT)) == (0, MANY * (number + 1))
        checked = rotator("check", "--json").json
        assert [each["message"] for each in checked if each["status"] != "ok"] == []
        stored = {each["token_id"] for each in checked}
        assert stored == {row.id for row in api.live_tokens()}
        assert len(stored) == MANY


@pytest.mark.parametrize(
    "site", ["vault", "kubernetes", pytest.param("aws", marks=pytest.mark.long)], indirect=True
)
def test_no_field_of_one_secret_is_in_the_way_of_another(
    site: Site, rotator: Runner, api: Sandbox, *, long: bool
) -> None:
    configure(rotator, api, site.store_url)
    rotator.env |= site.variables(site.upstream)
    assert_each_run_renews_all(rotator, api, rounds=5 if long else 1)


def test_no_variable_of_one_file_is_in_the_way_of_another(
    rotator: Runner, api: Sandbox, *, long: bool
) -> None:
    configure(rotator, api, "dotenv:.env")
    assert_each_run_renews_all(rotator, api, rounds=5 if long else 1)


@pytest.mark.long
def test_nor_is_a_rotator_of_one_field_in_the_way_of_a_rotator_of_another(
    site: Site, rotator: Runner, api: Sandbox
) -> None:
    configure(rotator, api, site.store_url)
    rotator.env |= site.variables(site.upstream)
    for number in range(2):
        with ExitStack() as stack:
            rivals = [
                stack.enter_context(rotator.started("rotate", "--force", f"bot-{bot}"))
                for bot in range(MANY)
            ]
            assert [rival.result().status for rival in rivals] == [0] * MANY
        assert api.calls.count(MINT) == MANY * (number + 1)
