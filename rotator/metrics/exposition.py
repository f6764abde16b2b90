"""Samples as text for Prometheus and back, by its official library."""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from rotator import __version__
from rotator.config.settings import TokenSettings
from rotator.metrics.definitions import (
    COUNTERS,
    GAUGES,
    PREFIX,
    SECONDS_LEFT,
    Samples,
    Series,
    measure,
)
from rotator.rotation.states import TokenState

# What `token_info` says of each token, by the name of the label.
LabelsByToken = Mapping[str, Mapping[str, str]]
NO_LABELS: LabelsByToken = {}

TEXT = "text/plain; version=0.0.4; charset=utf-8"
# By name the labels of those metrics that stay true after the run, as the remaining life does not.
_LASTING = {m.name: set(m.labels) for m in (*GAUGES, *COUNTERS) if m.name != SECONDS_LEFT}


def labels_of(tokens: Iterable[TokenSettings]) -> LabelsByToken:
    """Return the labels of these tokens, and the API of each, if that has a name."""
    return {
        token.name: ({"api": token.api} if token.api else {})
        | {f"label_{label.name}": label.value for label in token.labels}
        for token in tokens
    }


def render(
    states: Mapping[str, TokenState | None],
    now: datetime,
    accept: str,
    *,
    reload_failed: bool,
    labels: LabelsByToken = NO_LABELS,
) -> tuple[str, bytes]:
    """Return the content type and the body of `/metrics` for the header `Accept`.

    `now` is aware UTC; `reload_failed` says that the settings could not be read again. The formats
    are Prometheus's text format and OpenMetrics 1.0:
    https://prometheus.io/docs/instrumenting/content_negotiation/.
    """
    samples = drop_nan(measure(states, now))
    collector = Exposition(samples, labels=labels, reload_failed=reload_failed)
    content_type = negotiate(accept)
    if content_type == TEXT:
        return content_type, generate_latest(collector)
    body: bytes = openmetrics.generate_latest(collector)  # type: ignore[no-untyped-call] # the library's
    return content_type, body


def negotiate(accept: str) -> str:
    """Return the content type for the header `Accept`: one of two."""
    # The library's own choice compares versions that a client makes up, and breaks on `version=a`.
    types = (each.partition(";")[0].strip() for each in accept.split(","))
    return openmetrics.CONTENT_TYPE_LATEST if "application/openmetrics-text" in types else TEXT


def drop_nan(samples: Samples) -> Samples:
    return {series: value for series, value in samples.items() if not math.isnan(value)}


class Exposition(Collector):
    """Samples as prometheus_client takes them, with the labels of their tokens.

    `build` adds the rotator's version. `reload_failed` is None where settings are never read again.
    """

    def __init__(
        self,
        samples: Samples,
        *,
        labels: LabelsByToken = NO_LABELS,
        build: bool = True,
        reload_failed: bool | None = None,
    ) -> None:
        tokens = {series.token for series in samples}
        self._labels = {name: own for name, own in labels.items() if own and name in tokens}
        self._build = build
        self._reload_failed = reload_failed
        self._by_metric: defaultdict[str, Samples] = defaultdict(dict)
        for series, value in samples.items():
            self._by_metric[series.metric][series] = value

    def collect(self) -> Iterator[Metric]:
        if self._build:
            text = "The version of the rotator."
            yield InfoMetricFamily(f"{PREFIX}build", text, {"version": __version__})
        if self._reload_failed is not None:
            text = "1 if the settings could not be read again, and the old ones are used; else 0."
            yield GaugeMetricFamily(f"{PREFIX}config_reload_failed", text, self._reload_failed)
        if self._labels:
            yield self._label_tokens()
        families: list[GaugeMetricFamily | CounterMetricFamily] = [
            GaugeMetricFamily(gauge.name, gauge.help, labels=gauge.labels, unit=_unit(gauge.name))
            for gauge in GAUGES
        ]
        families += [
            CounterMetricFamily(each.name, each.help, labels=each.labels) for each in COUNTERS
        ]
        for family in families:
            for (_, *labels), value in self._by_metric.get(family.name, {}).items():
                family.add_metric([label for label in labels if label is not None], value)
            if family.samples:
                yield family

    def _label_tokens(self) -> Metric:
        """Return a series for each token with all labels there are: empty where it has none."""
        family = InfoMetricFamily(f"{PREFIX}token", "The labels of a token in the config.")
        names = sorted({name for own in self._labels.values() for name in own})
        for token, own in self._labels.items():
            family.add_metric([], {"token": token, **{name: own.get(name, "") for name in names}})
        return family


def _unit(name: str) -> str:
    return "seconds" if name.endswith("_seconds") else ""


def select_lasting(samples: Samples) -> Samples:
    return {series: value for series, value in samples.items() if series.metric in _LASTING}


def merge(now: Samples, before: Samples, tokens: Collection[str]) -> Samples:
    """Return the samples of this run over those of earlier runs; counters are added up.

    Of the earlier ones, only those of `tokens` are kept: all of the config, of which this run may
    have served a few.
    """
    kept = {series: value for series, value in before.items() if series.token in tokens}
    counted = ((series, value) for series, value in now.items() if series.reason is not None)
    totals = {series: value + kept.get(series, 0) for series, value in counted}
    return {**kept, **now, **totals}


def parse_samples(text: str) -> Samples:
    """Read what an earlier run wrote; raises `ValueError` when it is not the text of metrics.

    The text is not trusted: only finite values of our own metrics are taken from it.
    """
    try:
        families = list(text_string_to_metric_families(text))
    except Exception as error:  # the parser also raises IndexError and the like
        raise ValueError("this is not the text of metrics") from error
    samples: Samples = {}
    for family in families:
        for sample in family.samples:
            labels = _LASTING.get(family.name)
            if labels == sample.labels.keys() and math.isfinite(sample.value):
                samples[Series(family.name, **sample.labels)] = sample.value
    return samples
