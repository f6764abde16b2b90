"""The contract of a store: what it returns, what it leaves alone, and how it fails."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import count

import pytest

from rotator.errors import ConflictError, StoreDeniedError, StoreError, StoreUnreachableError
from rotator.stores.journal import Journal
from rotator.stores.port import BumpedStore, SecretStore
from rotator.testing.rehearsals import RehearsedStores
from rotator.testing.rig import (
    Rig,
    is_absent,
    new_intent,
    new_journal,
    new_secret,
    race,
    read_back,
    require,
    write,
)

_ROUNDS = 10
_MOST_STEPS = 200


class ReadStores:
    """Reading, also of what other programs put there."""

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

    def test_what_others_put_there_is_read_as_it_is_and_can_be_replaced(self, rig: Rig) -> None:
        put = require(rig.put, "put a secret there")
        for value in rig.values:
            put(value)
            assert read_back(rig.open())[0] == value
            before = rig.neighbours()
            write(rig.open(), secret := new_secret(), journal := new_journal())
            assert read_back(rig.open()) == (secret, journal)
            assert rig.neighbours() == before

    def test_what_others_put_there_since_is_not_overwritten(self, rig: Rig) -> None:
        put = require(rig.put, "put a secret there")
        put("theirs, at first")
        version = rig.open().read().version
        put("theirs, later")
        with pytest.raises(ConflictError):
            rig.open().write(new_secret(), new_journal(), expected=version)
        with pytest.raises(ConflictError):
            rig.open().note(new_journal(), expected=version)
        assert read_back(rig.open())[0] == "theirs, later"

    def test_the_journal_survives_when_others_change_the_secret(self, rig: Rig) -> None:
        put = require(rig.put, "put a secret there")
        write(rig.open(), new_secret(), journal := new_journal(intents=1))
        put("theirs")
        assert read_back(rig.open()) == ("theirs", journal)

    def test_no_instance_shows_a_secret_in_its_repr(self, rig: Rig) -> None:
        store = rig.open()
        write(store, secret := new_secret(), new_journal())
        assert secret not in repr(store)
        assert secret not in repr(store.read())


class WrittenStores:
    """Writing: what is written is read, and nothing else changes."""

    def test_what_was_written_is_read(self, rig: Rig) -> None:
        before = rig.neighbours()
        for _ in range(3):
            write(rig.open(), secret := new_secret(), journal := new_journal())
            assert read_back(rig.open()) == (secret, journal)
        assert rig.neighbours() == before

    @pytest.mark.parametrize("secret", ["t", "a" * 8192, "A.b-c_d~e+f/g="])
    def test_any_token_can_be_written(self, rig: Rig, secret: str) -> None:
        write(rig.open(), secret, new_journal())
        assert read_back(rig.open())[0] == secret

    def test_a_note_returns_the_version_that_is_read(self, rig: Rig) -> None:
        version = write(rig.open(), new_secret(), new_journal())
        version = rig.open().note(new_journal(intents=1), expected=version)
        assert rig.open().read().version == version
        version = rig.open().note(new_journal(), expected=version)
        assert rig.open().read().version == version

    def test_the_same_may_be_written_again(self, rig: Rig) -> None:
        secret, journal = new_secret(), new_journal()
        version = write(rig.open(), secret, journal)
        rig.open().write(secret, journal, expected=version)
        assert rig.open().read().version == version
        assert read_back(rig.open()) == (secret, journal)

    def test_a_version_that_has_passed_is_a_conflict(self, rig: Rig) -> None:
        first = rig.open().read().version
        second = write(rig.open(), secret := new_secret(), journal := new_journal())
        with pytest.raises(ConflictError):
            rig.open().write(new_secret(), new_journal(), expected=first)
        with pytest.raises(ConflictError):
            rig.open().note(new_journal(), expected=first)
        assert read_back(rig.open()) == (secret, journal)
        rig.open().note(later := new_journal(), expected=second)
        with pytest.raises(ConflictError):
            rig.open().write(new_secret(), new_journal(), expected=second)
        assert read_back(rig.open()) == (secret, later)

    @pytest.mark.parametrize(
        "journal",
        [
            Journal(),
            new_journal(pending=0, hooks=0),
            new_journal(pending=6, hooks=6),
            new_journal(pending=3, hooks=3, intents=8),
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
            write(rig.open(), secret, new_journal(pending=2, hooks=2))
        before = rig.neighbours()
        rig.open().note(journal, expected=rig.open().read().version)
        assert read_back(rig.open()) == (secret, journal)
        version = rig.open().note(new_journal(pending=1), expected=rig.open().read().version)
        rig.open().note(Journal(), expected=version)
        assert read_back(rig.open()) == (secret, Journal())
        assert rig.neighbours() == before

    def test_a_note_about_nothing_does_not_make_a_secret(self, rig: Rig) -> None:
        journal = Journal(intents=(new_intent(),))
        version = rig.open().note(journal, expected=rig.open().read().version)
        assert is_absent(rig.open())
        rig.open().write(secret := new_secret(), journal := new_journal(), expected=version)
        assert read_back(rig.open()) == (secret, journal)

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


class RacingStores:
    """Racing: of two writers that start from the same version only one succeeds."""

    def test_of_two_writers_one_wins_and_the_other_gets_a_conflict(self, rig: Rig) -> None:
        write(rig.open(), new_secret(), new_journal())
        for _ in range(_ROUNDS):
            wanted = [(new_secret(), new_journal()) for _ in range(2)]
            [winner] = race(rig, "write", wanted)
            assert read_back(rig.open()) == wanted[winner]

    def test_of_two_intents_at_most_one_is_written(self, rig: Rig) -> None:
        write(rig.open(), new_secret(), new_journal())
        for _ in range(_ROUNDS):
            journal = rig.open().read().journal
            intents = [new_intent() for _ in range(2)]
            winners = race(rig, "note", [(journal.with_intent(intent),) for intent in intents])
            left = rig.open().read()
            assert list(left.journal.intents) == [intents[winner] for winner in winners]
            rig.open().note(journal, expected=left.version)

    @pytest.mark.parametrize("change", ["note", "bump", "write"])
    def test_what_a_mint_noted_meanwhile_is_neither_undone_nor_removed(
        self, rig: Rig, change: str
    ) -> None:
        version = write(rig.open(), secret := new_secret(), new_journal(hooks=1))
        before = rig.open().read().journal
        journal = before.with_intent(intent := new_intent())
        version = rig.open().note(journal, expected=version)
        answered = intent._replace(token_id="t-1")  # noqa: S106 - an id
        rig.open().note(before.with_intent(answered), expected=version)
        with pytest.raises(ConflictError):
            rig.open().note(before, expected=version)
        with suppress(ConflictError):
            if change == "bump":
                version = _bumped(rig.open()).bump(expected=version)
            if change == "write":
                rig.open().write(secret + "-new", journal, expected=version)
            else:
                rig.open().note(replace(journal, hooks=()), expected=version)
        assert rig.open().read().journal.intents == (answered,)

    def test_neighbours_survive_a_race(self, rig: Rig) -> None:
        before = rig.neighbours()
        race(rig, "write", [(new_secret(), new_journal()) for _ in range(2)])
        assert rig.neighbours() == before

    def test_a_hold_ends_with_its_block(self, rig: Rig) -> None:
        with (store := rig.open()).hold():
            write(store, new_secret(), new_journal())
        assert rig.open().held_elsewhere() in (False, None)
        with rig.open().hold():
            write(rig.open(), new_secret(), new_journal())


class FencedStores:
    """Fencing: who was taken for dead, and has lost its intent to another one, writes no more."""

    def test_a_run_whose_intent_was_taken_over_cannot_write(self, rig: Rig) -> None:
        version = write(rig.open(), secret := new_secret(), new_journal())
        intent = new_intent("t-1")
        journal = rig.open().read().journal.with_intent(intent)
        version = rig.open().note(journal, expected=version)
        taken = journal.with_taken_over({intent.mint_id})
        rig.open().note(taken, expected=version)
        with pytest.raises(ConflictError):
            rig.open().write(new_secret(), new_journal(), expected=version)
        assert read_back(rig.open()) == (secret, taken)
        rig.open().note(
            taken.without_intents({intent.taken_over().mint_id}), expected=_version(rig)
        )
        with pytest.raises(ConflictError):
            rig.open().write(new_secret(), new_journal(), expected=version)
        assert read_back(rig.open()) == (
            secret,
            taken.without_intents({intent.taken_over().mint_id}),
        )

    def test_an_intent_that_two_take_over_is_there_once(self, rig: Rig) -> None:
        version = write(rig.open(), new_secret(), new_journal())
        intent = new_intent()
        journal = rig.open().read().journal.with_intent(intent)
        version = rig.open().note(journal, expected=version)
        taken = journal.with_taken_over({intent.mint_id})
        version = rig.open().note(taken, expected=version)
        rig.open().note(taken.with_taken_over({intent.taken_over().mint_id}), expected=version)
        assert rig.open().read().journal.intents == (intent.taken_over(),)

    def test_a_bump_changes_nothing_that_is_read(self, rig: Rig) -> None:
        _bumped(rig.open())
        version = write(rig.open(), secret := new_secret(), journal := new_journal(intents=1))
        before = rig.neighbours()
        for _ in range(2):
            version = _bumped(rig.open()).bump(expected=version)
            assert rig.open().read().version == version
            assert read_back(rig.open()) == (secret, journal)
            assert rig.neighbours() == before
        rig.open().write(secret := new_secret(), journal, expected=version)
        assert read_back(rig.open()) == (secret, journal)

    def test_a_bump_of_a_version_that_has_passed_is_a_conflict(self, rig: Rig) -> None:
        store = _bumped(rig.open())
        version = write(store, new_secret(), new_journal())
        write(store, secret := new_secret(), journal := new_journal())
        with pytest.raises(ConflictError):
            store.bump(expected=version)
        assert read_back(rig.open()) == (secret, journal)

    def test_a_bump_makes_no_secret(self, rig: Rig) -> None:
        store = _bumped(rig.open())
        version = store.note(Journal(intents=(new_intent(),)), expected=store.read().version)
        with pytest.raises(StoreError):
            store.bump(expected=version)
        assert is_absent(rig.open())


def _bumped(store: SecretStore) -> BumpedStore:
    if not isinstance(store, BumpedStore):
        pytest.skip("its write compares the version as it writes: nothing is to be bumped")
    return store


def _version(rig: Rig) -> str:
    return rig.open().read().version


class FailingStores:
    """Failing: with the right error, in one line without a secret, and with nothing half done."""

    def test_a_store_that_does_not_answer_is_unreachable(
        self, rig: Rig, caplog: pytest.LogCaptureFixture
    ) -> None:
        unreachable = require(rig.unreachable, "make the store unreachable")
        version = write(rig.open(), secret := new_secret(), new_journal())
        with unreachable():
            _all_fail(rig.open(), version, secret, StoreUnreachableError)
        assert secret not in caplog.text

    def test_a_store_that_denies_access_is_no_absent_secret(
        self, rig: Rig, caplog: pytest.LogCaptureFixture
    ) -> None:
        forbidden = require(rig.forbidden, "take all rights away")
        version = write(rig.open(), secret := new_secret(), new_journal())
        with forbidden():
            _all_fail(rig.open(), version, secret, StoreDeniedError)
        assert secret not in caplog.text

    def test_with_read_rights_alone_reading_works_and_preflight_fails(self, rig: Rig) -> None:
        read_only = require(rig.read_only, "take the right to write away")
        version = write(rig.open(), secret := new_secret(), journal := new_journal())
        before = rig.neighbours()
        with read_only():
            assert read_back(rig.open()) == (secret, journal)
            _all_fail(rig.open(), version, secret, StoreDeniedError, reading=False)
        assert read_back(rig.open()) == (secret, journal)
        assert rig.neighbours() == before

    @pytest.mark.parametrize("present", [True, False])
    def test_a_write_that_is_cut_off_leaves_old_or_new(
        self, rig: Rig, caplog: pytest.LogCaptureFixture, *, present: bool
    ) -> None:
        cut = require(rig.cut, "cut the store off")
        if present:
            write(rig.open(), new_secret(), new_journal(intents=1))
        before = rig.neighbours()
        for step in count():
            old, new = read_back(rig.open()), (new_secret(), new_journal())
            version = rig.open().read().version
            with cut(step) as knife:
                _try(partial(rig.open().write, *new, expected=version), new[0])
            with (store := rig.open()).hold():
                left = read_back(store)
            assert _without_intents(left) in (_without_intents(old), new)
            assert rig.neighbours() == before
            write(rig.open(), *new)
            assert read_back(rig.open())[0] == new[0]
            assert new[0] not in caplog.text
            if not knife.reached:
                break
            assert step < _MOST_STEPS
        assert step > 0

    def test_a_note_that_is_cut_off_leaves_old_or_new(self, rig: Rig) -> None:
        cut = require(rig.cut, "cut the store off")
        write(rig.open(), secret := new_secret(), new_journal())
        before = rig.neighbours()
        for step in count():
            old = rig.open().read()
            new = old.journal.with_intent(new_intent())
            with cut(step) as knife:
                _try(partial(rig.open().note, new, expected=old.version), secret)
            with (store := rig.open()).hold():
                left = read_back(store)
            assert left in [(secret, old.journal), (secret, new)]
            assert rig.neighbours() == before
            rig.open().note(old.journal, expected=rig.open().read().version)
            if not knife.reached:
                break
            assert step < _MOST_STEPS
        assert step > 0


def _all_fail(
    store: SecretStore, version: str, secret: str, kind: type[StoreError], *, reading: bool = True
) -> None:
    new = new_secret()
    acts: list[Callable[[], object]] = [
        store.preflight,
        lambda: store.write(new, new_journal(), expected=version),
        lambda: store.note(new_journal(), expected=version),
    ]
    if reading:
        acts.append(store.read)
    for act in acts:
        with pytest.raises(kind) as caught:
            act()
        text = str(caught.value)
        assert store.url in text
        assert "\n" not in text
        assert secret not in text
        assert new not in text


def _try(act: Callable[[], object], secret: str) -> None:
    message = ""
    try:
        act()
    except StoreError as error:
        message = str(error)
    assert secret not in message
    assert "\n" not in message


def _without_intents(entry: tuple[str | None, Journal]) -> tuple[str | None, Journal]:
    return entry[0], replace(entry[1], intents=())


class StoreContract(
    ReadStores, WrittenStores, RacingStores, FencedStores, RehearsedStores, FailingStores
):
    """Inherit it in a class whose name begins with `Test`, and give it a fixture `rig`."""
