"""The workflow files: what GitHub takes, and in which each step is a command that make has."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from importlib.metadata import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from release.source import ROOT
from rotator import __version__

WORKFLOWS = sorted((ROOT / ".github" / "workflows").iterdir())
MAKEFILE = (ROOT / "Makefile").read_text()
each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
_PREFIX = ("sudo", "--preserve-env=PATH,TAG")


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in yaml.safe_load(path.read_text())["jobs"].values():
        yield from job["steps"]


def schema() -> Any:  # noqa: ANN401 - JSON
    # The one of schemastore.org, which editors and actionlint's users know.
    name = "vendor/github-workflows.json"
    [found] = [each for each in files("check-jsonschema") or () if str(each).endswith(name)]
    return json.loads(Path(str(found.locate())).read_text())


@each_workflow
def test_github_takes_it(path: Path) -> None:
    # YAML 1.1 reads the key `on` as true.
    text = re.sub(r"^on:", '"on":', path.read_text(), flags=re.MULTILINE)
    errors = Draft7Validator(schema()).iter_errors(yaml.safe_load(text))
    assert [f"{error.json_path}: {error.message}" for error in errors] == []


def test_a_workflow_with_an_unknown_key_would_be_noticed() -> None:
    wrong = {"on": "push", "jobs": {"test": {"runs-on": "x", "stepps": []}}}
    assert [*Draft7Validator(schema()).iter_errors(wrong)]


@each_workflow
def test_each_command_is_one_that_make_has(path: Path) -> None:
    [phony] = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    commands = [step["run"] for step in steps(path) if "run" in step]
    assert commands
    for command in commands:
        words = shlex.split(command)
        words = words[len(_PREFIX) :] if words[0] == "sudo" else words
        assert words[0] == "make", command
        targets = [word for word in words[1:] if "=" not in word]
        assert len(targets) == 1
        assert targets[0] in phony.split()


@each_workflow
def test_nothing_that_others_choose_becomes_a_part_of_a_command(path: Path) -> None:
    assert not [step["run"] for step in steps(path) if "${{" in step.get("run", "")]


@each_workflow
def test_it_may_do_nothing_but_what_its_jobs_name(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    checkouts = [
        step for step in steps(path) if step.get("uses", "").startswith("actions/checkout")
    ]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_the_page_names_what_the_workflow_needs() -> None:
    page = (ROOT / "docs" / "releasing.md").read_text()
    workflow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
    for environment in filter(None, (job.get("environment") for job in workflow["jobs"].values())):
        assert f"`{environment}`" in page


@pytest.mark.parametrize("target", ["push", "sign", "github-release"])
def test_what_is_published_is_what_was_made(target: str) -> None:
    shown = subprocess.run(
        ["make", "--dry-run", target, "REGISTRY=ghcr.io/luna"],  # noqa: S607 - any make
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert f":{__version__}" in shown or f" v{__version__} " in shown
    assert "ghcr.io/luna/" in shown or target == "github-release"
