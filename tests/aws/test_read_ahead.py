"""Many secrets of one region: by BatchGetSecretValue, and alone where that is denied."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from backends.aws.address import AwsAddress
from backends.aws.clients import new_client
from backends.aws.store import SecretsManagerStore
from rotator.http.throttle import Throttle
from rotator.rotation.ahead import ReadAhead
from rotator.rotation.observe import Observation, Unreachable
from rotator.stores.port import parse_url
from tests.aws.site import READING, REGION, WRITING, Aws, Site
from tests.support.clock import StillTime

BATCH = "BatchGetSecretValue"
MANY = 23


class Fleet:
    """Secrets, and stores of them for a user that may call these; `calls` are counted."""

    def __init__(self, sites: list[Site], *allowed: str) -> None:
        self.calls: Counter[str] = Counter()
        aws = sites[0].aws
        keys = aws.may(*READING, *WRITING, *allowed)
        client = new_client(REGION, attempts=1, endpoint_url=aws.upstream, **keys)
        client.meta.events.register("before-call", self._count)
        self._throttle = Throttle(8)
        self._client = client
        self.stores = [self.open(site.store_url) for site in sites]
        self.ahead = ReadAhead(StillTime().monotonic)

    def _count(self, model: object, **_: object) -> None:
        self.calls[getattr(model, "name")] += 1  # noqa: B009 - botocore has no types

    def open(self, url: str) -> SecretsManagerStore:
        address = AwsAddress.parse(parse_url(url, Path()), lambda: REGION)
        return SecretsManagerStore(address, lambda: self._client, throttle=self._throttle)

    def look(self) -> list[Observation | Unreachable]:
        self.calls.clear()
        self.ahead.expect(self.stores)
        return [self.ahead.observe_store(store) for store in self.stores]


def secrets(seen: list[Observation | Unreachable]) -> list[str | None]:
    return [each.secret if isinstance(each, Observation) else None for each in seen]


def plain(seen: Observation | Unreachable) -> str:
    """Return all that is known of a store, but for the identity of an error."""
    assert isinstance(seen, Observation)
    return f"{seen.secret} {replace(seen, fault=None)}"


@pytest.fixture(scope="module")
def sites(aws: Aws) -> list[Site]:
    sites = [Site(aws) for _ in range(MANY)]
    for number, site in enumerate(sites):
        site.put(f"token {number}")
    return sites


TOKENS = [f"token {number}" for number in range(MANY)]


def test_twenty_texts_come_in_one_answer(sites: list[Site]) -> None:
    fleet = Fleet(sites, BATCH)
    assert secrets(fleet.look()) == TOKENS
    # The last three are too few for another one.
    assert fleet.calls == {BATCH: 1, "DescribeSecret": MANY, "GetSecretValue": 3}


def test_what_is_read_ahead_is_what_is_read_alone(sites: list[Site]) -> None:
    fleet = Fleet(sites[:6], BATCH)
    fleet.stores.append(fleet.open(sites[0].store_url.partition("#")[0] + "#LOG"))
    ahead, alone = fleet.look(), [fleet.ahead.observe_store(store) for store in fleet.stores]
    assert fleet.calls[BATCH] == 1
    assert [plain(each) for each in ahead] == [plain(each) for each in alone]


def test_without_the_right_each_is_read_alone_and_it_is_tried_once(
    sites: list[Site], caplog: pytest.LogCaptureFixture
) -> None:
    fleet = Fleet(sites[:6])
    assert secrets(fleet.look()) == TOKENS[:6]
    [told] = [each for each in caplog.messages if each.startswith("each is read alone: ")]
    assert told.endswith("AWS denies secretsmanager:BatchGetSecretValue: allow it on *")
    assert fleet.calls == {BATCH: 1, "DescribeSecret": 6, "GetSecretValue": 6}
    fleet.look()
    assert fleet.calls == {"DescribeSecret": 6, "GetSecretValue": 6}


def test_a_version_that_came_meanwhile_is_read(sites: list[Site], aws: Aws) -> None:
    fresh = Site(aws)
    fresh.put("before")
    fleet = Fleet([*sites[:5], fresh], BATCH)
    fleet.ahead.expect(fleet.stores)
    fleet.ahead.observe_store(fleet.stores[0])
    assert fleet.calls[BATCH] == 1
    fresh.put("after")
    assert secrets([fleet.ahead.observe_store(fleet.stores[-1])]) == ["after"]


def test_one_that_is_missing_is_told_and_stops_no_other(sites: list[Site]) -> None:
    fleet = Fleet(sites[:5], BATCH)
    fleet.stores.insert(0, fleet.open(f"aws-secretsmanager://not/there?region={REGION}#T"))
    missing, *others = fleet.look()
    assert isinstance(missing, Unreachable)
    assert "there is no such secret in eu-west-1" in str(missing.error)
    assert secrets(others) == TOKENS[:5]
    assert fleet.calls[BATCH] == 1


def test_a_look_before_a_write_asks_for_the_text_itself(sites: list[Site]) -> None:
    fleet = Fleet(sites[:5], BATCH)
    [first, *_] = fleet.look()
    assert isinstance(first, Observation)
    fleet.calls.clear()
    first.store.note(first.journal, expected=first.version)
    assert fleet.calls == {"DescribeSecret": 1, "GetSecretValue": 1, "TagResource": 1}
