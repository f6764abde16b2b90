"""A store of somebody else, who has nothing but our wheel."""

import json
from pathlib import Path

from rotator.tokens import ServiceToken
from tests.door.programs import Fresh, Program
from tests.support.sandbox import Sandbox


def test_only_what_was_installed_from_wheels_is_found(fresh: Fresh) -> None:
    for module in ("rotator", "backends", "rotator_shelf"):
        path = fresh.asked(f"import {module}; print({module}.__file__)")
        assert Path(path).is_relative_to(fresh.site)


def test_a_token_is_rotated_into_the_store_of_another_package(
    installed: Program, api: Sandbox
) -> None:
    shelf = installed.folder / "shelf.json"
    old = api.issue(days=3)
    shelf.write_text(json.dumps({"luna": [old, ""], "other": ["kept", ""]}))
    installed.env["ROTATOR_STORE"] = "shelf:shelf.json#luna"
    assert installed("check").status == 1
    result = installed("rotate", "--json")
    assert (result.status, result.err) == (0, "")
    kept = json.loads(shelf.read_text())
    new, journal = kept["luna"]
    (report,) = result.json
    assert report["action"] == "rotated"
    assert report["stores"][0]["store"] == f"shelf:{shelf.resolve()}#luna"
    assert report["token_id"] == ServiceToken.parse(new).token_id
    assert f"token={report['token_id']}" in journal
    assert api.accepts(new)
    assert kept["other"] == ["kept", ""]
    assert installed("check").status == 0


def test_a_token_stands_in_our_store_and_theirs(installed: Program, api: Sandbox) -> None:
    installed.write_env(api.issue(days=3))
    installed.env["ROTATOR_STORE"] = "dotenv:.env shelf:shelf.json"
    assert installed("rotate").status == 0
    [new, _] = json.loads((installed.folder / "shelf.json").read_text())["NOCTURNA_SERVICE_TOKEN"]
    assert f"NOCTURNA_SERVICE_TOKEN={new}\n" in installed.env_file.read_text()


def test_a_store_without_a_scratch_place_says_that_it_cannot_be_rehearsed(
    installed: Program, api: Sandbox
) -> None:
    installed.env["ROTATOR_STORE"] = "shelf:shelf.json#luna"
    result = installed("rehearse")
    assert (result.status, result.out) == (1, "")
    assert ": cannot be rehearsed: it has no scratch place; " in result.err
    assert api.tokens == []


def test_what_the_backend_says_of_a_url_is_told_with_its_token(installed: Program) -> None:
    result = installed("check", ROTATOR_STORE="shelf://host/shelf.json")
    assert result.status == 3
    assert result.err == (
        "rotator: environment: ROTATOR_STORE: a shelf: store is a file, as in"
        " shelf:shelf.json#KEY\n"
    )
