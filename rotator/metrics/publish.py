"""Writes the metrics of one run to its outlets. A failure costs nothing but the metrics."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from prometheus_client import pushadd_to_gateway

from rotator.clock import Clock
from rotator.errors import internal_error
from rotator.http.client import BoundedSession, FailureKind, Limits, explain_failure
from rotator.metrics.definitions import Samples, measure
from rotator.metrics.exposition import Exposition, select_lasting
from rotator.metrics.outlets import Gateway, Outlets
from rotator.metrics.textfile import update_textfile
from rotator.rotation.model import Report
from rotator.rotation.states import Look, TokenStates

JOB = "nocturna-rotator"
PATIENCE = 60.0  # seconds, for all calls together
_LIMITS = Limits(connect=10, read=10, total=10, retries=0, largest=4096)  # for one of them
_TAKEN = (200, 202)  # https://github.com/prometheus/pushgateway#url; 202 before version 1.0
_TLS = "TLS failed or its certificate is not trusted; for a private CA set REQUESTS_CA_BUNDLE"
_BROKEN = "the connection broke; try again later"
_FAILURES = {
    FailureKind.CERTIFICATE: _TLS,
    FailureKind.NO_TLS: _TLS,
    FailureKind.TLS: _TLS,
    FailureKind.FILE: "the file that REQUESTS_CA_BUNDLE names is not there",
    FailureKind.PROXY: "the proxy did not connect; check HTTPS_PROXY and NO_PROXY",
    FailureKind.UNKNOWN_HOST: "nothing answers there; check the URL",
    FailureKind.REFUSED: "nothing answers there; check the URL",
    FailureKind.TIMEOUT: "it did not answer in time; try again later",
}
_log = logging.getLogger(__name__)


def publish(
    outlets: Outlets,
    reports: Sequence[Report],
    spans: Mapping[str, tuple[datetime, datetime]],
    tokens: Collection[str],
    clock: Clock,
) -> None:
    """Publish a run; `spans` tells by name when its tokens were begun and ended.

    `tokens` are all of the config: the file keeps what earlier runs knew of them.
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
        try:
            push(outlets.gateway, samples)
        except NotPushedError as error:
            _log.warning("%s: the metrics were not pushed: %s", outlets.gateway.place, error)


class NotPushedError(Exception):
    """The gateway did not take the metrics; the text says why in a few words."""


def push(
    gateway: Gateway, samples: Samples, patience: float = PATIENCE, limits: Limits = _LIMITS
) -> None:
    """Push what this run knows of its tokens, for `patience` seconds; raises `NotPushedError`.

    Counters stay here: the gateway keeps numbers and does not add them up. NaN is pushed where
    there is no number, as nothing else removes an old one. Without a user in the URL, and only over
    https, the login is that of `~/.netrc` or `$NETRC`.
    """
    session, deadline = BoundedSession(limits), time.monotonic() + patience

    def handler(**request: Any) -> Callable[[], None]:  # noqa: ANN401 - prometheus_client's
        if time.monotonic() > deadline:
            raise NotPushedError("its answers take too long; try again later")
        return partial(_send, session, request)

    if gateway.login or gateway.url.startswith("https:"):
        session.auth = gateway.login
    groups: defaultdict[str, Samples] = defaultdict(dict)
    for series, value in samples.items():
        if series.reason is None:  # no counter
            groups[series.token][series] = value
    add = partial(pushadd_to_gateway, gateway.url, JOB, handler=handler)
    try:
        with session:
            add(registry=Exposition({}))
            for token, own in groups.items():
                add(registry=Exposition(own, build=False), grouping_key={"token": token})
    except NotPushedError:
        raise
    except Exception as error:  # noqa: BLE001 - the rotation worked, whatever this is
        raise NotPushedError(internal_error(error)) from None


def _send(session: BoundedSession, request: Mapping[str, Any]) -> None:
    headers, data = dict(request["headers"]), request["data"]
    method, url = request["method"], request["url"]
    try:
        status = session.request(method, url, headers=headers, data=data).status_code
    except OSError as error:
        # Without its cause: the text of these errors can hold the URL.
        failure = explain_failure(error)
        raise NotPushedError(_FAILURES.get(failure.kind, _BROKEN)) from None
    if status not in _TAKEN:
        raise NotPushedError(f"it answered {status}; {_advise(status)}")


def _advise(status: int) -> str:
    if status in (401, 403):
        return "check the user and password"
    if 300 <= status < 400:  # noqa: PLR2004 - RFC 9110, section 15.4
        return "redirects are not followed: use the final URL"
    return "check the URL, and the gateway's log"
