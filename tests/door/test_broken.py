"""A backend that is broken stops the tokens that use it, and no others."""

import pytest

from tests.door.programs import UNTOLD, Program
from tests.support.sandbox import Sandbox

UPDATE = "update, repair or uninstall it"
BROKEN = {
    "rusty": (
        "the package rotator-rusty, which serves rusty: stores, cannot be loaded"
        f" (ModuleNotFoundError: no_such_module): {UPDATE}"
    ),
    "bare": (
        "bare: stores need the module no_such_sdk, which is not installed:"
        " pip install 'rotator-bare[sdk-client]'"
    ),
    "rude": (
        f"the package rotator-rude, which serves rude: stores, cannot be loaded (SystemExit):"
        f" {UPDATE}"
    ),
    "hasty": (
        "the package rotator-hasty, which serves hasty: stores, cannot open this one (KeyError):"
        f" {UPDATE}"
    ),
    "empty": (
        "the package rotator-empty, which serves empty: stores, cannot open this one"
        f" (AttributeError): {UPDATE}"
    ),
}


def line(scheme: str, more: str = "") -> str:
    return f"rotator: error: {scheme}: {scheme}:a.json#KEY: {BROKEN[scheme]}{more}\n"


@pytest.fixture
def beside(installed: Program, api: Sandbox) -> Program:
    """A good token that is due beside one for each kind of broken backend."""
    installed.write_env(api.issue(days=3))
    stores = {"good": "dotenv:.env"} | {scheme: f"{scheme}:a.json#KEY" for scheme in BROKEN}
    tables = [f'[[token]]\nname = "{name}"\nstores = ["{url}"]\n' for name, url in stores.items()]
    (installed.folder / "rotator.toml").write_text("".join(tables))
    del installed.env["ROTATOR_STORE"]
    return installed


def test_the_other_tokens_are_rotated(beside: Program) -> None:
    result = beside("rotate")
    assert result.status == 1
    assert result.out.startswith("good: rotated (expiring) – new token ")
    assert result.err == "".join(line(scheme, UNTOLD) for scheme in BROKEN)


@pytest.mark.sample(2)
@pytest.mark.parametrize("scheme", BROKEN)
def test_nothing_can_be_told_of_its_own_tokens(beside: Program, scheme: str) -> None:
    result = beside("check", "--json", scheme)
    assert (result.status, result.err) == (3, line(scheme))
    (report,) = result.json
    assert (report["status"], report["stores"][0]["status"]) == ("unknown", "unreachable")


def test_the_other_tokens_are_checked(beside: Program) -> None:
    result = beside("check", "good")
    assert (result.status, result.err) == (1, "")
    assert result.out.startswith("good: due")
    assert beside("check").status == 3


def test_a_token_with_one_broken_store_is_rotated_in_the_other_one(
    installed: Program, api: Sandbox
) -> None:
    installed.write_env(api.issue(days=3))
    installed.env["ROTATOR_STORE"] = "rusty:a.json#KEY dotenv:.env"
    result = installed("rotate")
    assert result.status == 1
    assert result.out.startswith("default: rotated")
    assert result.err == f"rotator: warning: default: rusty:a.json#KEY: {BROKEN['rusty']}\n"


def test_a_broken_store_that_is_used_twice_is_a_mistake_all_the_same(installed: Program) -> None:
    result = installed("rotate", ROTATOR_STORE="rusty:a.json rusty:a.json")
    assert result.status == 2
    assert "found rusty:a.json a second time" in result.err
