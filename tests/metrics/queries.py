"""What PromQL asks for, compared with what is rendered."""

import promql_parser
from prometheus_client.parser import text_string_to_metric_families

from rotator.metrics.exposition import render
from tests.metrics.support import every_metric
from tests.support.clock import NOON

SCRAPED = {"instance", "job"}  # Prometheus adds these to all that it scrapes


def rendered() -> dict[str, set[str]]:
    """Return the labels of every metric by its full name."""
    found: dict[str, set[str]] = {}
    _, body = render(every_metric(), NOON, "", reload_failed=False)
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def metrics_of(query: str | None) -> set[str]:
    """Return the metrics that a query asks for; without one, all that there are."""
    if query is None:
        return set(rendered())
    return {selector.name or "" for selector in _selectors(query)}


def labels_of(query: str) -> set[str]:
    """Return the labels that all metrics of a query have."""
    known = rendered()
    return set.intersection(*(known[name] for name in metrics_of(query)))


def unknown_in(query: str) -> list[str]:
    """Return what a query asks for in vain: metrics, and labels that they do not have."""
    known = rendered()
    missing = []
    for selector in _selectors(query):
        name = selector.name or ""
        if name not in known:
            missing.append(name)
            continue
        asked = {matcher.name for matcher in selector.matchers.matchers}
        missing += [f"{name}{{{label}}}" for label in sorted(asked - known[name] - SCRAPED)]
    labels = {label for name in metrics_of(query) for label in known.get(name, ())} | SCRAPED
    missing += [f"by ({label})" for label in sorted(_grouped(query) - labels)]
    return missing


def _nodes(query: str) -> list[promql_parser.Expr]:
    nodes: list[promql_parser.Expr] = []
    promql_parser.walk(promql_parser.parse(query), nodes.append)
    return nodes


def _selectors(query: str) -> list[promql_parser.VectorSelector]:
    return [node for node in _nodes(query) if isinstance(node, promql_parser.VectorSelector)]


def _grouped(query: str) -> set[str]:
    return {
        label
        for node in _nodes(query)
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier
        for label in node.modifier.labels
    }
