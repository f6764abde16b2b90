"""What a run that ends knows of the runs before it: the text that they left."""

import math
from collections.abc import Collection

from prometheus_client.parser import text_string_to_metric_families

from rotator.metrics.definitions import COUNTERS, GAUGES, SECONDS_LEFT, Samples, Series

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
