"""The Parameter Store keeps the contract that every store has to keep."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

import pytest

from backends.aws.clients import new_client
from backends.aws.parameter_address import ParameterAddress
from backends.aws.parameters import ParameterStore, open_store
from rotator.errors import ConfigError, ConflictError, StoreDeniedError, StoreError
from rotator.stores.journal import Journal
from rotator.stores.port import Absent, parse_url
from rotator.testing import Cut, Rig, StoreContract
from rotator.testing.contract import (
    FailingStores,
    FencedStores,
    RacingStores,
    ReadStores,
    WrittenStores,
)
from rotator.testing.rehearsals import RehearsedStores
from rotator.testing.rig import new_intent, new_journal, new_secret, read_back, write
from tests.aws.parameters import READING, REHEARSING, WRITING, ParameterSite
from tests.aws.site import REGION, Aws, Keys
from tests.support.relay import Relay

_made = cache(new_client)


def store_at(
    site: ParameterSite, *, server: str | None = None, keys: Keys | None = None, options: str = ""
) -> ParameterStore:
    url = site.store_url.replace(f"region={REGION}", f"region={REGION}{options}")
    address = ParameterAddress.parse(parse_url(url, Path()), lambda: None)
    keys = site.keys() if keys is None else keys
    client = partial(_made, REGION, "ssm", attempts=1, endpoint_url=server or site.upstream, **keys)
    return ParameterStore(address, client)


Store = TypeVar("Store", bound=ParameterStore)


def in_another_process(store: Store) -> Store:
    """Return the store as another process has it, which waits for no thread of ours."""
    store._changing = threading.Lock()  # noqa: SLF001 - of another process
    return store


def elsewhere(site: ParameterSite) -> ParameterStore:
    return in_another_process(store_at(site))


@pytest.fixture
def site(aws: Aws) -> ParameterSite:
    return ParameterSite(aws)


@pytest.mark.sample(16)
class TestBareToken(ReadStores, WrittenStores, FencedStores):
    @pytest.fixture
    def rig(self, aws: Aws, relay: Relay) -> Rig:
        return ParameterRig(ParameterSite(aws), relay).rig()


@pytest.mark.long
class TestBareTokenInTrouble(FailingStores, RacingStores, RehearsedStores):
    @pytest.fixture
    def rig(self, aws: Aws, relay: Relay) -> Rig:
        return ParameterRig(ParameterSite(aws), relay).rig()


@pytest.mark.long
class TestKeyOfAnObject(StoreContract):
    @pytest.fixture
    def rig(self, aws: Aws, relay: Relay) -> Rig:
        return ParameterRig(ParameterSite(aws, field="TOKEN"), relay).rig()

    @pytest.mark.parametrize("secret", ["t", "a" * 8000])  # in JSON, of at most 8192 characters
    def test_any_token_can_be_written(self, rig: Rig, secret: str) -> None:
        super().test_any_token_can_be_written(rig, secret)


class ParameterRig:
    def __init__(self, site: ParameterSite, relay: Relay) -> None:
        self._site = site
        self._relay = relay
        self._server = site.upstream
        self._keys: Keys | None = None

    def rig(self) -> Rig:
        return Rig(
            open=lambda: store_at(self._site, server=self._server, keys=self._keys),
            put=self._site.put,
            neighbours=self._site.neighbours,
            unreachable=self.unreachable,
            forbidden=lambda: self.acting(self._site.aws.may()),
            read_only=lambda: self.acting(self._site.keys(*READING)),
            cut=self.cut,
        )

    @contextmanager
    def acting(self, keys: Keys) -> Iterator[None]:
        self._keys = keys
        yield
        self._keys = None

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        with self._through_relay(), self._relay.away():
            yield

    @contextmanager
    def cut(self, number: int) -> Iterator[Cut]:
        with self._through_relay(), self._relay.cut(number) as knife:
            yield knife

    @contextmanager
    def _through_relay(self) -> Iterator[None]:
        self._server = self._relay.url
        yield
        self._server = self._site.upstream


def meddling(relay: Relay, call: str, count: int, act: Callable[[], object]) -> None:
    """Do something before the relay passes on the `count`-th call of this name."""
    left = count

    def at(moment: str) -> bool:
        nonlocal left
        if moment.startswith("before ") and moment.endswith(f".{call}"):
            left -= 1
            if left == 0:
                act()
        return True

    relay.at = at


def test_a_write_that_comes_after_a_newer_one_is_undone(site: ParameterSite, relay: Relay) -> None:
    """A sleeper between its ticket and its write: the other's token comes back."""
    version = write(store_at(site), "old", new_journal())
    theirs = new_secret()
    # Its second PutParameter is the token: the first took the ticket.
    meddling(relay, "PutParameter", 2, lambda: write(elsewhere(site), theirs, new_journal()))
    with pytest.raises(ConflictError):
        store_at(site, server=relay.url).write("late", new_journal(), expected=version)
    assert site.secret() == theirs
    assert site.versions()[-3:] == [theirs, "late", theirs]


