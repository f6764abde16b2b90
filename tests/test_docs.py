"""The documentation is true: its commands are run, its links followed, its tables compared."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from rotator.config.keys import VARIABLES
from rotator.config.loader import load_settings
from rotator.daemon.health import DaemonPhase
from rotator.daemon.rows import FleetStatus, NextStep, Tone, build_rows
from rotator.rotation.model import Action, OldTokenState, StoreState
from rotator.rotation.policy import CHAIN, Status
from rotator.rotation.report import Report
from rotator.rotation.severity import Severity
from rotator.rotation.states import Look, TokenStates
from tests.support.clock import NOON
from tests.support.process import Runner
from tests.support.sandbox import Sandbox

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def text(name: str) -> str:
    return (ROOT / name).read_text()


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text(name), re.MULTILINE | re.DOTALL)


def test_the_commands_in_the_readme_work_in_this_order(rotator: Runner, api: Sandbox) -> None:
    begin, block, *_ = blocks("README.md", "sh")
    assert begin.startswith("rotator init ")  # in tests/init
    exports = dict(re.findall(r"^export (\w+)=(.*)$", block, re.MULTILINE))
    assert set(exports) == set(rotator.env)
    assert exports["ROTATOR_STORE"] == rotator.env["ROTATOR_STORE"]
    rotator.write_env(api.issue(days=3))
    commands = re.findall(r"^rotator ([\w -]+?) *(?:#.*)?$", block, re.MULTILINE)
    *once, last = [command.split() for command in commands]
    assert [rotator(*command).status for command in once] == [1, 0, 0, 0, 0, 0, 0, 0]
    with rotator.started(*last) as running:
        running.wait_for("next look at")
        assert running.stop() == 0


@pytest.mark.parametrize(
    "command",
    [
        "init",
        "check",
        "status",
        "rotate",
        "rehearse",
        "mint",
        "daemon",
        "exec",
        "access-token",
        "doctor",
        "config check",
        "config show",
        "config schema",
        "tokens list",
        "tokens revoke",
        "leaked",
        "report",
        "notify",
        "demo",
        "completion",
    ],
)
def test_the_help_in_the_docs_is_the_real_one(rotator: Runner, command: str) -> None:
    (shown,) = re.findall(
        rf"^## rotator {command}\n\n```\n(.*?)\n```",
        text("docs/commands.md"),
        re.MULTILINE | re.DOTALL,
    )
    assert rotator(*command.split(), "--help", COLUMNS="100").out.rstrip() == shown


def test_every_variable_is_documented() -> None:
    shown = set(re.findall(r"`((?:NOCTURNA|ROTATOR)_\w+)`", text("docs/configuration.md")))
    assert shown == set(VARIABLES)


def test_the_example_config_is_right(tmp_path: Path) -> None:
    example, of_several = blocks("docs/configuration.md", "toml")
    (tmp_path / "rotator.toml").write_text(example)
    settings = load_settings(None, {}, tmp_path)
    assert [token.name for token in settings.tokens] == ["luna-bot", "sol-bot"]
    assert settings.apis[0].url == "https://your-api-server.com/api"
    (tmp_path / "rotator.toml").write_text(of_several)
    assert [token.api for token in load_settings(None, {}, tmp_path).tokens] == ["eu", "us"]


def test_every_json_key_and_value_is_documented() -> None:
    page = text("docs/commands.md").partition("## JSON")[2]
    keys = Report("x", Status.OK, "ok", "fine").to_json()
    words = [*keys, *Status, *Action, *StoreState, *OldTokenState, *Severity]
    assert [word for word in words if f"`{word}`" not in page] == []


def test_every_json_key_and_value_of_the_api_is_documented() -> None:
    page = text("docs/daemon.md")
    look = Look(Report("x", Status.OK, "ok", "fine", Action.FAILED, error="no"), NOON, NOON)
    states = TokenStates()
    states.watch(["x"])
    states.record(look)
    fleet = FleetStatus(build_rows(states.by_name(), (), NOON), NOON).to_json()
    (token,) = fleet["tokens"]
    own = set(token) - set(look.report.to_json())
    words = [*fleet, *own, *token["history"][0], *NextStep, *Tone, *DaemonPhase, "stores", "daemon"]
    assert [word for word in words if f"`{word}`" not in page] == []


def test_every_key_of_a_chain_is_documented(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=3))
    rotator("rotate", ROTATOR_RETIRE="1d")
    (token,) = rotator("status", "default", "--json").json["tokens"]
    page = text("docs/commands.md").partition("then has `chain`")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", page, re.MULTILINE))
    for key, found in token["chain"].items():
        inner = found[0] if found and isinstance(found, list) else found or {}
        assert [word for word in inner if word not in rows[key]] == [], key


def test_every_reason_is_documented() -> None:
    page = text("docs/rotation.md")
    names = {check.__name__.removeprefix("_") for check in CHAIN}
    names -= {"malformed", "other_scope", "fine"}  # these have reasons of other names
    names |= {"quoted", "spaces", "newline", "garbage", "access_token", "wrong_type", "scope", "ok"}
    assert [name for name in names if f"`{name}`" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", page.read_text()) if "://" not in link]
    for link in links:
        target, _, anchor = link.partition("#")
        found = page.parent / target if target else page
        assert found.exists(), link
        if anchor:
            titles = re.findall(r"^#+ (.*)$", found.read_text(), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", t).lower().replace(" ", "-") for t in titles]


def test_the_store_page_shows_a_journal_as_it_is_written(rotator: Runner, api: Sandbox) -> None:
    rotator.write_env(api.issue(days=3))
    rotator("rotate")
    line = next(ln for ln in rotator.env_file.read_text().splitlines() if ln.startswith("# rot"))
    shown = re.search(r"^# rotator: .*$", text("docs/stores.md"), re.MULTILINE)
    assert shown
    assert re.sub(r"=\S+", "=", shown[0]) == re.sub(r"=\S+", "=", line)


def test_make_has_the_commands_that_the_docs_name() -> None:
    named = set(re.findall(r"`make ([\w-]+)`", "".join(page.read_text() for page in PAGES)))
    for target in named | {"demo", "test"}:
        result = subprocess.run(
            ["make", "--dry-run", target],  # noqa: S607 - whichever make there is
            cwd=ROOT,
            env={**os.environ, "MAKEFLAGS": ""},
            capture_output=True,
            check=False,
        )
        assert result.returncode == 0, target


def test_the_map_of_modules_is_that_of_the_tree() -> None:
    rows = re.findall(r"^\| `(\S+/)` \|.*\| (.*) \|$", text("CONTRIBUTING.md"), re.MULTILINE)
    named = {f"{folder}{name}.py" for folder, row in rows for name in re.findall(r"`(\w+)`", row)}
    named -= {f"{folder.removesuffix('/')}.py" for folder, _ in rows}  # a command that is a folder
    there = {
        str(module.relative_to(ROOT))
        for package in ("rotator", "backends", "release")
        for module in ROOT.joinpath(package).rglob("*.py")
        if module.name != "__init__.py"
    }
    assert named == there


def test_one_rotation_is_told_in_fifteen_files() -> None:
    (told,) = re.findall(r"\*\*One rotation\*\*.*?\n\n", text("CONTRIBUTING.md"), re.DOTALL)
    assert len(set(re.findall(r"\((\S+\.py)\)", told))) == 15
