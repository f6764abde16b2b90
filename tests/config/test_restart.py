"""The key `restart`, and the door through which comes what restarts workloads."""

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.errors import ConfigError
from rotator.hooks.restarts import Restarts
from rotator.wiring import requirements
from tests.config.support import load, mistake
from tests.config.test_registry import install
from tests.support.process import Runner
from tests.support.sandbox import Sandbox

TOKEN = '[[token]]\nname = "luna"\nstores = ["dotenv:.env"]\n'
IN_TOKEN = 'rotator.toml: [[token]] "luna" restart: '
EXPECTED = (
    "expected a list of workloads, each as [NAMESPACE/]KIND/NAME with the kind deployment,"
    ' statefulset or daemonset, such as ["deployment/luna-bot", "bots/statefulset/sol-bot"]'
)
MISSING = (
    f"{IN_TOKEN}restarts need the module yaml, which is not installed:"
    " pip install 'nocturna-rotator[kubernetes]'"
)
WITHOUT_SDK = """
import sys
sys.modules["yaml"] = None
from rotator.__main__ import main
sys.exit(main())
"""


def test_workloads_are_taken_as_they_are(tmp_path: Path) -> None:
    wanted = ("deployment/luna-bot", "bots/statefulset/a.b-1", "1/daemonset/" + "x" * 253)
    toml = TOKEN + f"restart = {list(wanted)}"
    assert load(tmp_path, toml).tokens[0].restart == wanted


def test_a_token_takes_the_defaults_or_has_its_own_or_none(tmp_path: Path) -> None:
    other = TOKEN.replace("luna", "sol") + 'restart = ["deployment/sol"]\n'
    third = TOKEN.replace("luna", "mars") + "restart = []\n"
    toml = f'[defaults]\nrestart = ["deployment/all"]\n{TOKEN}{other}{third}'
    assert [token.restart for token in load(tmp_path, toml).tokens] == [
        ("deployment/all",),
        ("deployment/sol",),
        (),
    ]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ('"deployment/luna-bot"', "a text"),
        ("5", "a number"),
        ("[5]", "a number as workload 1"),
        ('["deployment/luna", ["deployment/sol"]]', "a list as workload 2"),
        ('["Deployment/luna"]', '"Deployment/luna" as workload 1'),
        ('["deployments/luna"]', '"deployments/luna" as workload 1'),
        ('["deploy/luna"]', '"deploy/luna" as workload 1'),
        ('["pod/luna"]', '"pod/luna" as workload 1'),
        ('["luna"]', '"luna" as workload 1'),
        ('[""]', '"" as workload 1'),
        ('["deployment/"]', '"deployment/" as workload 1'),
        ('["/deployment/luna"]', '"/deployment/luna" as workload 1'),
        ('["bots/luna"]', '"bots/luna" as workload 1'),
        ('["bots/deployment/luna/x"]', '"bots/deployment/luna/x" as workload 1'),
        ('["Bots/deployment/luna"]', '"Bots/deployment/luna" as workload 1'),
        ('["deployment/luna_bot"]', '"deployment/luna_bot" as workload 1'),
        ('["deployment/-luna"]', '"deployment/-luna" as workload 1'),
        ('["deployment/luna\\n"]', '"deployment/luna\\n" as workload 1'),
        ('["deployment/../luna"]', '"deployment/../luna" as workload 1'),
        ('["eyJhbGciOiJIUzI1NiJ9.eyJ9.c2ln"]', '"<token>" as workload 1'),
    ],
)
def test_what_is_no_workload_is_a_mistake_that_shows_the_form(
    tmp_path: Path, value: str, found: str
) -> None:
    told = f"found {found}, {EXPECTED}"
    assert mistake(tmp_path, f"{TOKEN}restart = {value}") == f"{IN_TOKEN}{told}"
    assert mistake(tmp_path, f"[defaults]\nrestart = {value}\n{TOKEN}") == (
        f"rotator.toml: [defaults] restart: {told}"
    )


