"""What an index of charts, and `helm show`, tell of the chart."""

import base64
import re
import tomllib
import xml.etree.ElementTree as ET
from typing import Any

import pytest
import yaml

from rotator import __version__
from tests.helm.chart import CHART, Chart
from tests.helm.schemas import VERSIONS, faults
from tests.helm.tools import Tools

METADATA: dict[str, Any] = yaml.safe_load((CHART / "Chart.yaml").read_text())
README = (CHART / "README.md").read_text()


def test_the_chart_says_what_an_index_shows() -> None:
    # https://helm.sh/docs/topics/charts/#the-chartyaml-file
    assert METADATA["home"] in METADATA["sources"]
    assert {"nocturna", "token", "rotation"} <= set(METADATA["keywords"])
    assert METADATA["maintainers"]
    # https://artifacthub.io/docs/topics/annotations/helm/
    notes = METADATA["annotations"]
    assert notes["artifacthub.io/license"] == "MIT"
    links = yaml.safe_load(notes["artifacthub.io/links"])
    for each in links:
        path = each["url"].removeprefix(METADATA["home"]).lstrip("/")
        assert (CHART.parents[1] / path).is_file(), each


def test_the_chart_and_the_package_have_one_home() -> None:
    project = tomllib.loads((CHART.parents[1] / "pyproject.toml").read_text())["project"]
    assert METADATA["home"] == project["urls"]["Homepage"]
    assert project["urls"]["Changelog"] in METADATA["annotations"]["artifacthub.io/links"]


def test_the_chart_and_the_program_have_one_version() -> None:
    assert METADATA["version"] == METADATA["appVersion"] == __version__


def test_the_icon_is_a_picture_that_needs_no_other_server() -> None:
    kind, _, data = METADATA["icon"].partition(";base64,")
    assert kind == "data:image/svg+xml"
    picture = ET.fromstring(base64.b64decode(data))  # noqa: S314 - our own
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"


@pytest.mark.parametrize("kind", ["kind-cronjob", "kind-deployment"])
def test_no_cluster_older_than_the_chart_says_is_taken(chart: Chart, kind: str) -> None:
    said = chart.refusal("--kube-version=1.19.16", kind)
    assert "requires kubeVersion: >=1.20.0-0 which is incompatible with Kubernetes v1.19.16" in said


def test_helm_shows_the_readme(tools: Tools) -> None:
    shown = tools.helm("show", "readme", CHART)
    assert (shown.status, shown.out.strip()) == (0, README.strip())


def test_the_readme_names_every_value_and_no_other() -> None:
    rows = re.findall(r"^\| (`[^|]+) \|", README, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert sorted(named) == sorted(yaml.safe_load((CHART / "values.yaml").read_text()))


def test_the_values_of_the_readme_can_be_installed(chart: Chart) -> None:
    [block] = re.findall(r"^```yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    made = chart.render(**yaml.safe_load(block)).objects
    assert [faults(each, VERSIONS[-1]) for each in made] == [[]] * len(made)


def test_the_readme_stands_alone() -> None:
    # It is shown where the chart is, and the pages of this repository are not.
    assert "](" not in README
