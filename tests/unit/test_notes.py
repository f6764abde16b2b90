"""The journal as single notes: what counts when, and what two writers make of each other's."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from backends.notes import NoteChanges, Notes
from rotator.stores.journal import Intent, Journal
from rotator.testing.rig import new_intent, new_journal

EMPTY = Journal()
SHORT = replace(new_journal(pending=0, hooks=0), leak=None)
LONGEST = 120


def notes(secret: str | None, found: Mapping[str, str], field: str = "TOKEN") -> Notes:
    return Notes(field, secret, found, LONGEST)


def changed(found: Mapping[str, str], changes: NoteChanges) -> dict[str, str]:
    """Merge as a store does."""
    return {key: text for key, text in {**found, **changes}.items() if text is not None}


def written(
    found: Mapping[str, str], old: str | None, new: str, journal: Journal
) -> dict[str, str]:
    """Return the notes after a whole write."""
    seen = notes(old, found)
    prepared = changed(found, seen.plan_write(new, journal))
    past = notes(old, prepared).plan_cleanup(new, journal, seen.version)
    return changed(prepared, past)


@pytest.mark.parametrize("secret", ["t", None])
@pytest.mark.parametrize(
    "journal",
    [EMPTY, new_journal(), new_journal(pending=8, hooks=8, intents=8)],
    ids=["empty", "usual", "long"],
)
def test_a_journal_comes_back_from_its_notes(secret: str | None, journal: Journal) -> None:
    nothing = notes(secret, {})
    found = changed({}, nothing.plan_note(journal, nothing.version))
    assert notes(secret, found).journal == journal
    assert notes(secret, found).version == nothing.version_with(secret, journal)


def test_no_note_is_longer_than_the_store_takes() -> None:
    journal = new_journal(pending=8, hooks=8, intents=8)
    found = changed({}, notes("t", {}).plan_note(journal, "/"))
    assert max(map(len, found.values())) <= LONGEST
    assert len([key for key in found if ":record:" in key]) > 1


def test_a_note_may_be_as_long_as_the_store_takes_and_no_longer() -> None:
    journal = new_journal(pending=0, hooks=4)
    whole = len(journal.to_text())
    for longest, parts in ((whole, 1), (whole - 1, 2)):
        found = changed({}, Notes("TOKEN", "t", {}, longest).plan_note(journal, "/"))
        assert (len(found), max(map(len, found.values())) <= longest) == (parts, True)
        assert Notes("TOKEN", "t", found, longest).journal == journal


def test_a_shorter_record_takes_the_rest_of_a_longer_one_away() -> None:
    found = changed({}, notes("t", {}).plan_note(new_journal(pending=8), "/"))
    found = changed(found, notes("t", found).plan_note(journal := SHORT, "/"))
    assert len(found) == 1
    assert notes("t", found).journal == journal


def test_what_is_prepared_counts_from_the_moment_the_secret_is_there() -> None:
    old, new = new_journal(), new_journal()
    found = written({}, None, "old", old)
    version = notes("old", found).version
    prepared = changed(found, notes("old", found).plan_write("new", new))
    assert (notes("old", prepared).journal, notes("old", prepared).version) == (old, version)
    assert notes("new", prepared).journal == new


def test_what_is_prepared_for_a_secret_without_a_record_does_not_count_for_that() -> None:
    prepared = changed({}, notes("theirs", {}).plan_write("new", new_journal()))
    assert notes("theirs", prepared).journal == EMPTY
    assert notes("theirs", prepared).version == notes("theirs", {}).version


def test_what_is_abandoned_leaves_nothing() -> None:
    found = written({}, None, "old", new_journal())
    prepared = changed(found, notes("old", found).plan_write("new", new_journal(pending=8)))
    assert changed(prepared, notes("old", prepared).plan_abandonment("new")) == found


def test_a_secret_that_is_there_is_not_abandoned() -> None:
    found = written({}, None, "new", new_journal())
    assert notes("new", found).plan_abandonment("new") == {}


def test_a_write_that_is_settled_leaves_one_record() -> None:
    found = written({}, None, "old", new_journal(pending=8))
    found = written(found, "old", "new", journal := SHORT)
    assert len(found) == 1
    assert notes("new", found).journal == journal


def test_a_hand_that_changes_the_secret_keeps_what_is_to_be_done() -> None:
    journal = new_journal(intents=1)
    found = changed({}, notes("ours", {}).plan_note(journal, "/"))
    assert notes("theirs", found).journal == journal
    assert notes(None, found).journal == journal
    assert notes("theirs", found).version != notes("ours", found).version


def test_of_several_records_a_hand_that_changes_the_secret_keeps_the_latest() -> None:
    moment = datetime(2026, 11, 23, tzinfo=UTC)
    for number in range(8):
        older, later = (new_journal(), replace(new_journal(), minted_at=moment + timedelta(1)))
        found = written({}, None, f"old {number}", replace(older, minted_at=moment))
        found = changed(found, notes(f"old {number}", found).plan_write(f"new {number}", later))
        assert notes("theirs", found).journal == later


def test_of_two_first_intents_each_writer_sees_the_other() -> None:
    one, other = new_intent(), new_intent()
    seen = notes("t", {})
    wanted = [Journal(intents=(intent,)) for intent in (one, other)]
    found: dict[str, str] = {}
    for journal in wanted:
        found = changed(found, seen.plan_note(journal, seen.version))
    assert notes("t", found).journal.intents == tuple(sorted((one, other)))
    for journal in wanted:
        assert notes("t", found).has_rival(journal, seen.version)
    left = changed(found, seen.plan_withdrawal(wanted[0], seen.version))
    assert notes("t", left).journal == wanted[1]
    assert not notes("t", left).has_rival(wanted[1], seen.version)


def test_an_intent_beside_those_that_were_seen_is_not_crowded() -> None:
    old = new_intent()
    found = changed({}, notes("t", {}).plan_note(Journal(intents=(old,)), "/"))
    seen = notes("t", found)
    both = seen.journal.with_intent(new_intent())
    found = changed(found, seen.plan_note(both, seen.version))
    assert not notes("t", found).has_rival(both, seen.version)


def test_who_begins_nothing_is_not_crowded_by_the_intent_of_others() -> None:
    seen = notes("t", {})
    found = changed({}, seen.plan_note(Journal(intents=(new_intent(),)), seen.version))
    assert not notes("t", found).has_rival(new_journal(), seen.version)


def test_an_intent_of_others_survives_what_did_not_know_of_it() -> None:
    seen = notes("t", {})
    found = changed({}, seen.plan_note(Journal(intents=(theirs := new_intent(),)), seen.version))
    found = changed(found, notes("t", found).plan_note(new_journal(), seen.version))
    assert notes("t", found).journal.intents == (theirs,)


def test_an_intent_is_removed_by_who_has_seen_it() -> None:
    journal = Journal(intents=(new_intent(),))
    found = changed({}, notes("t", {}).plan_note(journal, "/"))
    seen = notes("t", found)
    assert notes("t", changed(found, seen.plan_note(EMPTY, seen.version))).journal == EMPTY


def test_the_order_of_intents_makes_no_other_version() -> None:
    intents = tuple(sorted((new_intent(), new_intent())))
    one = notes("t", {}).version_with("t", Journal(intents=intents))
    assert one == notes("t", {}).version_with("t", Journal(intents=intents[::-1]))


def test_intents_change_the_version_and_agree_with_it() -> None:
    seen = notes("t", {})
    found = changed({}, seen.plan_note(Journal(intents=(new_intent(),)), seen.version))
    assert notes("t", found).version != seen.version
    assert notes("t", found).is_at(seen.version)
    found = changed({}, seen.plan_note(new_journal(), seen.version))
    assert not notes("t", found).is_at(seen.version)


def test_an_intent_counts_under_its_own_name_only() -> None:
    intent = Intent("0123456789ab", new_intent().begun_at, 90, "0" * 8)
    forged = {
        f"rotator:TOKEN:intent:{run}": text
        for run, text in {
            intent.mint_id: intent.to_text(),
            "other": replace_days(intent).to_text(),
            "odd:name": intent.to_text(),
            "x": "no intent",
        }.items()
    }
    assert notes("t", forged).journal.intents == (intent,)


def test_the_notes_of_others_are_left_alone() -> None:
    theirs = {"owner": "team a", "rotator:OTHER:record:absent": "v=1 token=x"}
    found = written(theirs, None, "t", new_journal())
    assert theirs.items() <= found.items()
    assert notes("t", theirs).journal == EMPTY


@pytest.mark.parametrize("field", ["ä", "a:b", "x" * 65, "with space", "/"])
def test_a_field_with_an_odd_name_has_plain_notes(field: str) -> None:
    found = changed({}, notes("t", {}, field).plan_note(journal := new_journal(), "/"))
    assert notes("t", found, field).journal == journal
    for key in found:
        assert key.isascii()
        assert len(key) <= 128
        assert key.count(":") in (3, 4)


def test_no_note_holds_the_secret() -> None:
    found = written({}, None, "a-secret", replace(new_journal(), intents=(new_intent(),)))
    assert "a-secret" not in str(found)


def replace_days(intent: Intent) -> Intent:
    return intent._replace(days=None)


def test_an_intent_that_somebody_settled_is_a_conflict_to_its_writer() -> None:
    journal = new_journal(intents=1)
    nothing = notes("t", {})
    found = changed({}, nothing.plan_note(journal, nothing.version))
    version = notes("t", found).version
    assert notes("t", found).is_at(version)
    settled = {key: text for key, text in found.items() if ":intent:" not in key}
    assert not notes("t", settled).is_at(version)


def test_a_record_that_was_prepared_and_never_counted_is_not_taken_for_the_past() -> None:
    old, coming = new_journal(pending=0), new_journal()
    intent = new_intent(coming.token_id)
    found = written({}, None, "old", old)
    seen = notes("old", found)
    begun = changed(found, seen.plan_note(replace(old, intents=(intent,)), seen.version))
    prepared = changed(begun, notes("old", begun).plan_write("new", coming))
    assert notes("by hand", prepared).journal == replace(old, intents=(intent,))


def test_an_intent_that_is_taken_over_is_no_rival_and_is_not_withdrawn() -> None:
    intent, other = new_intent(), new_intent()
    seen = notes("t", changed({}, notes("t", {}).plan_note(Journal(intents=(intent,)), "/")))
    taken = seen.journal.with_taken_over({intent.mint_id})
    found = changed({}, seen.plan_note(taken, seen.version))
    found = changed(found, notes("t", found).plan_note(Journal(intents=(other,)), "/"))
    later = notes("t", found)
    assert not later.has_rival(taken, seen.version)
    assert later.plan_withdrawal(taken, seen.version) == {}
    # A rotator that knew it under its old name only starts again.
    assert later.has_rival(Journal(intents=(other,)), seen.version)
    assert not later.is_at(seen.version)


def test_an_intent_that_was_taken_over_may_be_settled_under_another_writer() -> None:
    own, dead = new_intent(), new_intent().taken_over()
    found = changed({}, notes("t", {}).plan_note(Journal(intents=(own, dead)), "/"))
    version = notes("t", found).version
    left = notes("t", {key: text for key, text in found.items() if dead.mint_id not in key})
    assert left.is_at(version)
    # And it does not come back with what that writer knew.
    changes = left.plan_cleanup("new", Journal(intents=(dead,)), version)
    assert not [key for key, text in changes.items() if dead.mint_id in key and text]