def test_a_canary_stands_beside_the_token_in_a_parameter_of_the_same_kind(aws: Aws) -> None:
    """It proves the key: the same KMS key, tier and pattern as those of the secret."""
    for field, name in ((None, "_REHEARSAL"), ("TOKEN", ".TOKEN_REHEARSAL")):
        site = ParameterSite(aws, field=field)
        write(store_at(site), "old", new_journal())
        before = site.neighbours(), site.tags()
        scratch = store_at(site).scratch()
        assert scratch.url == f"aws-ssm:{site.name}{name}?region={REGION}"
        scratch.preflight()
        version = write(scratch, canary := new_secret(), new_journal())
        assert site.beside() == [f"{site.name}{name}"]
        kept = ("Value", "Type", "KeyId", "Tier", "Description")
        found = site.operator.get_parameter_history(Name=f"{site.name}{name}", WithDecryption=True)[
            "Parameters"
        ][-1]
        assert [found.get(key) for key in kept] == [
            *(canary, "SecureString", "alias/bots", "Advanced", "of the night shift")
        ]
        assert (site.secret(), store_at(site).read().has_scratch) == ("old", True)
        scratch.remove(Journal(), expected=version)
        assert (site.neighbours(), site.tags()) == before


def test_a_canary_that_is_written_late_is_removed_again(site: ParameterSite, relay: Relay) -> None:
    """Its writer slept between its ticket and its write, and was taken for dead meanwhile."""
    write(store_at(site), "old", new_journal())
    scratch = store_at(site).scratch()
    version = scratch.note(Journal(intents=(new_intent(),)), expected=scratch.read().version)

    def take_over() -> None:
        other = in_another_process(store_at(site).scratch())
        other.write(new_secret(), new_journal(), expected=other.read().version)
        other.remove(Journal(), expected=other.read().version)

    meddling(relay, "PutParameter", 2, take_over)
    late = store_at(site, server=relay.url).scratch()
    with pytest.raises(ConflictError):
        late.write("late", new_journal(), expected=version)
    assert (site.beside(), store_at(site).read().has_scratch) == ([], False)


@pytest.mark.parametrize("missing", ["DeleteParameter", "AddTagsToResource", "PutParameter"])
def test_preflight_of_a_scratch_place_names_the_right_that_is_missing(
    site: ParameterSite, missing: str
) -> None:
    wanted = {*READING, *WRITING, *REHEARSING} - {missing}
    with pytest.raises(StoreDeniedError, match=f"AWS denies ssm:{missing}: allow it on") as caught:
        store_at(site, keys=site.keys(*wanted)).scratch().preflight()
    scratch, secret = f"parameter{site.name}_REHEARSAL", f":parameter{site.name} "
    assert (scratch in str(caught.value)) is (missing != "AddTagsToResource")
    assert (secret in f"{caught.value} ") is (missing != "DeleteParameter")
    assert site.beside() == []


