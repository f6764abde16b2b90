"""The journal as single notes, for stores that keep notes but cannot compare-and-set them.

Such a store changes the secret in one step and its notes in others, and merges the notes of two
writers key by key. To let a reader see secret and journal change together all the same, a record
carries the fingerprint of the secret that it is about: it is written before the secret and counts
from the moment when the secret is there. Each intent has a note of its own, so that none is lost:

    rotator:FIELD:record:FINGERPRINT       v=1 token=… previous=… minted=… owed=…
    rotator:FIELD:record:FINGERPRINT:1     v=1 hook=…          (what did not fit into the first)
    rotator:FIELD:intent:MINT              MINT/2026-11-23T09:12:33Z/90/3f0a11c2

Those of a rehearsal have a beginning of their own:

    rotator-rehearsal:FIELD:intent:MINT    …
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count, takewhile

from rotator.stores.journal import Intent, Journal, is_taken_over

NoteChanges = dict[str, str | None]  # None: this note is to be removed
_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_REHEARSAL = "rotator-rehearsal"
_EMPTY = "v=1"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Notes:
    """The notes beside a secret as they were read; None stands for a secret that is absent.

    A note has at most `longest` characters. The `plan_…` methods change nothing themselves: they
    return the changes of notes that the store is to make. With `is_scratch` they are those of a
    rehearsal, beside the secret in the scratch place.
    """

    def __init__(
        self,
        field: str,
        secret: str | None,
        present: Mapping[str, str],
        longest: int,
        *,
        is_scratch: bool = False,
    ) -> None:
        self.secret = secret
        self._field = field
        name = plain_name(field)
        self._prefix = f"{_REHEARSAL if is_scratch else 'rotator'}:{name}"
        self._is_scratch = is_scratch
        self.has_scratch = any(key.startswith(f"{_REHEARSAL}:{name}:") for key in present)
        self._fingerprint = _fingerprint(secret)
        self._present = present
        self._longest = longest
        self._records = {
            parts[1]: text
            for parts, text in self._ours("record")
            if len(parts) == 2  # noqa: PLR2004 - those with a number continue it
        }
        listed = ((key, Intent.from_text(text)) for key, text in self._ours("intent"))
        # Under its own name only: notes that anybody can edit might hold one twice.
        self._intents = sorted(
            each for key, each in listed if each and key == ["intent", each.mint_id]
        )

    @property
    def journal(self) -> Journal:
        """The record about this secret; the latest one where somebody else changed the secret."""
        return replace(Journal.from_text(self._record), intents=tuple(self._intents))

    @property
    def version(self) -> str:
        """Changes with the secret and its record; the intents are only listed in it."""
        return _version(self._fingerprint, self._record, self._intents)

    def is_at(self, expected: str) -> bool:
        """Tell whether secret and record are those of this version, and its intents still there.

        An intent that is gone was taken for dead and reconciled, perhaps while its writer was
        asleep: its token may be revoked by now.
        """
        is_same = self.version.rpartition("/")[0] == expected.rpartition("/")[0]
        # One that was taken over is nobody's: no writer depends on it.
        needed = {mint_id for mint_id in _mints_in(expected) if not is_taken_over(mint_id)}
        return is_same and needed <= {intent.mint_id for intent in self._intents}

    def has_changed(self, journal: Journal, expected: str) -> bool:
        """Tell whether an intent that `journal` leaves out says something else by now."""
        kept, now = _digests(journal.intents), _digests(self._intents)
        left_out = ((k, text) for k, text in _mints_in(expected).items() if k not in kept)
        return any(now.get(mint_id, text) != text for mint_id, text in left_out)

    def has_rival(self, journal: Journal, expected: str) -> bool:
        """Tell whether a first intent in `journal` meets another that its writer does not know."""
        known = {*_mints_in(expected), *_digests(journal.intents)}
        is_first = bool(_added(journal, expected))
        return is_first and any(intent.mint_id not in known for intent in self._intents)

    def plan_note(self, journal: Journal, expected: str) -> NoteChanges:
        return self._plan_record(self._fingerprint, journal) | self._plan_intents(journal, expected)

    def plan_withdrawal(self, journal: Journal, expected: str) -> NoteChanges:
        """Remove the first intents that `journal` added to version `expected`.

        One that was taken over stays: it is the only record of its mint.
        """
        return {self._intent_key(mint_id): None for mint_id in _added(journal, expected)}

    def plan_write(self, secret: str, journal: Journal) -> NoteChanges:
        """Note the journal of a secret that is about to be written, before which it does not count.

        The present secret gets a record, too, or the new one's would be taken for its own.
        """
        present: NoteChanges = {}
        if self._fingerprint not in self._records:
            present = self._plan_record(self._fingerprint, self.journal)
        return present | self._plan_record(_fingerprint(secret), journal)

    def plan_abandonment(self, secret: str) -> NoteChanges:
        """Undo `plan_write` where the secret could not be written."""
        fingerprint = _fingerprint(secret)
        if fingerprint == self._fingerprint:
            return {}
        ours = self._record_key(fingerprint)
        return {key: None for key in self._present if key.startswith(ours)}

    def plan_cleanup(self, secret: str, journal: Journal, expected: str) -> NoteChanges:
        """Remove the records of other secrets, and write the intents, after the secret itself."""
        kept = self._record_key(_fingerprint(secret))
        records = (key for key in self._present if key.startswith(f"{self._prefix}:record:"))
        past: NoteChanges = {key: None for key in records if not key.startswith(kept)}
        return past | self._plan_intents(journal, expected)

    def plan_removal(self, journal: Journal) -> NoteChanges:
        """Leave the notes of a journal without a secret; none at all if it is empty."""
        ours = (key for key in self._present if key.startswith(f"{self._prefix}:"))
        gone: NoteChanges = dict.fromkeys(ours)
        has_record = replace(journal, intents=()) != Journal()
        record = self._plan_record(_fingerprint(None), journal) if has_record else {}
        return gone | record | {self._intent_key(i.mint_id): i.to_text() for i in journal.intents}

    def change(self, planned: NoteChanges) -> tuple["Notes", NoteChanges]:
        """Return the notes as planned, and those of the changes that make a difference."""
        changes = {key: text for key, text in planned.items() if self._present.get(key) != text}
        notes = {**self._present, **changes}
        present = {key: text for key, text in notes.items() if text is not None}
        made = Notes(self._field, self.secret, present, self._longest, is_scratch=self._is_scratch)
        return made, changes

    def version_with(self, secret: str | None, journal: Journal) -> str:
        """Return the version that this secret has beside this journal."""
        text = replace(journal, intents=()).to_text() or _EMPTY
        return _version(_fingerprint(secret), text, journal.intents)

    @property
    def _record(self) -> str:
        if self._fingerprint in self._records:
            return self._read_record(self._fingerprint)
        # The token of an open intent was never written: its record is not one of the past.
        pending = {intent.token_id for intent in self._intents} - {None}
        journals = {mark: Journal.from_text(text) for mark, text in self._records.items()}
        past = [mark for mark, journal in journals.items() if journal.token_id not in pending]
        return self._read_record(
            max(past, key=lambda mark: (journals[mark].minted_at or _LONG_AGO, mark), default="")
        )

    def _read_record(self, fingerprint: str) -> str:
        numbered = (self._present.get(key) for key in self._record_keys(fingerprint))
        texts = takewhile(lambda text: text is not None, numbered)
        words = [word for text in texts if text for word in text.split() if word != _EMPTY]
        return " ".join([_EMPTY, *words])

    def _plan_record(self, fingerprint: str, journal: Journal) -> NoteChanges:
        words = replace(journal, intents=()).to_text().split()[1:]
        keys = self._record_keys(fingerprint)
        changes: NoteChanges = {next(keys): text for text in _pack(words, self._longest)}
        while (key := next(keys)) in self._present:
            changes[key] = None
        return changes

    def _plan_intents(self, journal: Journal, expected: str) -> NoteChanges:
        known, wanted = _mints_in(expected), _digests(journal.intents)
        changes: NoteChanges = {
            self._intent_key(each.mint_id): each.to_text()
            for each in journal.intents
            # What others changed meanwhile stays as they left it.
            if known.get(each.mint_id) != wanted[each.mint_id]
        }
        # What they settled meanwhile does not come back.
        gone = {self._intent_key(each) for each in known} - set(self._present)
        settled = {self._intent_key(each) for each in known if each not in wanted}
        changes |= dict.fromkeys(settled)
        return {key: text for key, text in changes.items() if key not in gone}

    def _ours(self, kind: str) -> Iterator[tuple[list[str], str]]:
        for key, text in self._present.items():
            if key.startswith(f"{self._prefix}:{kind}:"):
                yield key.removeprefix(f"{self._prefix}:").split(":"), text

    def _record_keys(self, fingerprint: str) -> Iterator[str]:
        key = self._record_key(fingerprint)
        yield key
        yield from (f"{key}:{number}" for number in count(1))

    def _record_key(self, fingerprint: str) -> str:
        return f"{self._prefix}:record:{fingerprint}"

    def _intent_key(self, mint_id: str) -> str:
        return f"{self._prefix}:intent:{mint_id}"


def plain_name(field: str) -> str:
    """Return a name for a field in letters, digits and `_.-`: its own, or a digest of it."""
    return field if _PLAIN.fullmatch(field) else _digest(field)


def _version(fingerprint: str, record: str, intents: Iterable[Intent]) -> str:
    mints = "+".join(f"{mint_id}:{text}" for mint_id, text in sorted(_digests(intents).items()))
    return f"{fingerprint}/{_digest(record)}/{mints}"


def _digests(intents: Iterable[Intent]) -> dict[str, str]:
    return {each.mint_id: _digest(each.to_text()) for each in intents}


def _mints_in(version: str) -> dict[str, str]:
    """Return the mints of a version, each with the digest of its intent."""
    listed = version.rpartition("/")[2].split("+")
    return dict(each.partition(":")[::2] for each in listed if each)


def _added(journal: Journal, expected: str) -> set[str]:
    """Return the ids of the mints whose first intent `journal` adds to version `expected`."""
    mint_ids = {intent.mint_id for intent in journal.intents if not is_taken_over(intent.mint_id)}
    return mint_ids - set(_mints_in(expected))


def _pack(words: list[str], longest: int) -> Iterator[str]:
    text = _EMPTY
    for word in words:
        if len(text) + 1 + len(word) > longest:
            yield text
            text = _EMPTY
        text += f" {word}"
    yield text


def _fingerprint(secret: str | None) -> str:
    return "absent" if secret is None else _digest(secret)


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
