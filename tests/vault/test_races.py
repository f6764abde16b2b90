"""What others do between our look and our write, and what is left when a step fails."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from rotator.errors import ConflictError, StoreUnreachableError
from rotator.stores.journal import Journal
from rotator.testing.rig import new_intent, new_journal, new_secret, read_back, write
from tests.support.relay import Relay
from tests.vault.helpers import open_vault
from tests.vault.site import FIELD, Site

Act = Callable[[], object]


def just_once(relay: Relay, moment: str, act: Act) -> None:
    """Let something happen when a request comes by for the first time."""

    def at(now: str) -> bool:
        if now == moment:
            relay.at = lambda _: True
            act()
        return True

    relay.at = at


def test_a_neighbour_that_changes_meanwhile_is_kept(site: Site, relay: Relay) -> None:
    site.put_fields({FIELD: "old", "A": "1"})
    store = open_vault(site.store_url, site.variables(relay.url))
    just_once(
        relay,
        f"before POST /v1/{site.data}",
        lambda: site.put_fields({FIELD: "old", "A": "2", "B": 3}),
    )
    write(store, secret := new_secret(), journal := new_journal())
    assert site.fields() == {FIELD: secret, "A": "2", "B": 3}
    assert read_back(store) == (secret, journal)


@pytest.mark.parametrize("has_notes", [True, False])
def test_a_neighbour_that_is_the_first_to_be_written_meanwhile_is_kept(
    site: Site, relay: Relay, *, has_notes: bool
) -> None:
    store = open_vault(site.store_url, site.variables(relay.url))
    version = store.read().version
    if has_notes:
        version = store.note(Journal(intents=(new_intent(),)), expected=version)
    # A secret without a version takes two looks: at its data, and at its metadata.
    just_once(relay, f"before GET /v1/{site.metadata}", lambda: site.put_fields({"A": "1"}))
    store.write(secret := new_secret(), journal := new_journal(), expected=version)
    assert site.fields() == {FIELD: secret, "A": "1"}
    assert read_back(store) == (secret, journal)


def test_a_neighbour_that_never_rests_is_given_up(site: Site, relay: Relay) -> None:
    site.put_fields({FIELD: "old"})
    store = open_vault(site.store_url, site.variables(relay.url))
    version = store.read().version
    changes = iter(range(100))

    def at(moment: str) -> bool:
        if moment == f"before POST /v1/{site.data}":
            site.put_fields({FIELD: "old", "A": next(changes)})
        return True

    relay.at = at
    with pytest.raises(ConflictError):
        store.write(secret := new_secret(), new_journal(), expected=version)
    assert next(changes) > 1
    assert site.secret() == "old"
    assert secret not in str(site.fields())
    assert store.read().version == version


def test_our_field_that_changes_meanwhile_is_a_conflict_that_leaves_no_note(
    site: Site, relay: Relay
) -> None:
    store = open_vault(site.store_url, site.variables(relay.url))
    version = write(store, new_secret(), new_journal())
    notes = site.notes()
    just_once(relay, f"before POST /v1/{site.data}", lambda: site.put("theirs"))
    with pytest.raises(ConflictError, match="somebody else changed it since"):
        store.write(new_secret(), new_journal(), expected=version)
    assert site.secret() == "theirs"
    assert site.notes() == notes


def test_a_conflict_is_told_though_its_note_cannot_be_removed(
    site: Site, relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_vault(site.store_url, site.variables(relay.url))
    version = write(store, new_secret(), new_journal())

    def theirs() -> None:
        site.put("theirs")
        relay.at = lambda moment: "PATCH" not in moment

    just_once(relay, f"before POST /v1/{site.data}", theirs)
    with pytest.raises(ConflictError):
        store.write(secret := new_secret(), new_journal(), expected=version)
    assert "not written, and a note was left" in caplog.text
    assert secret not in caplog.text


def test_a_secret_is_written_though_old_notes_cannot_be_removed(
    site: Site, relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_vault(site.store_url, site.variables(relay.url))
    version = write(store, new_secret(), new_journal())

    def at(moment: str) -> bool:
        if moment == f"after POST /v1/{site.data}":
            relay.at = lambda later: "PATCH" not in later
        return True

    relay.at = at
    store.write(secret := new_secret(), journal := new_journal(), expected=version)
    relay.at = lambda _: True
    assert "written, but an old note was left" in caplog.text
    assert read_back(store) == (secret, journal)
    write(store, new_secret(), new_journal())
    assert len(site.notes()) == 1


def test_no_notes_of_the_past_are_left(site: Site) -> None:
    site.put("theirs")
    store = open_vault(site.store_url, site.variables(site.upstream))
    version = store.note(Journal(intents=(new_intent(),)), expected=store.read().version)
    store.write(new_secret(), new_journal(), expected=version)
    assert len(site.notes()) == 1


def test_of_two_first_intents_whoever_sees_the_other_steps_back(site: Site, relay: Relay) -> None:
    for present in (False, True):
        if present:
            site.put(new_secret())
        ours = open_vault(site.store_url, site.variables(relay.url))
        theirs = open_vault(site.store_url, site.variables(site.upstream))
        found = ours.read()
        intents = [new_intent(), new_intent()]
        wanted = [replace(found.journal, intents=(intent,)) for intent in intents]
        just_once(
            relay,
            f"before PATCH /v1/{site.metadata}",
            lambda: theirs.note(wanted[1], expected=found.version),  # noqa: B023 - called at once
        )
        with pytest.raises(ConflictError):
            ours.note(wanted[0], expected=found.version)
        assert theirs.read().journal.intents == (intents[1],)
        theirs.note(Journal(), expected=theirs.read().version)


def test_two_that_make_the_metadata_of_nothing_lose_no_note(site: Site, relay: Relay) -> None:
    store = open_vault(site.store_url, site.variables(relay.url))
    other = open_vault(f"{site.store_url}_2", site.variables(site.upstream))
    journals = [Journal(intents=(new_intent(),)) for _ in range(2)]
    just_once(
        relay,
        f"before POST /v1/{site.metadata}",
        lambda: other.note(journals[1], expected=other.read().version),
    )
    store.note(journals[0], expected=store.read().version)
    assert [store.read().journal, other.read().journal] == journals


def test_an_answer_that_gets_lost_is_no_success(site: Site, relay: Relay) -> None:
    store = open_vault(site.store_url, site.variables(relay.url))
    version = write(store, new_secret(), new_journal())
    relay.at = lambda moment: moment != f"after POST /v1/{site.data}"
    with pytest.raises(StoreUnreachableError, match="the connection failed or broke off"):
        store.write(secret := new_secret(), journal := new_journal(), expected=version)
    assert read_back(store) == (secret, journal)


def test_a_note_that_changes_nothing_sends_nothing(site: Site, relay: Relay) -> None:
    store = open_vault(site.store_url, site.variables(relay.url))
    version = write(store, new_secret(), journal := new_journal(intents=1))
    relay.moments.clear()
    assert store.note(journal, expected=version) == version
    assert not [moment for moment in relay.moments if "PATCH" in moment]
