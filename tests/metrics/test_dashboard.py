"""The dashboard: it asks for what there is, of the data source that its user chooses."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest

from tests.metrics.queries import metrics_of, unknown_in

FILE = Path(__file__).parents[2] / "helm/rotator/files/dashboard.json"
DASHBOARD: dict[str, Any] = json.loads(FILE.read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
VARIABLES = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
WIDTH = 24


def queries(panel: dict[str, Any]) -> list[str]:
    """Return what it asks Prometheus, with Grafana's own variables filled in."""
    expressions = [target["expr"] for target in panel["targets"]]
    return [re.sub(r"\$__\w+", "1h", each).replace("$token", ".*") for each in expressions]


def inside(found: object) -> Iterator[dict[str, Any]]:
    if isinstance(found, dict):
        yield found
        for each in found.values():
            yield from inside(each)
    if isinstance(found, list):
        for each in found:
            yield from inside(each)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_asks_for_metrics_that_there_are(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    for query in queries(panel):
        assert unknown_in(query) == []
        assert "$" not in query
        assert "token=~" in query


def test_every_metric_of_a_token_is_shown_but_one() -> None:
    shown = {name for panel in PANELS for query in queries(panel) for name in metrics_of(query)}
    # The life that is left is counted from the expiry, which there is on all three ways.
    hidden = {"nocturna_rotator_token_seconds_left"}
    hidden |= {"nocturna_rotator_build_info", "nocturna_rotator_config_reload_failed"}
    assert metrics_of(None) - shown == hidden


def test_panels_neither_overlap_nor_share_an_id() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    cells = Counter(
        (x, y)
        for panel in PANELS
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    )
    assert set(cells.values()) == {1}
    assert max(x for x, _ in cells) < WIDTH


def test_the_data_source_is_the_one_that_is_chosen() -> None:
    assert VARIABLES["datasource"]["type"] == "datasource"
    sources = [each["datasource"] for each in inside(DASHBOARD) if "datasource" in each]
    assert sources
    assert [each for each in sources if each["uid"] != "${datasource}"] == []


def test_the_choice_of_tokens_comes_from_a_metric() -> None:
    match = re.fullmatch(r"label_values\((\w+), token\)", VARIABLES["token"]["query"]["query"])
    assert match
    assert unknown_in(f'{match[1]}{{token="luna"}}') == []


def test_a_label_that_does_not_exist_would_be_found() -> None:
    assert unknown_in('nocturna_rotator_failing{bot="x"}') == ["nocturna_rotator_failing{bot}"]
    assert unknown_in("sum by (reason) (nocturna_rotator_failing)") == ["by (reason)"]
    assert unknown_in("rate(nocturna_rotator_falling[1h])") == ["nocturna_rotator_falling"]
    with pytest.raises(ValueError, match="parenthesis"):
        promql_parser.parse("sum(nocturna_rotator_failing")