def test_a_parameter_that_is_not_there_cannot_be_rehearsed(aws: Aws) -> None:
    site = ParameterSite(aws, exists=False)
    store = store_at(site, options="&create=true")
    with pytest.raises(StoreError, match="cannot be rehearsed: there is no such parameter yet"):
        store.scratch().preflight()
    assert (site.text(), site.beside()) == (None, [])


def test_a_write_that_was_taken_for_dead_is_undone(site: ParameterSite, relay: Relay) -> None:
    version = write(store_at(site), "old", new_journal())
    intent = new_intent("t-1")
    journal = store_at(site).read().journal.with_intent(intent)
    version = store_at(site).note(journal, expected=version)
    taken = journal.with_taken_over({intent.mint_id})

    def take_over() -> None:
        store = elsewhere(site)
        store.bump(expected=store.note(taken, expected=version))

    meddling(relay, "PutParameter", 2, take_over)
    with pytest.raises(ConflictError):
        store_at(site, server=relay.url).write("late", new_journal(), expected=version)
    assert site.versions()[-2:] == ["late", "old"]
    assert read_back(store_at(site)) == ("old", taken)


def test_a_ticket_stands_for_all_that_is_read_after_it(site: ParameterSite, relay: Relay) -> None:
    """Whoever is taken for dead while it reads the tags writes nothing."""
    version = write(store_at(site), "old", new_journal())
    theirs = partial(write, elsewhere(site), "theirs", new_journal())
    for call in ("GetParameter", "ListTagsForResource"):
        meddling(relay, call, 2 if call == "GetParameter" else 1, theirs)
        with pytest.raises(ConflictError):
            store_at(site, server=relay.url).write("late", new_journal(), expected=version)
        assert site.secret() == "theirs"
        version = write(store_at(site), "old", new_journal())
    assert "late" not in site.versions()


def test_of_two_that_read_the_same_the_second_writes_nothing(
    site: ParameterSite, relay: Relay
) -> None:
    version = write(store_at(site), "old", new_journal())
    meddling(relay, "PutParameter", 1, lambda: write(elsewhere(site), "theirs", new_journal()))
    with pytest.raises(ConflictError):
        store_at(site, server=relay.url).write("ours", new_journal(), expected=version)
    assert site.versions()[-2:] == ["old", "theirs"]


def test_earlier_tokens_can_be_had_again(site: ParameterSite) -> None:
    for secret in ("first", "second", "third"):
        write(store_at(site), secret, new_journal())
    assert list(store_at(site).earlier_secrets()) == ["second", "first"]
    assert store_at(site).provenance().changed_at


def test_a_missing_parameter_is_told_and_created_where_that_is_allowed(aws: Aws) -> None:
    site = ParameterSite(aws, exists=False)
    with pytest.raises(StoreError, match="there is no such parameter in eu-west-1: create it, or"):
        store_at(site).read()
    store = store_at(site, options="&create=true&kms_key_id=alias/other")
    assert store.read() == Absent(store.read().version, Journal())
    store.preflight()
    assert site.text() is None
    write(store, secret := new_secret(), journal := new_journal())
    assert read_back(store_at(site)) == (secret, journal)
    found = site.operator.get_parameter_history(Name=site.name)["Parameters"][-1]
    assert (found["Type"], found["KeyId"]) == ("SecureString", "alias/other")


def test_a_plain_string_is_read_and_not_written(site: ParameterSite) -> None:
    site.operator.delete_parameter(Name=site.name)
    site.operator.put_parameter(Name=site.name, Value="theirs", Type="String")
    assert read_back(store_at(site))[0] == "theirs"
    with pytest.raises(StoreError, match="is a String, which is not encrypted"):
        store_at(site).preflight()


def test_a_parameter_with_policies_is_not_written(site: ParameterSite) -> None:
    site.operator.put_parameter(
        Name=site.name, Value="theirs", Overwrite=True, Policies='[{"Type": "Expiration"}]'
    )
    with pytest.raises(StoreError, match="has policies"):
        store_at(site).preflight()


