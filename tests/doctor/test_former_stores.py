"""What the doctor says of stores that a token was moved away from."""

from datetime import timedelta

import pytest

from tests.doctor.clinic import Clinic, bad, message
from tests.support.process import Runner
from tests.support.sandbox import Sandbox

CONFIG = '[[token]]\nname = "luna"\nstores = [{}]\n'
LEFT = "dotenv://{}/old.env#NOCTURNA_SERVICE_TOKEN"
NOTE = "# rotator: v=1 token={} minted=2026-11-22T12:00:00Z store={}\n"


def configure(rotator: Runner, *files: str) -> None:
    text = ", ".join(f'"dotenv:{each}"' for each in files)
    (rotator.folder / "rotator.toml").write_text(CONFIG.format(text))
    rotator.env.pop("ROTATOR_STORE", None)


def warnings(rotator: Runner) -> list[str]:
    found = rotator("doctor", "--json").json
    return [
        each["message"] for each in found if each["check"] == "store" and each["status"] != "ok"
    ]


def test_a_store_that_a_token_was_moved_from_is_found_until_it_is_empty(
    rotator: Runner, api: Sandbox
) -> None:
    old = rotator.folder / "old.env"
    old.write_text(f"NOCTURNA_SERVICE_TOKEN={api.issue(days=60)}\n")
    old.chmod(0o600)
    moved = api.tokens[-1].id
    configure(rotator, "old.env", "new.env")
    assert rotator("rotate").status == 0
    assert warnings(rotator) == []
    configure(rotator, "new.env")
    (told,) = warnings(rotator)
    assert told.startswith(LEFT.format(rotator.folder.resolve()))
    assert moved in told
    assert rotator("rotate", "--force").status == 0  # and the journal is another one
    (told,) = warnings(rotator)
    assert moved in told
    old.unlink()
    assert warnings(rotator) == []


@pytest.fixture
def moved(clinic: Clinic) -> Clinic:
    """A token in luna.env, whose journal says that old.env holds it, too."""
    secret = clinic.api.issue(60)
    clinic.put(secret, "old.env")
    clinic.put(secret, note=note(clinic, "-/dotenv://{}/old.env@23NOCTURNA_SERVICE_TOKEN"))
    return clinic


def note(clinic: Clinic, word: str) -> str:
    return NOTE.format(clinic.api.tokens[-1].id, word.format(clinic.folder.resolve()))


def test_it_is_a_warning(moved: Clinic) -> None:
    found = moved.examine()
    assert bad(found) == [("store", "warning")]
    assert message(found).startswith(LEFT.format(moved.folder.resolve()))


def test_one_that_another_token_of_the_config_has_is_none(moved: Clinic) -> None:
    tokens = {"luna": 'stores = ["dotenv:luna.env"]', "sol": 'stores = ["dotenv:old.env"]'}
    assert ("store", "warning") not in bad(moved.examine(tokens=tokens))


def test_one_that_holds_another_token_is_none(moved: Clinic) -> None:
    moved.put(moved.api.issue(50), "old.env")
    assert ("store", "warning") not in bad(moved.examine())


def test_one_whose_token_has_ended_is_none(moved: Clinic) -> None:
    end = moved.clock() - timedelta(days=1)
    word = f"{end:%Y-%m-%dT%H:%M:%SZ}/dotenv://{{}}/old.env@23NOCTURNA_SERVICE_TOKEN"
    path = moved.folder / "luna.env"
    secret = path.read_text().partition("NOCTURNA_SERVICE_TOKEN=")[2].strip()
    moved.put(secret, note=note(moved, word))
    assert bad(moved.examine()) == []


def test_no_program_is_run_because_a_journal_names_it(moved: Clinic) -> None:
    ran = moved.folder / "ran"
    program = moved.folder / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o700)
    secret = (moved.folder / "old.env").read_text().partition("=")[2].strip()
    moved.put(secret, note=note(moved, f"-/command:{program}@23NOCTURNA_SERVICE_TOKEN"))
    assert bad(moved.examine()) == []
    assert not ran.exists()
