"""The alert rules: they ask for what there is, and fire when they should."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.metrics.queries import labels_of, metrics_of, unknown_in

ROOT = Path(__file__).parents[2]
FILE = ROOT / "helm/rotator/files/alerts.yaml"
PROMTOOL = shutil.which("promtool")
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(FILE.read_text())["groups"] for rule in group["rules"]
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_that_there_are(rule: dict[str, Any]) -> None:
    assert metrics_of(rule["expr"])
    assert unknown_in(rule["expr"]) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert set(rule["annotations"]) == {"summary", "description"}
    told = rule["annotations"]["summary"] + rule["annotations"]["description"]
    labels = set(re.findall(r"\$labels\.(\w+)", told))
    absent = rule["expr"].startswith("absent(")
    known = labels_of(rule["expr"])
    assert labels == (set() if absent else (known & {"token"} or {"instance"}))
    assert re.search(r"Run `rotator|`rotator (check|rotate) |Look whether", told)


def test_every_trouble_has_an_alert() -> None:
    asked = {name for rule in RULES for name in metrics_of(rule["expr"])}
    quiet = {"build_info", "token_seconds_left", "last_success_timestamp_seconds"}
    quiet |= {"run_duration_seconds", "rotations_total", "failures_total"}
    quiet |= {"old_token_last_used_timestamp_seconds"}  # the number of laggards alerts
    assert unknown_in(" + ".join(sorted(asked))) == []
    assert metrics_of(None) - asked == {f"nocturna_rotator_{name}" for name in quiet}


@pytest.mark.skipif(not PROMTOOL, reason="needs promtool, of the Debian package prometheus")
@pytest.mark.parametrize(
    "order", [("check", "rules", FILE), ("test", "rules", ROOT / "tests/metrics/alerts_test.yaml")]
)
def test_promtool_finds_no_fault(order: tuple[str, str, Path]) -> None:
    done = subprocess.run(
        [PROMTOOL or "", *order], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested() -> None:
    tested = (ROOT / "tests/metrics/alerts_test.yaml").read_text()
    assert [rule["alert"] for rule in RULES if rule["alert"] not in tested] == []
