"""What becomes of the versions of a secret, and of what others do to them meanwhile."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier

import pytest

from rotator.errors import ConflictError, StoreError
from rotator.stores.journal import Journal
from rotator.testing.rig import new_intent, new_journal, new_secret, read_back, write
from tests.aws.conftest import store_at
from tests.aws.site import Aws, Site
from tests.support.relay import Relay
from tests.support.waiting import PATIENCE


def test_the_old_secret_stays_the_previous_one(site: Site) -> None:
    site.put(old := new_secret())
    before = site.version()
    write(store_at(site.store_url, site.aws), new := new_secret(), new_journal())
    assert site.secret() == new
    assert site.versions("AWSPREVIOUS") == [before]
    assert old in str(site.text("AWSPREVIOUS"))
    assert site.versions("AWSPENDING") == []


def test_the_text_changes_in_one_place_only(aws: Aws) -> None:
    text = '{"é":\t1.10, "NOCTURNA_SERVICE_TOKEN": "old", "big":12345678901234567890 }\n'
    site = Site(aws, others=text)
    write(store_at(site.store_url, aws), new := new_secret(), new_journal())
    assert site.text() == text.replace("old", new)


def test_two_keys_of_one_secret_have_a_journal_each(site: Site) -> None:
    stores = [store_at(f"{site.store_url}{suffix}", site.aws) for suffix in ("", "_2")]
    seen = [(new_secret(), new_journal(intents=1)) for _ in stores]
    for store, (secret, journal) in zip(stores, seen, strict=True):
        write(store, secret, journal)
    assert [read_back(store) for store in stores] == seen


def test_a_token_may_be_addressed_by_its_arn(site: Site) -> None:
    site.put(secret := new_secret())
    url = f"aws-secretsmanager://{site.about()['ARN']}#{site.field}"
    store = store_at(url, site.aws)
    assert read_back(store)[0] == secret
    store.preflight()
    write(store, new := new_secret(), new_journal())
    assert site.secret() == new


def test_writing_what_is_there_makes_no_version(site: Site) -> None:
    store = store_at(site.store_url, site.aws)
    write(store, secret := new_secret(), new_journal())
    before = site.about()["VersionIdsToStages"]
    write(store, secret, new_journal())
    store.note(Journal(), expected=store.read().version)
    store.preflight()
    assert site.about()["VersionIdsToStages"] == before


def test_another_key_that_changes_meanwhile_is_kept(site: Site, relay: Relay) -> None:
    store = store_at(site.store_url, site.aws, server=relay.url)
    version = store.read().version

    def meddle(_: str) -> bool:
        relay.at = lambda _: True
        site.put_text('{"LOG": "debug"}')
        return True

    relay.at = lambda moment: len(relay.moments) < 10 or meddle(moment)
    store.write(new := new_secret(), journal := new_journal(), expected=version)
    assert json.loads(site.text() or "") == {"LOG": "debug", site.field: new}
    assert read_back(store_at(site.store_url, site.aws)) == (new, journal)


def test_a_key_that_never_rests_is_a_conflict_in_the_end(site: Site, relay: Relay) -> None:
    store = store_at(site.store_url, site.aws, server=relay.url)
    version = store.read().version
    others = iter(range(100000))

    def meddle(_: str) -> bool:
        site.put_text(json.dumps({"COUNT": next(others)}))
        return True

    relay.at = meddle
    with pytest.raises(ConflictError, match="keeps changing; nothing was written"):
        store.write(new_secret(), new_journal(), expected=version)
    assert site.secret() is None
    assert [key for key in site.tags() if key.startswith("rotator:")] == [
        f"rotator:{site.field}:record:absent"
    ]


def test_who_loses_takes_its_record_away_again(site: Site, relay: Relay) -> None:
    write(store_at(site.store_url, site.aws), new_secret(), new_journal())
    before = site.tags()
    store = store_at(site.store_url, site.aws, server=relay.url)
    version = store.read().version

    def meddle(_: str) -> bool:
        if site.versions("AWSPENDING"):
            relay.at = lambda _: True
            site.put("theirs")
        return True

    relay.at = meddle
    with pytest.raises(ConflictError, match="somebody else changed it since it was read"):
        store.write(new_secret(), new_journal(), expected=version)
    assert site.secret() == "theirs"
    assert site.tags() == before


@pytest.mark.parametrize("before", [None, '{"LOG": "info"}'])
def test_of_two_first_writers_one_wins(aws: Aws, before: str | None) -> None:
    for _ in range(5):
        site = Site(aws, field="T" if before else None, others=before or "")
        version = store_at(site.store_url, aws).read().version
        start = Barrier(2)

        def run(
            secret: str, site: Site = site, version: str = version, start: Barrier = start
        ) -> bool:
            store = store_at(site.store_url, aws)
            start.wait(PATIENCE)
            try:
                store.write(secret, new_journal(), expected=version)
            except ConflictError:
                return False
            return True

        secrets = [new_secret(), new_secret()]
        with ThreadPoolExecutor(2) as pool:
            won = list(pool.map(run, secrets))
        assert sorted(won) == [False, True]
        assert site.secret() == secrets[won.index(True)]


def test_a_version_that_a_killed_rotator_left_pending_is_no_obstacle(
    site: Site, relay: Relay
) -> None:
    site.put(new_secret())
    _die_before_the_move(site, relay, new_secret())
    assert site.versions("AWSPENDING") != [site.version()]
    write(store_at(site.store_url, site.aws), new := new_secret(), new_journal())
    assert site.secret() == new
    assert site.versions("AWSPENDING") == []


def test_the_same_write_takes_the_place_of_what_it_left_pending(site: Site, relay: Relay) -> None:
    site.put(new_secret())
    _die_before_the_move(site, relay, new := new_secret())
    assert len(site.versions("AWSPENDING")) == 1
    write(store_at(site.store_url, site.aws), new, new_journal())
    assert site.secret() == new
    assert site.versions("AWSPENDING") == []


def test_a_label_that_died_on_the_current_version_does_no_harm(site: Site, relay: Relay) -> None:
    site.put(new_secret())
    store = store_at(site.store_url, site.aws, server=relay.url)
    relay.at = lambda _: site.versions("AWSPENDING") != [site.version()]
    with suppress(StoreError):
        write(store, new := new_secret(), new_journal())
    before = site.about()["VersionIdsToStages"]
    assert site.versions("AWSPENDING") == [site.version()]
    store = store_at(site.store_url, site.aws)
    store.preflight()
    assert site.about()["VersionIdsToStages"] == before
    assert site.secret() == new
    write(store, newer := new_secret(), new_journal())
    assert site.secret() == newer


def test_what_another_rotation_has_pending_is_not_made_current(site: Site, relay: Relay) -> None:
    site.put(new_secret())
    store = store_at(site.store_url, site.aws, server=relay.url)

    def meddle(_: str) -> bool:
        if site.versions("AWSPENDING"):
            relay.at = lambda _: True
            site.operator.put_secret_value(
                SecretId=site.name, SecretString="theirs", VersionStages=["AWSPENDING"]
            )
        return True

    relay.at = meddle
    write(store, new := new_secret(), new_journal())
    assert site.secret() == new
    assert site.text("AWSPENDING") == "theirs"


# After the answers of: the tags before, the new version, the move, the tags after.
@pytest.mark.parametrize("moment", [5, 7, 11, 13])
def test_a_lost_answer_is_made_good_by_a_repetition(site: Site, relay: Relay, moment: int) -> None:
    site.put(new_secret())
    store = store_at(site.store_url, site.aws, server=relay.url, attempts=3)
    version = store.read().version
    with relay.cut(moment):
        store.write(new := new_secret(), journal := new_journal(), expected=version)
    assert read_back(store) == (new, journal)


def test_an_operator_who_rolls_back_meanwhile_is_not_overruled(site: Site) -> None:
    site.put(new_secret())
    store = store_at(site.store_url, site.aws)
    write(store, new_secret(), new_journal())
    version = store.read().version
    site.operator.update_secret_version_stage(
        SecretId=site.name,
        VersionStage="AWSCURRENT",
        MoveToVersionId=site.version("AWSPREVIOUS"),
        RemoveFromVersionId=site.version(),
    )
    with pytest.raises(ConflictError):
        store.write(new_secret(), new_journal(), expected=version)


def test_the_journal_keeps_to_what_tags_may_be(site: Site) -> None:
    store = store_at(site.store_url, site.aws)
    write(store, new_secret(), new_journal(pending=8, hooks=8, intents=8))
    tags = site.tags()
    assert all(len(key) <= 128 and len(text) <= 256 for key, text in tags.items())
    assert len(tags) < 20
    allowed = set("_.:/=+-@ ")
    assert all(each.isalnum() or each in allowed for pair in tags.items() for each in "".join(pair))


def test_the_first_write_leaves_the_tags_of_one_record(site: Site) -> None:
    site.put(new_secret())
    store = store_at(site.store_url, site.aws)
    version = store.note(Journal(intents=(new_intent(),)), expected=store.read().version)
    store.write(new_secret(), Journal(token_id="a-token"), expected=version)
    assert sorted(key.split(":")[0] for key in site.tags()) == ["rotator", "team"]


def test_tags_that_others_have_filled_up_are_seen_before_a_mint(site: Site) -> None:
    tags = [{"Key": f"k{number}", "Value": "v"} for number in range(47)]
    site.operator.tag_resource(SecretId=site.name, Tags=tags)
    with pytest.raises(StoreError, match=r"has 48 of 50 tags.*remove some of them"):
        store_at(site.store_url, site.aws).preflight()


def _die_before_the_move(site: Site, relay: Relay, secret: str) -> None:
    store = store_at(site.store_url, site.aws, server=relay.url)
    relay.at = lambda _: not site.versions("AWSPENDING")
    with suppress(StoreError):
        write(store, secret, new_journal())


def test_two_rotators_that_write_the_same_text_do_not_meet_in_one_version(site: Site) -> None:
    secret, barrier = new_secret(), Barrier(3, timeout=PATIENCE)

    def copy(expected: str) -> None:
        store = store_at(site.store_url, site.aws)
        barrier.wait()
        with suppress(ConflictError):
            store.write(secret, new_journal(), expected=expected)

    for _ in range(3):
        site.put(new_secret())
        version = store_at(site.store_url, site.aws).read().version
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(copy, [version] * 3))
        assert site.secret() == secret
        assert len(site.versions("AWSCURRENT")) == 1
        assert site.versions("AWSPENDING") == []
