"""Samples as text for Prometheus, by its official library."""

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from rotator import __version__
from rotator.metrics.definitions import (
    COUNTERS,
    GAUGES,
    PREFIX,
    SECONDS_LEFT,
    Samples,
    Series,
    measured,
)
from rotator.rotation.states import TokenState

TEXT = "text/plain; version=0.0.4; charset=utf-8"
_OPENMETRICS = "application/openmetrics-text"


def render(
    states: Mapping[str, TokenState | None], now: datetime, accept: str, *, reload_failed: bool
) -> tuple[str, bytes]:
    """Return the content type and the body of `/metrics`, after the header `Accept`.

    `now` is aware UTC; `reload_failed` tells that the settings could not be read again. The formats
    are Prometheus's text format and OpenMetrics 1.0:
    https://prometheus.io/docs/instrumenting/content_negotiation/.
    """
    collector = Exposition(present(measured(states, now)), reload_failed=reload_failed)
    if negotiate(accept) == openmetrics.CONTENT_TYPE_LATEST:
        body: bytes = openmetrics.generate_latest(collector)  # type: ignore[no-untyped-call] # the library's
        return openmetrics.CONTENT_TYPE_LATEST, body
    return TEXT, generate_latest(collector)


def negotiate(accept: str) -> str:
    """Return the content type that a client gets for its header `Accept`: one of two."""
    # The library's own choice compares versions that a client makes up, and breaks on `version=a`.
    wanted = (each.partition(";")[0].strip() for each in accept.split(","))
    return openmetrics.CONTENT_TYPE_LATEST if _OPENMETRICS in wanted else TEXT


def present(samples: Samples) -> Samples:
    """Return the numbers that there are, without NaN."""
    return {series: value for series, value in samples.items() if value == value}  # noqa: PLR0124 - what NaN is not


class Exposition(Collector):
    """Samples in the form that prometheus_client takes; `build` adds the rotator's version.

    `reload_failed` is None where nothing is ever read again.
    """

    def __init__(
        self, samples: Samples, *, build: bool = True, reload_failed: bool | None = None
    ) -> None:
        self._build = build
        self._reload_failed = reload_failed
        self._by_metric: defaultdict[str, Samples] = defaultdict(dict)
        for series, value in samples.items():
            self._by_metric[series.metric][series] = value

    def collect(self) -> Iterator[Metric]:
        """Return the families that have samples, in the order of the table."""
        if self._build:
            about = "The version of the rotator."
            yield InfoMetricFamily(f"{PREFIX}build", about, {"version": __version__})
        if self._reload_failed is not None:
            about = (
                "1 if the settings could not be read again, so the old ones are in force; else 0."
            )
            yield GaugeMetricFamily(f"{PREFIX}config_reload_failed", about, self._reload_failed)
        for gauge in GAUGES:
            if found := self._by_metric.get(gauge.name):
                family = GaugeMetricFamily(
                    gauge.name, gauge.help, labels=("token",), unit=gauge.unit
                )
                for series, value in found.items():
                    family.add_metric((series.token,), value)
                yield family
        for counter in COUNTERS:
            if found := self._by_metric.get(counter.name):
                counted = CounterMetricFamily(
                    counter.name, counter.help, labels=("token", "reason")
                )
                for series, value in found.items():
                    counted.add_metric((series.token, series.reason or ""), value)
                yield counted


_COUNTED = frozenset(counter.name for counter in COUNTERS)
_LASTING = frozenset(gauge.name for gauge in GAUGES) - {SECONDS_LEFT}


def lasting(samples: Samples) -> Samples:
    """Return what stays true after the run; the life that is left would stand still."""
    return {series: value for series, value in samples.items() if series.metric != SECONDS_LEFT}


def joined(now: Samples, before: Samples, tokens: Collection[str]) -> Samples:
    """Return the samples of this run on top of those before it; counters are added up.

    Only `tokens` are kept: those of the config, of which this run may have served a few.
    """
    kept = {series: value for series, value in before.items() if series.token in tokens}
    counted = {
        series: value + kept.get(series, 0)
        for series, value in now.items()
        if series.metric in _COUNTED
    }
    return {**kept, **now, **counted}


def parsed(text: str) -> Samples:
    """Read what a run left; raises `ValueError` where it is not the text of metrics.

    What stands there is not trusted: of what is no metric of ours, nothing is taken.
    """
    try:
        families = list(text_string_to_metric_families(text))
    except Exception as error:  # the parser also raises IndexError and the like
        raise ValueError("this is not the text of metrics") from error
    samples: Samples = {}
    for family in families:
        for sample in family.samples:
            series = _series(family.name, sample.labels)
            if series and math.isfinite(sample.value):
                samples[series] = sample.value
    return samples


def _series(metric: str, labels: dict[str, str]) -> Series | None:
    if metric in _COUNTED and labels.keys() == {"token", "reason"}:
        return Series(metric, labels["token"], labels["reason"])
    if metric in _LASTING and labels.keys() == {"token"}:
        return Series(metric, labels["token"])
    return None
