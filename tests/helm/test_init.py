"""The values that `rotator init` writes are such as the chart takes."""

from pathlib import Path

import yaml

from rotator.cli.init.deployment import Runner, Site, fill_in, shipped
from tests.helm.chart import CHART, Chart

STORE = "vault://secret/bots/luna#A"


def test_the_chart_takes_the_values_and_makes_the_same_settings(
    chart: Chart, tmp_path: Path
) -> None:
    tables = {
        "api": {"url": "https://a.example/api", "admin_email": "a@b.example"},
        "token": [{"name": "luna", "stores": [STORE], "renew_before": "8d"}],
    }
    site = Site(
        *({}, tables, [STORE], tmp_path / "password", tmp_path),
        {"VAULT_ADDR": "https://vault.example:8200", "VAULT_TOKEN": "hunter2"},
    )
    made = fill_in(Runner.HELM, site)
    values = tmp_path / "values.yaml"
    values.write_text(made.files[values.name])
    config = yaml.safe_load(values.read_text())["config"]
    assert config == {"api": tables["api"], "tokens": tables["token"]}
    rendered = chart.render(f"--values={values}")
    assert f"stores = ['{STORE}']" in rendered.toml.replace('"', "'")
    [(_, pod), *_] = rendered.pods()
    assert {"name": "VAULT_ADDR", "value": "https://vault.example:8200"} in (
        pod["containers"][0]["env"]
    )
    assert "hunter2" not in values.read_text()
    *_, install = made.commands
    assert install.startswith(f"helm install rotator {CHART} ")
    assert f"--from-file=password={tmp_path}/password" in made.commands[1]


def test_the_chart_is_shipped() -> None:
    assert shipped("helm/rotator").resolve() == CHART
