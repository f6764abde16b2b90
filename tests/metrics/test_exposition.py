"""The two formats, read back by the official parsers."""

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from rotator import __version__
from rotator.metrics.definitions import Series
from rotator.metrics.exposition import Exposition, render
from tests.metrics.support import every_metric
from tests.support.clock import NOON

# What Prometheus 3 sends: https://prometheus.io/docs/instrumenting/content_negotiation/
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize("accept", ["", BROWSER, "text/plain", "openmetrics;version=a", ",;=,\xff"])
def test_text_is_what_everybody_gets(accept: str) -> None:
    kind, body = render(every_metric(), NOON, accept, reload_failed=False)
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}
    assert families["nocturna_rotator_failures"].type == "counter"
    assert families["nocturna_rotator_failing"].type == "gauge"


@pytest.mark.parametrize("accept", [PROMETHEUS, "application/openmetrics-text; version=a"])
def test_openmetrics_is_for_who_asks(accept: str) -> None:
    kind, body = render(every_metric(), NOON, accept, reload_failed=False)
    assert kind == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    families = {
        family.name: family
        for family in openmetrics.text_string_to_metric_families(body.decode())  # type: ignore[no-untyped-call] # the library's
    }
    assert families["nocturna_rotator_run_duration_seconds"].unit == "seconds"
    (build,) = families["nocturna_rotator_build"].samples
    assert (build.name, build.labels) == ("nocturna_rotator_build_info", {"version": __version__})


def test_labels_of_the_config_are_a_series_of_their_own() -> None:
    states = every_metric()
    (name,) = [token for token, state in states.items() if state][:1]
    labels = {name: {"label_team": 'a "b"', "label_tier": "gold"}, "no-such": {"label_x": "y"}}
    _, body = render(states, NOON, "", reload_failed=False, labels=labels)
    families = {each.name: each for each in text_string_to_metric_families(body.decode())}
    (sample,) = families["nocturna_rotator_token_info"].samples
    assert sample.labels == {"token": name, "label_team": 'a "b"', "label_tier": "gold"}


def test_each_token_has_all_labels_there_are() -> None:
    samples = {Series("nocturna_rotator_failing", name): 0.0 for name in ("luna", "sol")}
    labels = {"luna": {"label_team": "stars"}, "sol": {"label_tier": "gold"}}
    family = next(
        each for each in Exposition(samples, labels=labels).collect() if each.name.endswith("token")
    )
    assert [sample.labels for sample in family.samples] == [
        {"token": "luna", "label_team": "stars", "label_tier": ""},
        {"token": "sol", "label_team": "", "label_tier": "gold"},
    ]


def test_both_formats_tell_the_same() -> None:
    _, plain = render(every_metric(), NOON, "", reload_failed=False)
    _, other = render(every_metric(), NOON, PROMETHEUS, reload_failed=False)
    lines = [
        {line for line in body.decode().splitlines() if not line.startswith("#")}
        for body in (plain, other)
    ]
    assert lines[0] == lines[1]
    assert len(lines[0]) > 20


def test_every_metric_has_a_help_that_is_a_sentence() -> None:
    _, body = render(every_metric(), NOON, "", reload_failed=False)
    for family in text_string_to_metric_families(body.decode()):
        assert family.documentation.endswith("."), family.name
        assert 20 < len(family.documentation) < 100, family.name