def test_a_parameter_full_of_tags_is_told_before_a_mint(site: ParameterSite) -> None:
    tags = [{"Key": f"k{n}", "Value": "v"} for n in range(47)]
    site.operator.add_tags_to_resource(ResourceType="Parameter", ResourceId=site.name, Tags=tags)
    with pytest.raises(StoreError, match="this parameter has 48 of 50 tags"):
        store_at(site).preflight()


@pytest.mark.sample(2)
@pytest.mark.parametrize("missing", WRITING)
def test_preflight_names_the_right_that_is_missing(site: ParameterSite, missing: str) -> None:
    keys = site.keys(*READING, *(each for each in WRITING if each != missing))
    with pytest.raises(StoreDeniedError, match=f"AWS denies ssm:{missing}: allow it on") as caught:
        store_at(site, keys=keys).preflight()
    assert f"arn:aws:ssm:{REGION}:*:parameter{site.name}" in str(caught.value)
    is_about_ticket = f"parameter/nocturna-rotator{site.name}" in str(caught.value)
    assert is_about_ticket is (missing == "PutParameter")


def test_a_token_that_is_too_long_is_told(site: ParameterSite) -> None:
    with pytest.raises(StoreError, match="up to 8192 characters"):
        write(store_at(site), "x" * 8193, Journal())


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("aws-ssm:bots/luna?region=eu-west-1", "needs the name of a parameter"),
        ("aws-ssm://bots/luna?region=eu-west-1", "needs the name of a parameter"),
        ("aws-ssm:/bots/luna/?region=eu-west-1", "needs the name of a parameter"),
        ("aws-ssm:/bots/lu%20na?region=eu-west-1", "needs the name of a parameter"),
        ("aws-ssm:/bots/luna?region=EU", "expected a region"),
        ("aws-ssm:/bots/luna?regoin=eu-west-1", "take the options region, create, kms_key_id"),
        ("aws-ssm:/bots/luna?region=eu-west-1&kms_key_id=x", "is for secrets that the rotator"),
        ("aws-ssm:/bots/luna?region=eu-west-1&create=yes", "expected create=true"),
    ],
)
def test_a_mistake_in_a_url_is_told(url: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        open_store(parse_url(url, Path()))


def test_the_region_is_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    store = open_store(parse_url("aws-ssm:luna?create=true#KEY", Path()))
    assert store.url == "aws-ssm:luna?region=eu-north-1#KEY"


def printed() -> list[list[list[str]]]:
    """Return the actions of each statement of each policy in the documentation."""
    text = Path(__file__).parents[2].joinpath("docs/stores.md").read_text()
    blocks = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    policies = [json.loads(block) for block in blocks if '"ssm:' in block]
    return [[each["Action"] for each in policy["Statement"]] for policy in policies]


def test_the_printed_policies_are_those_under_test() -> None:
    (rotating, rehearsing), [looking] = printed()
    assert rotating == [f"ssm:{operation}" for operation in (*READING, *WRITING)]
    assert rehearsing == [f"ssm:{operation}" for operation in REHEARSING]
    assert looking == [f"ssm:{operation}" for operation in READING]


def test_a_rotation_calls_all_that_the_policy_allows_and_nothing_else(site: ParameterSite) -> None:
    called: set[str] = set()
    client = new_client(REGION, "ssm", attempts=1, endpoint_url=site.upstream, **site.keys())
    client.meta.events.register("before-call", lambda model, **_: called.add(model.name))
    address = ParameterAddress.parse(parse_url(site.store_url, Path()), lambda: None)
    store = ParameterStore(address, lambda: client)
    store.read()
    assert called == set(READING)
    for _ in range(2):
        write(store, new_secret(), new_journal())
    assert called == {*READING, *WRITING}
    called.clear()
    store.preflight()
    assert called == {*READING, *WRITING}
