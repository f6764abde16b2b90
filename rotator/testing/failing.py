"""A store that does not answer, does not allow it, or is cut off in the middle."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count

import pytest

from rotator.errors import StoreDeniedError, StoreError, StoreUnreachableError
from rotator.stores.journal import Journal
from rotator.stores.port import SecretStore
from rotator.testing.rig import Rig, given, new_intent, new_journal, new_secret, shown, write

_MOST_STEPS = 200


class FailingStores:
    """Failing: told apart, in one line without a secret, and with nothing half done."""

    def test_a_store_that_does_not_answer_is_unreachable(
        self, rig: Rig, caplog: pytest.LogCaptureFixture
    ) -> None:
        unreachable = given(rig.unreachable, "make the store unreachable")
        version = write(rig.open(), secret := new_secret(), new_journal())
        with unreachable():
            _all_fail(rig.open(), version, secret, StoreUnreachableError)
        assert secret not in caplog.text

    def test_a_store_that_we_may_not_use_is_no_absent_secret(
        self, rig: Rig, caplog: pytest.LogCaptureFixture
    ) -> None:
        forbidden = given(rig.forbidden, "take all rights away")
        version = write(rig.open(), secret := new_secret(), new_journal())
        with forbidden():
            _all_fail(rig.open(), version, secret, StoreDeniedError)
        assert secret not in caplog.text

    def test_who_may_only_read_can_read_and_preflight_says_so(self, rig: Rig) -> None:
        read_only = given(rig.read_only, "take the right to write away")
        version = write(rig.open(), secret := new_secret(), journal := new_journal())
        before = rig.neighbours()
        with read_only():
            assert shown(rig.open()) == (secret, journal)
            store = rig.open()
            for change in (
                store.preflight,
                lambda: store.write(new_secret(), new_journal(), expected=version),
                lambda: store.note(new_journal(), expected=version),
            ):
                with pytest.raises(StoreDeniedError) as caught:
                    change()
                _is_one_line(caught.value, store, secret)
        assert shown(rig.open()) == (secret, journal)
        assert rig.neighbours() == before

    @pytest.mark.parametrize("present", [True, False])
    def test_a_write_that_is_cut_off_leaves_old_or_new(
        self, rig: Rig, caplog: pytest.LogCaptureFixture, *, present: bool
    ) -> None:
        cut = given(rig.cut, "cut the store off")
        if present:
            write(rig.open(), new_secret(), new_journal(intents=1))
        before = rig.neighbours()
        for step in count():
            old, new = shown(rig.open()), (new_secret(), new_journal())
            version = rig.open().read().version
            with cut(step) as knife:
                _try(partial(rig.open().write, *new, expected=version), new[0])
            with (store := rig.open()).hold():
                left = shown(store)
            assert _without_intents(left) in (_without_intents(old), new)
            assert rig.neighbours() == before
            write(rig.open(), *new)
            assert shown(rig.open())[0] == new[0]
            assert new[0] not in caplog.text
            if not knife.reached:
                break
            assert step < _MOST_STEPS
        assert step > 0

    def test_a_note_that_is_cut_off_leaves_old_or_new(self, rig: Rig) -> None:
        cut = given(rig.cut, "cut the store off")
        write(rig.open(), secret := new_secret(), new_journal())
        before = rig.neighbours()
        for step in count():
            old = rig.open().read()
            new = old.journal.with_intent(new_intent())
            with cut(step) as knife:
                _try(partial(rig.open().note, new, expected=old.version), secret)
            with (store := rig.open()).hold():
                left = shown(store)
            assert left in [(secret, old.journal), (secret, new)]
            assert rig.neighbours() == before
            rig.open().note(old.journal, expected=rig.open().read().version)
            if not knife.reached:
                break
            assert step < _MOST_STEPS
        assert step > 0


def _all_fail(store: SecretStore, version: str, secret: str, kind: type[StoreError]) -> None:
    for act in (
        store.read,
        store.preflight,
        lambda: store.write(secret, new_journal(), expected=version),
        lambda: store.note(new_journal(), expected=version),
    ):
        with pytest.raises(kind) as caught:
            act()
        _is_one_line(caught.value, store, secret)


def _try(act: Callable[[], object], secret: str) -> None:
    told = ""
    try:
        act()
    except StoreError as error:
        told = str(error)
    assert secret not in told
    assert "\n" not in told


def _is_one_line(error: StoreError, store: SecretStore, secret: str) -> None:
    text = str(error)
    assert store.url in text
    assert "\n" not in text
    assert secret not in text


def _without_intents(seen: tuple[str | None, Journal]) -> tuple[str | None, Journal]:
    return seen[0], replace(seen[1], intents=())