def test_names_that_are_too_long_are_mistakes(tmp_path: Path) -> None:
    for text in ("deployment/" + "x" * 254, "x" * 64 + "/deployment/luna"):
        assert EXPECTED in mistake(tmp_path, f'{TOKEN}restart = ["{text}"]')


def required(folder: Path) -> str:
    settings = load(folder, TOKEN + 'restart = ["deployment/luna"]')
    with pytest.raises(ConfigError) as caught:
        requirements.require_restarts(settings)
    return str(caught.value)


def test_the_built_in_door_is_open(tmp_path: Path) -> None:
    requirements.require_restarts(load(tmp_path, TOKEN + 'restart = ["deployment/luna"]'))


def test_without_the_extra_nothing_is_begun_and_the_extra_is_named(
    rotator: Runner, api: Sandbox
) -> None:
    rotator.write_env(api.issue(days=3))
    (rotator.folder / "rotator.toml").write_text(TOKEN + 'restart = ["deployment/luna"]')
    del rotator.env["ROTATOR_STORE"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SDK, "rotate"],
        cwd=rotator.folder,
        env=rotator.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"rotator: {MISSING}\n"
    assert api.calls == []


def test_a_door_that_is_broken_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "backends.kubernetes.workloads", None)
    assert required(tmp_path) == (
        f"{IN_TOKEN}the package nocturna-rotator, which serves restarts, cannot be loaded"
        " (ModuleNotFoundError: backends.kubernetes.workloads): update, repair or uninstall it"
    )


def test_a_store_url_that_is_wrong_is_told_as_always(tmp_path: Path) -> None:
    toml = TOKEN.replace("dotenv:.env", "kubernetes://bots") + 'restart = ["deployment/luna"]'
    with pytest.raises(ConfigError, match=re.escape('"luna" stores: a kubernetes: store needs a')):
        requirements.require_restarts(load(tmp_path, toml))


def test_two_packages_with_a_door_are_a_mistake_that_names_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "other", "kubernetes")
    points = tmp_path / "other-1.0.dist-info/entry_points.txt"
    points.write_text(points.read_text().replace("rotator.backends", "rotator.workloads"))
    monkeypatch.syspath_prepend(tmp_path)
    assert "several packages restart workloads (nocturna-rotator, other)" in required(tmp_path)


THEIRS = """
class Shelf:
    url = "shelf:"

    def __init__(self, url):
        pass

    def restart(self, workload, states):
        raise KeyError("hunter2")
"""


def test_what_the_door_of_somebody_else_raises_is_told_without_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "other", "kubernetes")
    points = tmp_path / "other-1.0.dist-info/entry_points.txt"
    points.write_text(points.read_text().replace("rotator.backends", "rotator.workloads"))
    (tmp_path / "other_backend.py").write_text(THEIRS)
    [token] = load(tmp_path, TOKEN + 'restart = ["deployment/luna"]').tokens
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "other_backend", raising=False)
    told = Restarts(token).restart("deployment/luna", {"luna": "id/a"}, timedelta(minutes=1))
    assert str(told).startswith("restart of deployment/luna: internal error: KeyError at ")
    assert "hunter2" not in str(told)


def test_no_package_with_a_door_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requirements.require_restarts(load(tmp_path, TOKEN + 'restart = ["deployment/luna"]'))
    monkeypatch.setattr(sys, "path", [])
    assert "no installed package restarts workloads; install nocturna" in required(tmp_path)


COUNTING = """
import sys
from rotator.config.settings import TokenSettings
from rotator.hooks.restarts import Restarts

scans = []
sys.addaudithook(
    lambda event, given: scans.append(given[0])
    if event == "open" and str(given[0]).endswith("entry_points.txt") else None
)
tokens = [TokenSettings(f"b{n}", "t", (), restart=("deployment/b",)) for n in range(20)]
Restarts(tokens[0]).require()
once = len(scans)
for token in tokens:
    Restarts(token).require()
print(once > 0, len(scans) - once)
"""


def test_the_packages_are_looked_through_once_for_all_tokens() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COUNTING], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True 0\n"
