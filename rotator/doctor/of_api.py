"""Checks about the API: it answers, lets us in, and has the same time."""

from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

from rotator.clock import in_words
from rotator.doctor.contact import Contact
from rotator.doctor.findings import Check, Finding, Result, Topic
from rotator.hosts import is_loopback
from rotator.rotation.reconcile import SLACK

_SECOND = timedelta(seconds=1)


class ApiFacts(NamedTuple):
    """What was seen of the API; a new token's expiry may be off by `tolerance` at most."""

    contact: Contact
    tolerance: timedelta


def _api(facts: ApiFacts) -> Iterator[Finding]:
    url = facts.contact.url
    if url is None:
        return
    if facts.contact.silence:
        yield Finding(Topic.API, Result.PROBLEM, f"{facts.contact.silence} ({url})")
        return
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        message = f"{url} shows the admin's password to the network: use https"
        yield Finding(Topic.API, Result.WARNING, message)
    else:
        yield Finding(Topic.API, Result.OK, f"{url} answers")


def _login(facts: ApiFacts) -> Iterator[Finding]:
    if facts.contact.refusal:
        yield Finding(Topic.LOGIN, Result.PROBLEM, facts.contact.refusal)
    elif facts.contact.account:
        yield Finding(Topic.LOGIN, Result.OK, "the API lets the admin in")


def _clock(facts: ApiFacts) -> Iterator[Finding]:
    skew = facts.contact.skew
    if not facts.contact.answers:
        return
    if skew is None:
        message = (
            "the API's answers have no usable Date, so this machine's clock counts in its place:"
            " let the API, or the proxy before it, send one"
        )
        yield Finding(Topic.CLOCK, Result.WARNING, message)
    elif abs(skew) < SLACK:
        yield Finding(Topic.CLOCK, Result.OK, "this machine's clock agrees with the API's")
    else:
        side = "ahead of" if skew > timedelta() else "behind"
        off = f"this machine's clock is {in_words(skew)} {side} the API's"
        if abs(skew) > facts.tolerance - _SECOND:
            message = f"{off}: set it right, or no new token will be accepted"
            yield Finding(Topic.CLOCK, Result.PROBLEM, message)
        else:
            message = f"{off}: set it right, as it tells when a token is due or over"
            yield Finding(Topic.CLOCK, Result.WARNING, message)


API_CHECKS: tuple[Check[ApiFacts], ...] = (
    _api,  # name, connection, TLS
    _login,  # e-mail, password, an admin's rights
    _clock,
)
