"""docs/metrics.md says what is rendered, and which alerts there are."""

import re
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

from rotator.metrics.exposition import render
from tests.metrics.support import every_metric
from tests.support.clock import NOON

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/metrics.md").read_text()


def test_the_table_of_metrics_is_what_is_rendered() -> None:
    rows = re.findall(r"^\| `(nocturna_rotator_\w+)` \| (\w+) \| (.*) \|$", PAGE, re.MULTILINE)
    states = every_metric()
    labels = {name: {"label_team": "stars"} for name in states}
    _, body = render(states, NOON, "", reload_failed=False, labels=labels)
    families = list(text_string_to_metric_families(body.decode()))
    shown = {(family.samples[0].name, family.type, family.documentation) for family in families}
    assert set(rows) == shown
    assert len(rows) == len(shown)


def test_the_table_of_alerts_is_that_of_the_rules() -> None:
    rows = re.findall(r"^\| `(Nocturna\w+)` \| (\w+) \|", PAGE, re.MULTILINE)
    rules = yaml.safe_load((ROOT / "helm/rotator/files/alerts.yaml").read_text())["groups"]
    assert rows == [
        (rule["alert"], rule["labels"]["severity"]) for group in rules for rule in group["rules"]
    ]
