"""Writes the metrics of one run to its outlets. A failure costs nothing but the metrics.

The collector of node_exporter may read at any time, so a new file takes the old one's place as a
whole: https://github.com/prometheus/node_exporter#textfile-collector.
"""

import logging
import os
import stat
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from prometheus_client import generate_latest, pushadd_to_gateway

from rotator.clock import Clock
from rotator.errors import internal_error
from rotator.files import try_lock
from rotator.http.client import BoundedSession, Limits
from rotator.http.failures import FailureKind, explain_failure
from rotator.metrics.definitions import Samples, measure
from rotator.metrics.exposition import (
    NO_LABELS,
    Exposition,
    LabelsByToken,
    drop_nan,
    merge,
    parse_samples,
    select_lasting,
)
from rotator.metrics.outlets import Gateway, Outlets
from rotator.rotation.report import Report
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
    FailureKind.FILE: "the file that REQUESTS_CA_BUNDLE names cannot be used",
    FailureKind.BAD_PROXY: "the proxy cannot be used; correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY",
    FailureKind.PROXY: "the proxy did not connect; check HTTPS_PROXY and NO_PROXY",
    FailureKind.UNKNOWN_HOST: "nothing answers there; check the URL",
    FailureKind.REFUSED: "nothing answers there; check the URL",
    FailureKind.TIMEOUT: "it did not answer in time; try again later",
}
_LARGEST = 16 * 1024 * 1024  # bytes: about 15,000 tokens
_MODE = 0o644  # node_exporter is another user
_LOCK_POLL = 0.05  # seconds
_log = logging.getLogger(__name__)


def publish(
    outlets: Outlets,
    reports: Sequence[Report],
    spans: Mapping[str, tuple[datetime, datetime]],
    tokens: LabelsByToken,
    clock: Clock,
) -> None:
    """Publish a run; `spans` tells by name when its tokens were begun and ended.

    `tokens` are all of the config, with their labels: the file keeps what earlier runs knew of
    them.
    """
    states = TokenStates()
    states.watch(list(spans))
    for report in reports:
        if report.name in spans:
            states.record(Look(report, *spans[report.name]))
    samples = select_lasting(measure(states.by_name(), clock()))
    if outlets.textfile:
        try:
            update_textfile(outlets.textfile, samples, tokens, labels=tokens)
        except OSError as error:
            _log.warning(
                "%s: the metrics were not written (%s); check the folder's rights and space",
                outlets.textfile,
                error.strerror,
            )
    if outlets.gateway:
        try:
            push(outlets.gateway, samples, labels=tokens)
        except NotPushedError as error:
            _log.warning("%s: the metrics were not pushed: %s", outlets.gateway.place, error)


class NotPushedError(Exception):
    """The gateway did not take the metrics; the text says why in a few words."""


def push(
    gateway: Gateway,
    samples: Samples,
    patience: float = PATIENCE,
    limits: Limits = _LIMITS,
    labels: LabelsByToken = NO_LABELS,
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
                add(
                    registry=Exposition(own, labels=labels, build=False),
                    grouping_key={"token": token},
                )
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


def update_textfile(
    path: Path,
    samples: Samples,
    tokens: Collection[str],
    patience: float = 5.0,
    labels: LabelsByToken = NO_LABELS,
) -> None:
    """Write the samples, and keep those of earlier runs for `tokens` that this run did not serve.

    Waits at most `patience` seconds for another run that writes the file. Raises `OSError` when it
    cannot be written, and then leaves it as it was.
    """
    with _lock(path.parent, patience):
        merged = merge(samples, _read_earlier(path), tokens)
        # Without the version: node_exporter rejects a series that stands in two configs' files.
        _replace(path, generate_latest(Exposition(drop_nan(merged), labels=labels, build=False)))


def _read_earlier(path: Path) -> Samples:
    try:
        return parse_samples(_read(path))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds something else"
        _log.warning(
            "%s: the metrics of earlier runs are lost (%s); counters start anew", path, reason
        )
        return {}


def _read(path: Path) -> str:
    # O_NONBLOCK: opening a pipe would wait for a writer.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            raise ValueError("no file of metrics")
        return file.read(_LARGEST).decode()


def _replace(path: Path, content: bytes) -> None:
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            os.fchmod(number, _MODE)
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


@contextmanager
def _lock(folder: Path, patience: float) -> Iterator[None]:
    """Keep other runs from reading before this one has written; give up after `patience`."""
    deadline = time.monotonic() + patience
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while not try_lock(number) and time.monotonic() < deadline:
            time.sleep(_LOCK_POLL)
        yield
    finally:
        os.close(number)
