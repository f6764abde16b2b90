"""The part of the contract about the scratch place, for stores that have one."""

from dataclasses import replace
from itertools import count

import pytest

from rotator.errors import ConflictError, StoreDeniedError, StoreError
from rotator.stores.journal import Journal
from rotator.stores.port import Rehearsable, ScratchStore
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

_ROUNDS = 3
_MOST_STEPS = 200


class RehearsedStores:
    """Rehearsing: what is in the scratch place changes nothing else, and goes without a trace."""

    def test_a_scratch_place_is_another_store_and_empty_at_first(self, rig: Rig) -> None:
        scratch = _scratch(rig)
        assert scratch.url == _scratch(rig).url != rig.open().url
        assert is_absent(scratch)
        assert scratch.read().journal == Journal()
        assert not rig.open().read().has_scratch

    def test_the_secret_stays_as_it_is_while_its_scratch_place_changes(self, rig: Rig) -> None:
        version = _put(rig, secret := new_secret(), journal := new_journal())
        before = rig.neighbours()
        for canary in (new_secret(), new_secret()):
            noted = _scratch(rig).note(
                Journal(intents=(new_intent(),)), expected=_scratch(rig).read().version
            )
            assert rig.open().read().has_scratch
            _scratch(rig).write(canary, ours := new_journal(), expected=noted)
            assert read_back(_scratch(rig)) == (canary, ours)
            assert read_back(rig.open()) == (secret, journal)
            assert rig.open().read().version == version
            assert rig.open().read().has_scratch
        _remove(rig)
        assert is_absent(_scratch(rig))
        assert _scratch(rig).read().journal == Journal()
        assert read_back(rig.open()) == (secret, journal)
        assert not rig.open().read().has_scratch
        assert rig.neighbours() == before

    def test_a_rotation_beside_a_rehearsal_meets_no_conflict(self, rig: Rig) -> None:
        version = _put(rig, new_secret(), new_journal())
        write(_scratch(rig), canary := new_secret(), ours := new_journal())
        version = rig.open().note(new_journal(intents=1), expected=version)
        rig.open().write(secret := new_secret(), journal := new_journal(), expected=version)
        assert read_back(_scratch(rig)) == (canary, ours)
        _remove(rig)
        assert read_back(rig.open()) == (secret, journal)

    def test_a_scratch_place_keeps_a_journal_without_a_secret(self, rig: Rig) -> None:
        _put(rig, new_secret(), new_journal())
        before = rig.neighbours()
        write(_scratch(rig), new_secret(), new_journal())
        intents = tuple(sorted((new_intent(), new_intent("t-1"))))
        for journal in (Journal(intents=intents), new_journal(intents=1)):
            _remove(rig, journal)
            assert read_back(_scratch(rig)) == (None, journal)
            assert rig.open().read().has_scratch
        for _ in range(2):
            _remove(rig)
            assert rig.neighbours() == before

    def test_a_removal_of_a_version_that_has_passed_is_a_conflict(self, rig: Rig) -> None:
        _put(rig, new_secret(), new_journal())
        version = write(_scratch(rig), new_secret(), new_journal())
        write(_scratch(rig), canary := new_secret(), journal := new_journal())
        with pytest.raises(ConflictError):
            _scratch(rig).remove(Journal(), expected=version)
        assert read_back(_scratch(rig)) == (canary, journal)

    def test_of_two_rehearsals_that_meet_one_gets_a_conflict(self, rig: Rig) -> None:
        _put(rig, secret := new_secret(), journal := new_journal())
        before, beside = rig.neighbours(), replace(rig, open=lambda: _scratch(rig))
        for _ in range(_ROUNDS):
            wanted = [(new_secret(), new_journal()) for _ in range(2)]
            [winner] = race(beside, "write", wanted)
            assert read_back(_scratch(rig)) == wanted[winner]
            _remove(rig)
        assert read_back(rig.open()) == (secret, journal)
        assert rig.neighbours() == before

    def test_a_preflight_of_the_scratch_place_changes_nothing(self, rig: Rig) -> None:
        before = rig.neighbours()
        try:
            _scratch(rig).preflight()
        except StoreError as error:  # beside nothing there may be no place
            assert is_absent(rig.open())
            assert _scratch(rig).url in str(error)  # noqa: PT017 - (the same)
        assert rig.neighbours() == before
        _put(rig, new_secret(), new_journal())
        before = rig.neighbours()
        _scratch(rig).preflight()
        assert rig.neighbours() == before

    def test_with_read_rights_alone_the_scratch_place_is_denied(self, rig: Rig) -> None:
        read_only = require(rig.read_only, "take the right to write away")
        _put(rig, new_secret(), new_journal())
        write(_scratch(rig), canary := new_secret(), journal := new_journal())
        with read_only():
            with pytest.raises(StoreDeniedError):
                _scratch(rig).preflight()
            with pytest.raises(StoreDeniedError):
                _remove(rig)
            assert read_back(_scratch(rig)) == (canary, journal)

    def test_a_removal_that_is_cut_off_can_be_done_again(self, rig: Rig) -> None:
        cut = require(rig.cut, "cut the store off")
        _put(rig, secret := new_secret(), journal := new_journal())
        before = rig.neighbours()
        for step in count():
            write(_scratch(rig), canary := new_secret(), ours := new_journal())
            version = _scratch(rig).read().version
            with cut(step) as knife:
                try:
                    _scratch(rig).remove(Journal(), expected=version)
                except StoreError as error:
                    assert canary not in str(error)  # noqa: PT017 - it may come or not
            with (store := rig.open()).hold():
                left = read_back(_scratch(rig))
                assert left[0] in (None, canary)
                # Whose it is, and whether something is there, is known until the end.
                assert left[1].token_id == ours.token_id or not store.read().has_scratch
            assert read_back(rig.open()) == (secret, journal)
            _remove(rig)
            assert rig.neighbours() == before
            if not knife.reached:
                break
            assert step < _MOST_STEPS
        assert step > 0


def _scratch(rig: Rig) -> ScratchStore:
    store = rig.open()
    scratch = store.scratch() if isinstance(store, Rehearsable) else None
    if scratch is None:
        pytest.skip("it has no scratch place: a rotation cannot be rehearsed in it")
    return scratch


def _put(rig: Rig, secret: str, journal: Journal) -> str:
    """Put a secret into the place beside the scratch place."""
    _scratch(rig)
    return write(rig.open(), secret, journal)


_NOTHING = Journal()


def _remove(rig: Rig, journal: Journal = _NOTHING) -> None:
    _scratch(rig).remove(journal, expected=_scratch(rig).read().version)
