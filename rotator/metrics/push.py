"""One call to a Pushgateway, in the form that prometheus_client wants its handlers."""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import requests
import urllib3
from prometheus_client import pushadd_to_gateway

from rotator.errors import internal_error
from rotator.metrics.definitions import COUNTERS, Samples
from rotator.metrics.exposition import Exposition
from rotator.metrics.outlets import Gateway
from rotator.urls import is_loopback

_TAKEN = (200, 202)  # https://github.com/prometheus/pushgateway#url; 202 before version 1.0
_LONGEST = 4096  # bytes of an answer; it has none, but a connection is used again only when read
_BROKEN: tuple[tuple[type[Exception], str], ...] = (
    (
        requests.exceptions.SSLError,
        "TLS failed or its certificate is not trusted; for a private CA set REQUESTS_CA_BUNDLE",
    ),
    (requests.exceptions.ProxyError, "the proxy did not connect; check HTTPS_PROXY and NO_PROXY"),
    (requests.exceptions.Timeout, "it did not answer in time; try again later"),
    (requests.exceptions.ConnectionError, "nothing answers there; check the URL"),
)


class NotPushedError(Exception):
    """The gateway did not take the metrics; says why in a few words."""


class Sender:
    """Sends to one gateway, over one connection. Follows no redirect; checks TLS certificates.

    Without a user in the URL, and only for https, the login is that of `~/.netrc` or `$NETRC`.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._session = requests.Session()
        self._auth = gateway.login or (_nobody if gateway.url.startswith("http:") else None)
        settings = self._session.merge_environment_settings(
            gateway.url, {}, stream=True, verify=None, cert=None
        )
        self._environment: dict[str, Any] = {**settings}
        if is_loopback(gateway.host):
            self._environment["proxies"] = {}

    def __call__(
        self,
        url: str,
        method: str,
        timeout: float | None,
        headers: Sequence[tuple[str, str]],
        data: bytes,
    ) -> Callable[[], None]:
        """Return what does the call; that raises `NotPushedError`."""
        request = requests.Request(method, url, dict(headers), data=data, auth=self._auth)
        return lambda: self._send(request, timeout)

    def _send(self, request: requests.Request, timeout: float | None) -> None:
        prepared = self._session.prepare_request(request)
        try:
            # A session would follow redirects, or at least read such an answer, however long.
            adapter = self._session.get_adapter(prepared.url or "")
            with adapter.send(prepared, timeout=timeout, **self._environment) as response:
                response.raw.read(_LONGEST)
                status = response.status_code
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            # Without its cause: the text of these errors can hold the URL.
            broken = (text for kind, text in _BROKEN if isinstance(error, kind))
            raise NotPushedError(next(broken, "the connection broke; try again later")) from None
        except OSError:  # requests raises it for this one reason
            raise NotPushedError("the file that REQUESTS_CA_BUNDLE names is not there") from None
        if status not in _TAKEN:
            raise NotPushedError(f"it answered {status}; {_advice(status)}")


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _advice(status: int) -> str:
    if status in (401, 403):
        return "check the user and password"
    if 300 <= status < 400:  # noqa: PLR2004 - RFC 9110, section 15.4
        return "redirects are not followed: use the final URL"
    return "check the URL, and the gateway's log"


__all__ = ["NotPushedError", "push"]

JOB = "nocturna-rotator"
CALL_TIMEOUT = 10.0  # seconds
PATIENCE = 60.0  # seconds, for all calls together
_COUNTED = frozenset(counter.name for counter in COUNTERS)


def push(gateway: Gateway, samples: Samples, patience: float = PATIENCE) -> None:
    """Push what this run knows of its tokens; raises `NotPushedError`.

    Counters stay here: the gateway keeps numbers and does not add them up. NaN is pushed where
    there is no number, as nothing else takes an old one away.
    """
    outcomes: list[str | None] = []

    def pushed() -> None:
        try:
            _push(gateway, samples)
        except NotPushedError as error:
            outcomes.append(str(error))
        except Exception as error:  # noqa: BLE001 - the rotation worked, whatever this is
            outcomes.append(internal_error(error))
        else:
            outcomes.append(None)

    # No time-out of a socket limits a server that sends a byte a second, or a slow name service.
    thread = threading.Thread(target=pushed, name="push", daemon=True)
    thread.start()
    thread.join(patience)
    if failure := outcomes[0] if outcomes else f"it took more than {patience:g} s":
        raise NotPushedError(failure)


def _push(gateway: Gateway, samples: Samples) -> None:
    groups: defaultdict[str, Samples] = defaultdict(dict)
    for series, value in samples.items():
        if series.metric not in _COUNTED:
            groups[series.token][series] = value
    sender = Sender(gateway)
    pushadd_to_gateway(gateway.url, JOB, Exposition({}), None, CALL_TIMEOUT, sender)
    for token, own in groups.items():
        group = Exposition(own, build=False)
        pushadd_to_gateway(gateway.url, JOB, group, {"token": token}, CALL_TIMEOUT, sender)
