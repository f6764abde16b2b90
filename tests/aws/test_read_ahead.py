"""Many secrets of one region: by BatchGetSecretValue and ListSecrets, alone where denied."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from backends.aws.address import AwsAddress
from backends.aws.clients import new_client
from backends.aws.store import SecretsManagerStore
from rotator.errors import ConflictError
from rotator.http.throttle import Throttle
from rotator.rotation.ahead import ReadAhead
from rotator.rotation.observe import Observation, Unreachable, observe_store
from rotator.stores.port import parse_url
from tests.aws.answering import Endpoint
from tests.aws.site import READING, REGION, WRITING, Aws, Site
from tests.support.clock import StillTime

BATCH = "BatchGetSecretValue"
LIST = "ListSecrets"
MANY = 23
LISTED = 100  # secrets, from which a list is worth it
OTHER = "6d927cbd-b25b-45ef-a034-49c1e2d79a3a"  # the id of a token


class Fleet:
    """Secrets, and stores of them for a user that may call these; `calls` are counted."""

    def __init__(self, sites: list[Site], *allowed: str, may_lag: bool = False) -> None:
        self.calls: Counter[str] = Counter()
        self._aws = sites[0].aws
        self._throttle = Throttle(8)
        self.may_only(*READING, *WRITING, *allowed)
        self.stores = [self.open(site.store_url) for site in sites]
        self.ahead = ReadAhead(StillTime().monotonic, may_lag=may_lag)

    def may_only(self, *allowed: str, server: str = "") -> None:
        keys, server = self._aws.may(*allowed), server or self._aws.upstream
        client = new_client(REGION, attempts=1, endpoint_url=server, **keys)
        client.meta.events.register("before-call", self._count)
        self._client = client

    def _count(self, model: object, **_: object) -> None:
        self.calls[getattr(model, "name")] += 1  # noqa: B009 - botocore has no types

    def open(self, url: str) -> SecretsManagerStore:
        address = AwsAddress.parse(parse_url(url, Path()), lambda: REGION)
        return SecretsManagerStore(address, lambda: self._client, throttle=self._throttle)

    def look(self) -> list[Observation | Unreachable]:
        self.calls.clear()
        self.ahead.expect(self.stores)
        return [self.ahead.observe_store(store) for store in self.stores]

    def look_at(self, number: int) -> Observation:
        seen = self.ahead.observe_store(self.stores[number])
        assert isinstance(seen, Observation)
        return seen


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
    assert fleet.calls == {BATCH: 2, "DescribeSecret": MANY}


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


@pytest.fixture(scope="module")
def many(sites: list[Site], aws: Aws) -> list[Site]:
    more = [Site(aws) for _ in range(LISTED - MANY)]
    for number, site in enumerate(more, start=MANY):
        site.put(f"token {number}")
    return [*sites, *more]


def test_a_hundred_are_described_by_a_list(many: list[Site]) -> None:
    fleet = Fleet(many, BATCH, LIST, may_lag=True)
    fleet.stores[7] = fleet.open(f"aws-secretsmanager://{many[7].about()['ARN']}#{many[7].field}")
    [noted, *_] = fleet.stores
    seen = observe_store(noted)
    assert isinstance(seen, Observation)
    noted.note(replace(seen.journal, token_id=OTHER), expected=seen.version)
    ahead = fleet.look()
    assert secrets(ahead) == [f"token {number}" for number in range(LISTED)]
    assert fleet.calls.keys() == {BATCH, LIST}
    assert fleet.calls[BATCH] == LISTED // 20
    assert fleet.calls[LIST] <= LISTED // 20
    alone = [fleet.ahead.observe_store(store) for store in fleet.stores]
    assert [plain(each) for each in ahead] == [plain(each) for each in alone]


def test_whoever_needs_the_latest_journals_gets_no_list(many: list[Site]) -> None:
    fleet = Fleet(many, BATCH, LIST)
    fleet.look()
    assert fleet.calls == {BATCH: LISTED // 20, "DescribeSecret": LISTED}


def test_fewer_are_described_alone(many: list[Site]) -> None:
    fleet = Fleet(many[1:], BATCH, LIST, may_lag=True)
    fleet.look()
    assert fleet.calls == {BATCH: LISTED // 20, "DescribeSecret": LISTED - 1}


def test_without_the_right_to_list_each_is_described_alone(
    many: list[Site], caplog: pytest.LogCaptureFixture
) -> None:
    fleet = Fleet(many, BATCH, may_lag=True)
    fleet.look()
    assert fleet.calls == {LIST: 1, BATCH: LISTED // 20, "DescribeSecret": LISTED}
    [told] = [each for each in caplog.messages if each.startswith("each secret is described alone")]
    assert told.endswith("AWS denies secretsmanager:ListSecrets: allow it on *")


def test_a_version_that_the_list_lacks_is_described(many: list[Site]) -> None:
    fleet = Fleet(many, BATCH, LIST, may_lag=True)
    fleet.ahead.expect(fleet.stores)
    fleet.look_at(0)
    fleet.calls.clear()
    many[1].put("after")
    assert fleet.look_at(1).secret == "after"
    assert fleet.calls == {BATCH: 1, "DescribeSecret": 1}
    many[1].put("token 1")


def test_a_journal_that_the_list_lacks_is_never_written_over(many: list[Site]) -> None:
    fleet = Fleet(many, BATCH, LIST, may_lag=True)
    fleet.ahead.expect(fleet.stores)
    fleet.look_at(0)
    other = fleet.open(many[1].store_url)
    before = observe_store(other)
    assert isinstance(before, Observation)
    other.note(replace(before.journal, token_id=OTHER), expected=before.version)
    stale = fleet.look_at(1)
    assert stale.journal == before.journal
    with pytest.raises(ConflictError, match="somebody else changed it"):
        stale.store.note(stale.journal, expected=stale.version)
    assert fleet.look_at(1).journal.token_id == OTHER


def test_texts_that_are_denied_later_are_read_alone(many: list[Site]) -> None:
    fleet = Fleet(many[:MANY], BATCH)
    fleet.ahead.expect(fleet.stores)
    fleet.look_at(0)
    fleet.calls.clear()
    fleet.may_only(*READING)
    assert fleet.look_at(1).secret == "token 1"
    assert fleet.calls == {BATCH: 1, "DescribeSecret": 1, "GetSecretValue": 1}


@pytest.mark.parametrize("labels", [[], ["AWSCURRENT"]])
@pytest.mark.parametrize("more", [None, "more"])
def test_odd_answers_are_told_and_come_to_an_end(
    many: list[Site], endpoint: Endpoint, labels: object, more: str | None
) -> None:
    listed = {"Name": many[0].name, "SecretVersionsToStages": {"one": labels}}
    value = {"Name": many[0].name, "VersionId": "one", "SecretString": "{}"}
    answer = {"SecretList": [None, listed], "SecretValues": [None, value], "NextToken": more}
    fleet = Fleet(many, may_lag=True)
    fleet.may_only(server=endpoint.answer(200, answer))
    for seen in fleet.look():
        assert isinstance(seen, Unreachable)
        assert "what answers is no AWS Secrets Manager" in str(seen.error)
    assert fleet.calls[LIST] == (LISTED // 20 if more else 1)
    assert fleet.calls[BATCH] == LISTED // 20
