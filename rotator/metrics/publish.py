"""The metrics of one run, to where they are wanted. A failure costs nothing but the metrics."""

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from rotator.clock import Clock
from rotator.metrics.definitions import measure
from rotator.metrics.exposition import select_lasting
from rotator.metrics.outlets import Outlets
from rotator.metrics.textfile import update_textfile
from rotator.rotation.model import Report
from rotator.rotation.states import Look, TokenStates

_log = logging.getLogger(__name__)
Spans = Mapping[str, tuple[datetime, datetime]]


def publish(
    outlets: Outlets,
    reports: Sequence[Report],
    spans: Spans,
    tokens: Collection[str],
    clock: Clock,
) -> None:
    """Tell of a run; `spans` has the times of the tokens that it has begun, by name.

    `tokens` are all of the config: in the file, what earlier runs knew of them stays.
    """
    states = TokenStates()
    states.watch(list(spans))
    for report in reports:
        if report.name in spans:
            states.record(Look(report, *spans[report.name]))
    samples = select_lasting(measure(states.by_name(), clock()))
    if outlets.textfile:
        try:
            update_textfile(outlets.textfile, samples, tokens)
        except OSError as error:
            _log.warning(
                "%s: the metrics were not written (%s); check the folder's rights and space",
                outlets.textfile,
                error.strerror,
            )
    if outlets.gateway:
        from rotator.metrics.push import NotPushedError, push  # noqa: PLC0415 - HTTP costs 60 ms

        try:
            push(outlets.gateway, samples)
        except NotPushedError as error:
            _log.warning("%s: the metrics were not pushed: %s", outlets.gateway.place, error)
