"""Writing secrets and journals, one writer at a time."""

import pytest

from rotator.errors import ConflictError
from rotator.stores.journal import Journal
from rotator.testing.rig import (
    Rig,
    is_absent,
    new_intent,
    new_journal,
    new_secret,
    shown,
    write,
)


class WrittenStores:
    """Writing: what was written is read, and nothing else is touched."""

    def test_what_was_written_is_read(self, rig: Rig) -> None:
        before = rig.neighbours()
        for _ in range(3):
            write(rig.open(), secret := new_secret(), journal := new_journal())
            assert shown(rig.open()) == (secret, journal)
        assert rig.neighbours() == before

    @pytest.mark.parametrize("secret", ["t", "a" * 8192, "A.b-c_d~e+f/g="])
    def test_any_token_can_be_written(self, rig: Rig, secret: str) -> None:
        write(rig.open(), secret, new_journal())
        assert shown(rig.open())[0] == secret

    def test_a_write_returns_the_version_that_is_read(self, rig: Rig) -> None:
        version = write(rig.open(), new_secret(), new_journal())
        assert rig.open().read().version == version
        version = rig.open().note(journal := new_journal(intents=1), expected=version)
        assert rig.open().read().version == version
        version = rig.open().write(new_secret(), journal, expected=version)
        assert rig.open().read().version == version

    def test_the_same_may_be_written_again(self, rig: Rig) -> None:
        secret, journal = new_secret(), new_journal()
        version = write(rig.open(), secret, journal)
        assert rig.open().write(secret, journal, expected=version) == version
        assert shown(rig.open()) == (secret, journal)

    def test_a_version_that_has_passed_is_a_conflict(self, rig: Rig) -> None:
        first = rig.open().read().version
        second = rig.open().write(secret := new_secret(), journal := new_journal(), expected=first)
        with pytest.raises(ConflictError):
            rig.open().write(new_secret(), new_journal(), expected=first)
        with pytest.raises(ConflictError):
            rig.open().note(new_journal(), expected=first)
        assert shown(rig.open()) == (secret, journal)
        rig.open().note(later := new_journal(), expected=second)
        with pytest.raises(ConflictError):
            rig.open().write(new_secret(), new_journal(), expected=second)
        assert shown(rig.open()) == (secret, later)

    @pytest.mark.parametrize(
        "journal",
        [
            Journal(),
            new_journal(owed=0, hooks=0),
            new_journal(owed=6, hooks=6),
            new_journal(owed=3, hooks=3, intents=8),
            Journal(intents=(new_intent(),)),
        ],
        ids=["empty", "at rest", "much to do", "long", "only an intent"],
    )
    @pytest.mark.parametrize("present", [True, False])
    def test_every_journal_comes_back_whole(
        self, rig: Rig, journal: Journal, *, present: bool
    ) -> None:
        secret = new_secret() if present else None
        if secret:
            write(rig.open(), secret, new_journal(owed=2, hooks=2))
        before = rig.neighbours()
        rig.open().note(journal, expected=rig.open().read().version)
        assert shown(rig.open()) == (secret, journal)
        version = rig.open().note(new_journal(owed=1), expected=rig.open().read().version)
        rig.open().note(Journal(), expected=version)
        assert shown(rig.open()) == (secret, Journal())
        assert rig.neighbours() == before

    def test_a_note_about_nothing_does_not_make_a_secret(self, rig: Rig) -> None:
        journal = Journal(intents=(new_intent(),))
        version = rig.open().note(journal, expected=rig.open().read().version)
        assert is_absent(rig.open())
        rig.open().write(secret := new_secret(), journal := new_journal(), expected=version)
        assert shown(rig.open()) == (secret, journal)

    def test_an_intent_is_settled_by_the_write_that_leaves_it_out(self, rig: Rig) -> None:
        version = write(rig.open(), new_secret(), new_journal())
        intent, token_id = new_intent(), "t-1"
        version = rig.open().note(Journal(intents=(intent,)), expected=version)
        version = rig.open().note(
            Journal(intents=(intent._replace(token_id=token_id),)), expected=version
        )
        assert [each.token_id for each in rig.open().read().journal.intents] == [token_id]
        rig.open().write(new_secret(), journal := new_journal(), expected=version)
        assert rig.open().read().journal == journal

    def test_preflight_changes_nothing(self, rig: Rig) -> None:
        for _ in range(2):
            before, version = rig.neighbours(), rig.open().read().version
            rig.open().preflight()
            assert rig.neighbours() == before
            assert rig.open().read().version == version
            write(rig.open(), new_secret(), new_journal())
