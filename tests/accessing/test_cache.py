"""What `rotator access-token --cache` keeps, where, and for how long."""

import json
import os
import stat
import tempfile
from pathlib import Path

import pytest

from rotator.cli.exec.runtime_folder import cache_folder
from tests.accessing.support import exchanges, folder, prepare, printed, warned
from tests.support.process import Runner
from tests.support.sandbox import Fault, Sandbox
from tests.support.waiting import PATIENCE


@pytest.fixture(autouse=True)
def _prepared(rotator: Runner) -> None:
    prepare(rotator)


def test_with_a_cache_one_exchange_serves_many_runs(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue())
    found = {printed(rotator, "--cache") for _ in range(3)}
    assert len(found) == exchanges(api) == 1
    assert printed(rotator, "--cache", "--header") == f"Authorization: Bearer {found.pop()}"


def test_the_cache_can_be_read_by_nobody_else(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue())
    printed(rotator, "--cache")
    (file,) = folder(rotator).iterdir()
    assert stat.S_IMODE(folder(rotator).stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_rotated_service_token_has_an_access_token_of_its_own(
    rotator: Runner, api: Sandbox
) -> None:
    rotator.write_env(api.issue())
    printed(rotator, "--cache")
    rotator.write_env(api.issue())
    printed(rotator, "--cache")
    assert exchanges(api) == 2


@pytest.mark.parametrize("changed", ["boot_id", "requested_at", "advisory_at", "all"])
def test_what_is_old_broken_or_of_another_boot_is_replaced(
    rotator: Runner, api: Sandbox, changed: str
) -> None:
    rotator.write_env(api.issue())
    printed(rotator, "--cache")
    (file,) = folder(rotator).iterdir()
    entry = json.loads(file.read_text())
    other = {
        "boot_id": "another",
        "requested_at": 1e12,
        "advisory_at": entry["requested_at"],
        "all": None,
    }
    file.write_text("[" if changed == "all" else json.dumps(entry | {changed: other[changed]}))
    for _ in range(2):
        printed(rotator, "--cache")
    assert exchanges(api) == 2
    assert len(list(folder(rotator).iterdir())) == 1


def test_a_token_is_kept_until_its_last_third_or_five_minutes(
    rotator: Runner, api: Sandbox
) -> None:
    rotator.write_env(api.issue())
    for life, fresh in ((900, 600), (90, 60), (1800, 1500)):
        lived = {"access_token": "a", "expires_in": life}
        api.misbehave(Fault.json_of(lived), "POST /auth/service-token/refresh")
        with rotator.started("access-token", "--cache") as running:
            assert running.process.wait(PATIENCE) == 0
            assert running.take_out() == "a\n"
        (file,) = folder(rotator).iterdir()
        entry = json.loads(file.read_text())
        assert entry["advisory_at"] - entry["requested_at"] == pytest.approx(fresh)
        file.unlink()


def test_leftovers_of_yesterday_are_removed(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue())
    folder(rotator).mkdir(mode=0o700)
    for name in ("old", "new"):
        (folder(rotator) / name).touch()
    os.utime(folder(rotator) / "old", (1, 1))
    printed(rotator, "--cache")
    names = {file.name for file in folder(rotator).iterdir()}
    assert len(names) == 2
    assert "old" not in names


def test_a_runtime_directory_that_hands_its_group_down_will_do(
    rotator: Runner, api: Sandbox
) -> None:
    rotator.write_env(api.issue())
    folder(rotator).parent.chmod(0o2770)  # as a volume of Kubernetes with an fsGroup
    for _ in range(2):
        printed(rotator, "--cache")
    assert exchanges(api) == 1
    assert stat.S_IMODE(folder(rotator).stat().st_mode) == 0o2700


@pytest.mark.parametrize("wrong", ["open to others", "a link", "a file"])
def test_a_folder_that_is_not_private_is_not_used(
    rotator: Runner, api: Sandbox, wrong: str
) -> None:
    rotator.write_env(api.issue())
    if wrong == "open to others":
        folder(rotator).mkdir()
        folder(rotator).chmod(0o750)
    elif wrong == "a link":
        (rotator.folder / "elsewhere").mkdir(mode=0o700)
        folder(rotator).symlink_to(rotator.folder / "elsewhere")
    else:
        folder(rotator).touch()
    line = warned(rotator)
    assert line.startswith(f"rotator: warning: the access token is not cached: {folder(rotator)}")
    assert list(rotator.folder.glob("elsewhere/*")) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_a_folder_of_somebody_else_is_not_used(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue())
    folder(rotator).mkdir(mode=0o700)
    os.chown(folder(rotator), 65534, 65534)
    assert f"{folder(rotator)} is not a folder of this user alone; remove it" in warned(rotator)
    assert list(folder(rotator).iterdir()) == []


def test_a_cache_that_cannot_be_written_is_told_and_stops_nobody(
    rotator: Runner, api: Sandbox
) -> None:
    rotator.write_env(api.issue())
    # Coverage would complain, too, that it cannot write.
    shell = "unset COVERAGE_PROCESS_CONFIG COVERAGE_PROCESS_START; ulimit -f 0"
    result = rotator.in_shell(f"{shell}; rotator access-token --cache | wc -l")
    assert result.out.strip() == "1"
    assert result.err == "rotator: warning: the access token is not cached: File too large\n"
    assert list(folder(rotator).iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_a_runtime_directory_of_somebody_else_is_passed_over(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    found = cache_folder({"XDG_RUNTIME_DIR": str(tmp_path)})
    assert tmp_path not in found.parents


def test_the_folder_is_in_the_first_runtime_directory_that_is_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    user = os.geteuid()
    usual = Path(f"/run/user/{user}")
    last = tmp_path / f"nocturna-rotator-{user}"
    without = usual / "nocturna-rotator" if usual.is_dir() else last
    named = cache_folder({"XDG_RUNTIME_DIR": str(tmp_path)})
    assert named == tmp_path / "nocturna-rotator"
    for unusable in ("", "relative", "/nowhere", "/proc/1" if user else "/nowhere"):
        assert cache_folder({"XDG_RUNTIME_DIR": unusable}) == without
