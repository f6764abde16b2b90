"""The manifest for those without Helm is what the chart makes, less its labels."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from rotator.config.loader import load_settings
from tests.helm.chart import CHART, NAMESPACE, Chart, Manifests, Object, variables
from tests.helm.schemas import VERSIONS, faults

PAGE = CHART.parents[1] / "cron" / "cronjob.yaml"
VALUES: Object = {
    "image": {"repository": "registry.example.com/nocturna-rotator"},
    "config": {
        "api": {"url": "https://your-api-server.com/api"},
        "tokens": [
            {
                "name": "luna-bot",
                "stores": ["kubernetes://bots/luna-token#NOCTURNA_SERVICE_TOKEN"],
                "restart": ["deployment/luna-bot"],
            }
        ],
    },
}
UNLIKE = {"labels", "annotations", "matchLabels"}


@pytest.fixture(scope="module")
def plain() -> Manifests:
    # The tests of the chart live in a namespace that no page names.
    named = re.compile(r"(namespace: |rotator\.)nocturna$", re.MULTILINE)
    text = named.sub(rf"\g<1>{NAMESPACE}", PAGE.read_text())
    return Manifests(tuple(yaml.safe_load_all(text)))


def bare(value: object) -> object:
    """Return an object without labels, and without the metadata that only held them."""
    if isinstance(value, list):
        return [bare(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {key: bare(each) for key, each in value.items() if key not in UNLIKE}
    return {key: each for key, each in kept.items() if key != "metadata" or each}


def test_it_is_what_the_chart_makes(plain: Manifests, chart: Chart) -> None:
    made = chart.render("kind-cronjob", **VALUES)
    for each in plain.objects:
        if each["kind"] == "ConfigMap":
            continue
        usual = [o for o in made.of(each["kind"]) if not o["metadata"]["name"].endswith("-force")]
        assert [bare(each)] == [bare(other) for other in usual]


def test_nothing_of_the_chart_is_missing_but_what_helm_runs(plain: Manifests, chart: Chart) -> None:
    made = {each["kind"] for each in chart.render("kind-cronjob", **VALUES).objects}
    assert {each["kind"] for each in plain.objects} == made - {"Pod"}


def test_its_config_is_the_chart_s_and_the_rotator_loads_it(
    plain: Manifests, chart: Chart, tmp_path: Path
) -> None:
    usual = tomllib.loads(chart.render("kind-cronjob", **VALUES).toml)
    assert tomllib.loads(plain.toml) == {key: each for key, each in usual.items() if each}
    (tmp_path / "rotator.toml").write_text(plain.toml)
    [(_, pod)] = plain.pods()
    settings = load_settings(
        tmp_path / "rotator.toml", variables(pod) | {"ROTATOR_CONFIG": ""}, Path("/")
    )
    assert [token.name for token in settings.tokens] == ["luna-bot"]


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_it(plain: Manifests, version: str) -> None:
    assert [faults(each, version) for each in plain.objects] == [[]] * len(plain.objects)


def test_its_pods_are_those_that_the_network_policy_is_about(plain: Manifests) -> None:
    selected = plain.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    template = plain.cron_job()["spec"]["jobTemplate"]["spec"]["template"]
    assert selected == template["metadata"]["labels"]
    spaces = {(each["kind"], each["metadata"]["namespace"]) for each in plain.objects}
    elsewhere = {kind for kind, namespace in spaces if namespace != NAMESPACE}
    assert elsewhere == {"Role", "RoleBinding"}
