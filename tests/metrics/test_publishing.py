"""A run and its metrics: in this process first, and as a user starts it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rotator.metrics.definitions import PREFIX, Samples, Series
from rotator.metrics.exposition import parse_samples
from rotator.metrics.outlets import Outlets
from rotator.metrics.publish import publish
from rotator.rotation.model import Action
from rotator.rotation.policy import Status
from rotator.rotation.report import Report
from tests.metrics.pushgateway import pushgateway
from tests.support.clock import NOON, FakeClock
from tests.support.process import Runner
from tests.support.sandbox import Fault, Sandbox
from tests.support.world import LOGIN

FAILING = f"{PREFIX}failing"
SUCCESS = f"{PREFIX}last_success_timestamp_seconds"
WITHOUT_THE_PACKAGE = """
import sys
sys.modules["prometheus_client"] = None
from rotator.__main__ import main
sys.exit(main())
"""


@pytest.fixture
def file(rotator: Runner) -> Path:
    return rotator.folder / "rotator.prom"


def read(file: Path) -> Samples:
    return parse_samples(file.read_text())


def fleet(rotator: Runner, api: Sandbox, **days: int) -> None:
    lines = ""
    for name, left in days.items():
        (rotator.folder / f"{name}.env").write_text(f"NOCTURNA_SERVICE_TOKEN={api.issue(left)}\n")
        (rotator.folder / f"{name}.env").chmod(0o600)
        lines += f'[[token]]\nname = "{name}"\nstores = ["dotenv:{name}.env"]\n'
    (rotator.folder / "rotator.toml").write_text(lines)
    rotator.env.pop("ROTATOR_STORE", None)


def test_a_token_that_a_signal_kept_from_its_turn_was_not_attempted(
    tmp_path: Path, clock: FakeClock
) -> None:
    reports = [
        Report("luna", Status.OK, "ok", "fine", Action.KEPT),
        Report("sol", Status.UNKNOWN, "stopped", "…", Action.FAILED, error="…", failure="stopped"),
    ]
    outlets = Outlets(textfile=tmp_path / "rotator.prom")
    publish(outlets, reports, {"luna": (NOON, NOON)}, {"luna": {}, "sol": {}}, clock)
    assert {series.token for series in read(tmp_path / "rotator.prom")} == {"luna"}


def test_both_ways_out_tell_of_successes_and_failures(
    rotator: Runner, api: Sandbox, file: Path
) -> None:
    fleet(rotator, api, luna=3, sol=60)
    with pushgateway() as gateway:
        options = ("--metrics-textfile", str(file), "--metrics-push", gateway.url)
        result = rotator("rotate", *options)
        assert (result.status, result.err) == (0, "")
        succeeded = read(file)[Series(SUCCESS, "luna")]
        (rotator.folder / "luna.env").unlink()
        api.misbehave(Fault.refusal(403), "POST /auth/admin/service-tokens")
        assert rotator("rotate", *options, "luna").status == 1
        assert gateway.number("luna", SUCCESS) == succeeded
        assert (gateway.number("luna", FAILING), gateway.number("sol", FAILING)) == (1, 0)
    numbers = read(file)
    assert numbers[Series(SUCCESS, "luna")] == succeeded
    assert numbers[Series(f"{PREFIX}rotations", "luna", "expiring")] == 1
    assert numbers[Series(f"{PREFIX}failures", "luna", "not-admin")] == 1
    assert numbers[Series(f"{PREFIX}token_working", "luna")] == 0
    assert numbers[Series(FAILING, "sol")] == 0


def test_metrics_that_come_to_nothing_are_a_warning_and_no_failure(rotator: Runner) -> None:
    options = ("--metrics-textfile", "nowhere/rotator.prom")
    result = rotator("rotate", *options, "--metrics-push", "http://127.0.0.1:1")
    assert result.status == 0
    assert result.err == (
        "rotator: warning: nowhere/rotator.prom: the metrics were not written (No such file or"
        " directory); check the folder's rights and space\n"
        "rotator: warning: http://127.0.0.1:1: the metrics were not pushed: nothing answers there;"
        " check the URL\n"
    )


def test_a_dry_run_writes_none(rotator: Runner, api: Sandbox, file: Path) -> None:
    rotator.write_env(api.issue(days=3))
    with pushgateway() as gateway:
        options = ("--metrics-textfile", str(file), "--metrics-push", gateway.url)
        assert rotator("rotate", "--dry-run", *options).status == 0
        assert (file.exists(), gateway.groups) == (False, {})


@pytest.mark.parametrize(
    "option", [("--metrics-textfile", "a.prom"), ("--metrics-push", "http://127.0.0.1:1")]
)
def test_without_the_package_nothing_is_done(
    rotator: Runner, api: Sandbox, option: tuple[str, str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_PACKAGE, "rotate", *option],
        cwd=rotator.folder,
        env={**os.environ, **rotator.env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"rotator: {option[0]}: metrics need the package prometheus-client: pip install"
        " 'nocturna-rotator[metrics]'\n"
    )
    assert LOGIN not in api.calls
    assert not rotator.env_file.exists()


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--metrics-textfile", "/var/lib/rotator.txt", "expected a file *.prom"),
        ("--metrics-push", "http://ops:hunter2@gateway:9091", "expected https"),
    ],
)
def test_a_wrong_value_is_one_line(rotator: Runner, option: str, value: str, told: str) -> None:
    result = rotator("rotate", option, value)
    assert result.status == 2
    assert told in result.err
    assert result.err.count("\n") == 1
    assert "hunter2" not in result.err
