"""What the pages show works: their values render, and their commands are taken."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.helm.chart import CHART, Chart, container
from tests.helm.schemas import VERSIONS, faults
from tests.helm.tools import Tools

ROOT = CHART.parents[1]
PAGE = "docs/kubernetes.md"
# What needs no cluster is run; what would need one is noted, with how it was called.
OFFLINE = """#!/bin/bash
echo "{program} $(printf '%q ' "$@")" >> "$CALLS"
case "{program} $*" in
    "helm install "*) exec {real} "$@" --dry-run=client ;;
    "kubectl "*"create namespace"*|"kubectl "*"create secret"*)
        exec {real} "$@" --dry-run=client --output=name ;;
esac
"""


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


VALUES = [yaml.safe_load(block) for block in blocks(PAGE, "yaml")]


def installing(page: str) -> str:
    [block] = [each for each in blocks(page, "sh") if "helm install" in each]
    return block


def run(block: str, tools: Tools, folder: Path) -> list[list[str]]:
    """Run a block in a folder that has the files which it asks for; return the commands in it."""
    for program in ("helm", "kubectl"):
        wrapper = folder / "bin" / program
        wrapper.parent.mkdir(exist_ok=True)
        wrapper.write_text(OFFLINE.format(program=program, real=tools.folder / program))
        wrapper.chmod(0o755)
    for name in ("email", "password"):
        (folder / name).write_text("made up")
    (folder / "helm").symlink_to(ROOT / "helm")
    usual = tools.environment()
    calls = folder / "calls"
    done = subprocess.run(
        ["/bin/bash", "-e", "-c", block],
        cwd=folder,
        env={**usual, "PATH": f"{folder}/bin:{usual['PATH']}", "CALLS": str(calls)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "NOTES:" in done.stdout
    return [shlex.split(line) for line in calls.read_text().splitlines()]


@pytest.mark.sample(4)
@pytest.mark.parametrize("values", VALUES, ids="+".join)
def test_the_values_of_the_page_can_be_installed(chart: Chart, values: dict[str, object]) -> None:
    made = chart.render("kind-cronjob", **values).objects
    known = [each for each in made if "monitoring" not in each["apiVersion"]]
    assert [faults(each, VERSIONS[-1]) for each in known] == [[]] * len(known)


@pytest.mark.parametrize("page", [PAGE, "README.md"])
def test_the_installation_can_be_pasted(page: str, tools: Tools, tmp_path: Path) -> None:
    calls = run(installing(page), tools, tmp_path)
    [install] = [call for call in calls if call[:2] == ["helm", "install"]]
    [test] = [call for call in calls if call[:2] == ["helm", "test"]]
    assert test[2] == install[2]
    [job] = [call for call in calls if "--from=cronjob/rotator" in call]
    [waited] = [call for call in calls if call[-1] == f"job/{job[-1]}"]
    # helm test looks at the tokens, which only a run makes.
    assert calls.index(install) < calls.index(job) < calls.index(waited) < calls.index(test)
    spaces = {call[call.index("--namespace") + 1] for call in (install, job, waited, test)}
    [created] = [call[-1] for call in calls if call[1:3] == ["create", "namespace"]]
    assert spaces == {created}


@pytest.mark.parametrize("page", [PAGE, "README.md"])
def test_the_image_is_built_under_the_name_that_the_chart_pulls(page: str, chart: Chart) -> None:
    [block] = [each for each in blocks(page, "sh") if "docker build -t registry" in each]
    values = installing(page).partition("<<'END'\n")[2].partition("\nEND\n")[0]
    _, pod = next(chart.render(**yaml.safe_load(values)).pods())
    image = container(pod)["image"]
    assert f"docker build -t {image} " in block
    assert f"docker push {image}\n" in block


def test_the_page_names_the_versions_that_are_tested() -> None:
    first, last = (version.rpartition(".")[0] for version in (VERSIONS[0], VERSIONS[-1]))
    assert f"schemas of Kubernetes {first} to {last}" in (ROOT / PAGE).read_text()


def test_the_page_names_the_cron_jobs_that_there_are(chart: Chart) -> None:
    named = set(re.findall(r"--from=cronjob/(\S+)", (ROOT / PAGE).read_text()))
    made = chart.render("kind-cronjob").of("CronJob")
    assert named == {each["metadata"]["name"] for each in made}
