"""Metrics to a Pushgateway: each token is a group of its own.

A POST replaces those metrics of a group that it names, and leaves the others
(https://github.com/prometheus/pushgateway#post-method). So a failed run leaves the last success, a
run for a few tokens leaves those of the others, and a fleet can be shared out anew at any time.
"""

import threading
from collections import defaultdict

from prometheus_client import pushadd_to_gateway

from rotator.errors import internal_error
from rotator.metrics.definitions import COUNTERS, Samples
from rotator.metrics.exposition import Exposition
from rotator.metrics.gateway import Gateway
from rotator.metrics.sending import NotPushedError, Sender

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
