"""What a store says about itself and about what others put into it."""

import pytest

from rotator.errors import ConflictError
from rotator.stores.journal import Journal
from rotator.testing.rig import Rig, given, is_absent, new_journal, new_secret, shown, write


class ReadStores:
    """Reading: the part of the contract that needs read rights only."""

    def test_two_instances_have_the_same_url(self, rig: Rig) -> None:
        one, other = rig.open(), rig.open()
        assert one.url == other.url
        assert ":" in one.url

    def test_what_was_never_written_is_absent_and_has_no_journal(self, rig: Rig) -> None:
        assert is_absent(rig.open())
        assert rig.open().read().journal == Journal()

    def test_reading_changes_nothing(self, rig: Rig) -> None:
        before = rig.neighbours()
        versions = {rig.open().read().version for _ in range(3)}
        assert len(versions) == 1
        assert rig.neighbours() == before

    def test_what_others_put_there_is_read_as_it_is(self, rig: Rig) -> None:
        put = given(rig.put, "put a secret there")
        for value in rig.values:
            put(value)
            assert shown(rig.open())[0] == value

    def test_what_others_put_there_can_be_replaced(self, rig: Rig) -> None:
        put = given(rig.put, "put a secret there")
        for value in rig.values:
            put(value)
            before = rig.neighbours()
            write(rig.open(), secret := new_secret(), journal := new_journal())
            assert shown(rig.open()) == (secret, journal)
            assert rig.neighbours() == before

    def test_what_others_put_there_since_is_not_overwritten(self, rig: Rig) -> None:
        put = given(rig.put, "put a secret there")
        put("theirs, at first")
        version = rig.open().read().version
        put("theirs, later")
        with pytest.raises(ConflictError):
            rig.open().write(new_secret(), new_journal(), expected=version)
        with pytest.raises(ConflictError):
            rig.open().note(new_journal(), expected=version)
        assert shown(rig.open())[0] == "theirs, later"

    def test_what_is_to_be_done_survives_a_hand_that_changes_the_secret(self, rig: Rig) -> None:
        put = given(rig.put, "put a secret there")
        write(rig.open(), new_secret(), journal := new_journal(intents=1))
        put("theirs")
        assert shown(rig.open()) == ("theirs", journal)

    def test_no_instance_shows_a_secret_in_its_repr(self, rig: Rig) -> None:
        store = rig.open()
        write(store, secret := new_secret(), new_journal())
        assert secret not in repr(store)
        assert secret not in repr(store.read())
