"""Settings that are wrong, or will not do; none hides the others."""

from pathlib import Path

import pytest

from rotator.errors import ConfigError
from tests.doctor.clinic import Clinic, bad, message


@pytest.fixture(autouse=True)
def _healthy(clinic: Clinic) -> None:
    clinic.put(clinic.api.issue(60))


def program(path: Path, mode: int = 0o755) -> Path:
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


def test_everything_that_a_login_lacks_is_told(clinic: Clinic) -> None:
    clinic.variables = {"NOCTURNA_ADMIN_PASSWORD_FILE": "./gone"}
    clinic.variables["NOCTURNA_ADMIN_EMAIL_FILE"] = "./away"
    found = clinic.examine()
    assert bad(found) == [("settings", "problem")] * 2
    told = " ".join(finding.message for finding in found)
    assert "gone: No such file" in told
    assert "away: No such file" in told
    assert "http" in told  # the API was reached all the same


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o640, 0o600])
def test_a_password_that_everybody_may_read_is_a_warning(clinic: Clinic, mode: int) -> None:
    password = clinic.folder / "password"
    password.write_text(clinic.variables.pop("NOCTURNA_ADMIN_PASSWORD"))
    password.chmod(mode)
    clinic.variables["NOCTURNA_ADMIN_PASSWORD_FILE"] = "password"
    found = clinic.examine()
    if mode & 0o007:
        assert bad(found) == [("settings", "warning")]
        assert message(found) == (
            f"environment: NOCTURNA_ADMIN_PASSWORD_FILE: every user of this machine may read"
            f" {password}: take that right away (chmod o-r), or mount it with the mode 0400"
        )
    else:
        assert bad(found) == []
    assert "login" in {finding.topic for finding in found}


def test_a_store_url_that_is_wrong_hides_no_other_token(clinic: Clinic) -> None:
    clinic.put(clinic.api.issue(-1), "sol.env")
    stores = {"luna": 'stores = ["dotenb:luna.env"]', "sol": 'stores = ["dotenv:sol.env"]'}
    found = clinic.examine(tokens=stores)
    assert bad(found) == [("settings", "problem"), ("token", "problem")]
    assert "no installed package serves dotenb: stores" in found[0].message


def test_a_store_that_is_used_twice_is_told(clinic: Clinic) -> None:
    stores = {"luna": 'stores = ["dotenv:luna.env"]', "sol": 'stores = ["dotenv:luna.env"]'}
    found = clinic.examine(tokens=stores)
    assert "a second time" in found[0].message
    assert ("settings", "problem") in bad(found)


def test_an_unknown_name_is_no_finding(clinic: Clinic) -> None:
    with pytest.raises(ConfigError, match="there is no token"):
        clinic.examine("sun")


def test_only_the_named_tokens_are_looked_at(clinic: Clinic) -> None:
    clinic.api.issue(60)
    stores = {"luna": 'stores = ["dotenv:luna.env"]', "sol": 'stores = ["dotenv:no/sol.env"]'}
    found = clinic.examine("luna", tokens=stores)
    assert {finding.token for finding in found} == {None, "luna"}
    assert bad(found) == []
    assert "orphans" not in {finding.topic for finding in found}


@pytest.mark.parametrize("days", ["1h", "6h", "17h"])
def test_a_margin_of_few_attempts_is_a_warning(clinic: Clinic, days: str) -> None:
    found = clinic.examine(toml=f'renew_before = "{days}"')
    assert bad(found) == [("settings", "warning")]
    assert "with four runs a day" in message(found)


def test_hooks_that_are_there_are_fine(clinic: Clinic) -> None:
    program(clinic.folder / "tell")
    found = clinic.examine(toml='hooks = [["true"], ["./tell", "x"]]')
    assert bad(found) == []
    assert "hooks" in {finding.topic for finding in found}


@pytest.mark.parametrize("hook", ["no-such-program", "./gone", "./plain", "./folder"])
def test_a_hook_that_could_not_be_started_is_a_problem(clinic: Clinic, hook: str) -> None:
    program(clinic.folder / "plain", 0o644)
    (clinic.folder / "folder").mkdir()
    found = clinic.examine(toml=f'hooks = [["true"], ["{hook}"]]')
    assert bad(found) == [("hooks", "problem")]
    assert message(found).startswith("hook 2 (")


def test_a_hook_is_searched_in_the_path_that_it_will_have(clinic: Clinic) -> None:
    program(clinic.folder / "tell")
    hooks = 'hooks = [["tell"]]'
    assert bad(clinic.examine(toml=hooks, environ={"PATH": str(clinic.folder)})) == []
    assert bad(clinic.examine(toml=hooks, environ={"PATH": "/nowhere"})) == [("hooks", "problem")]


def test_a_token_in_the_arguments_of_a_hook_is_not_shown(clinic: Clinic) -> None:
    secret = clinic.api.issue()
    found = clinic.examine(toml=f'hooks = [["{secret}", "{secret}"]]')
    assert bad(found)[0] == ("hooks", "problem")
    assert not any(secret in finding.message for finding in found)
