"""The journal as single notes, for stores that keep notes but cannot compare-and-set them.

Such a store changes the secret in one step and its notes in others, and merges the notes of two
writers key by key. So that a reader sees secret and journal change together all the same, a record
carries the fingerprint of the secret that it is about: it is written before the secret and counts
from the moment when the secret is there. Intents have a note each, so that nobody's is lost:

    rotator:FIELD:record:FINGERPRINT       v=1 token=… previous=… minted=… owed=…
    rotator:FIELD:record:FINGERPRINT:1     v=1 hook=…          (what did not fit into the first)
    rotator:FIELD:intent:RUN               RUN/2026-11-23T09:12:33Z/90/3f0a11c2
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from itertools import takewhile

from rotator.stores.journal import Intent, Journal

Changes = dict[str, str | None]  # None: this note is to go
_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_EMPTY = "v=1"


class Notes:
    """The notes beside a secret as they were found; None stands for a secret that is absent."""

    def __init__(
        self, field: str, secret: str | None, found: Mapping[str, str], longest: int
    ) -> None:
        self._prefix = f"rotator:{field if _PLAIN.fullmatch(field) else _digest(field)}"
        self._print = _fingerprint(secret)
        self._found = found
        self._longest = longest
        self._records = {
            parts[1]: text
            for parts, text in self._ours("record")
            if len(parts) == 2  # noqa: PLR2004 - those with a number continue it
        }
        listed = ((key, Intent.from_text(text)) for key, text in self._ours("intent"))
        # Under its own name only: what anybody can edit might hold a run twice.
        self._intents = sorted(each for key, each in listed if each and key == ["intent", each.run])

    @property
    def journal(self) -> Journal:
        """The record about this secret, or about the one before where a hand changed it."""
        return replace(Journal.from_text(self._record), intents=tuple(self._intents))

    @property
    def version(self) -> str:
        """Changes with the secret and its record; the intents are only listed in it."""
        return self._version(self._print, self._record, self._intents)

    def agrees_with(self, expected: str) -> bool:
        """Tell whether secret and record are those of this version, and its intents still there.

        An intent that is gone was taken for dead and settled, perhaps while its writer was asleep:
        its token may be revoked by now.
        """
        same = self.version.rpartition("/")[0] == expected.rpartition("/")[0]
        return same and _runs_in(expected) <= {intent.run for intent in self._intents}

    def is_crowded(self, journal: Journal, expected: str) -> bool:
        """Tell whether a first intent in `journal` meets another that its writer has not seen."""
        known = _runs_in(expected)
        wanted = {intent.run for intent in journal.intents}
        return not wanted <= known and any(
            intent.run not in known | wanted for intent in self._intents
        )

    def noting(self, journal: Journal, expected: str) -> Changes:
        """Return what makes `journal` out of the one that was seen at `expected`."""
        return self._recorded(self._print, journal) | self._intended(journal, expected)

    def withdrawing(self, journal: Journal, expected: str) -> Changes:
        """Return what takes the intents out again that `journal` added to `expected`."""
        added = {intent.run for intent in journal.intents} - _runs_in(expected)
        return {self._intent(run): None for run in added}

    def preparing(self, secret: str, journal: Journal) -> Changes:
        """Return what is to be noted before the secret is written; until then it changes nothing.

        The present secret gets a record, too, or the new one's would be taken for its own.
        """
        present: Changes = {}
        if self._print not in self._records:
            present = self._recorded(self._print, self.journal)
        return present | self._recorded(_fingerprint(secret), journal)

    def abandoning(self, secret: str) -> Changes:
        """Return what undoes `preparing` where the secret could not be written."""
        mark = _fingerprint(secret)
        if mark == self._print:
            return {}
        return {key: None for key in self._found if key.startswith(self._record_key(mark))}

    def settling(self, secret: str, journal: Journal, expected: str) -> Changes:
        """Return what is to be noted after the secret was written: other records are past."""
        kept = self._record_key(_fingerprint(secret))
        records = (key for key in self._found if key.startswith(f"{self._prefix}:record:"))
        past: Changes = {key: None for key in records if not key.startswith(kept)}
        return past | self._intended(journal, expected)

    def version_with(self, secret: str | None, journal: Journal) -> str:
        """Return the version that this secret has beside this journal."""
        text = replace(journal, intents=()).to_text() or _EMPTY
        return self._version(_fingerprint(secret), text, journal.intents)

    @property
    def _record(self) -> str:
        if self._print in self._records:
            return self._whole(self._print)
        # A token of which an intent is still open was never written: that is no record of the past.
        pending = {intent.token_id for intent in self._intents} - {None}
        past = [
            mark
            for mark, text in self._records.items()
            if Journal.from_text(text).token_id not in pending
        ]
        return self._whole(
            max(past, key=lambda each: (_minted(self._records[each]), each), default="")
        )

    def _whole(self, mark: str) -> str:
        """Return a record out of all its notes."""
        numbered = (self._found.get(key) for key in self._keys(mark))
        texts = takewhile(lambda text: text is not None, numbered)
        words = [word for text in texts if text for word in text.split() if word != _EMPTY]
        return " ".join([_EMPTY, *words])

    def _recorded(self, mark: str, journal: Journal) -> Changes:
        words = replace(journal, intents=()).to_text().split()[1:]
        texts = list(_packed(words, self._longest))
        keys = self._keys(mark)
        changes: Changes = {next(keys): text for text in texts}
        while (key := next(keys)) in self._found:
            changes[key] = None
        return changes

    def _intended(self, journal: Journal, expected: str) -> Changes:
        wanted = {intent.run: intent.to_text() for intent in journal.intents}
        gone = _runs_in(expected) - set(wanted)
        changes: Changes = {self._intent(run): text for run, text in wanted.items()}
        return changes | {
            self._intent(run): None for run in gone if self._intent(run) in self._found
        }

    def _ours(self, kind: str) -> Iterator[tuple[list[str], str]]:
        for key, text in self._found.items():
            if key.startswith(f"{self._prefix}:{kind}:"):
                yield key.removeprefix(f"{self._prefix}:").split(":"), text

    def _keys(self, mark: str) -> Iterator[str]:
        key, number = self._record_key(mark), 0
        while True:
            yield f"{key}:{number}" if number else key
            number += 1

    def _record_key(self, mark: str) -> str:
        return f"{self._prefix}:record:{mark}"

    def _intent(self, run: str) -> str:
        return f"{self._prefix}:intent:{run}"

    @staticmethod
    def _version(mark: str, record: str, intents: Iterable[Intent]) -> str:
        return f"{mark}/{_digest(record)}/{'+'.join(sorted(each.run for each in intents))}"


def _runs_in(version: str) -> set[str]:
    return set(version.rpartition("/")[2].split("+")) - {""}


def _packed(words: list[str], longest: int) -> Iterator[str]:
    text = _EMPTY
    for word in words:
        if len(text) + 1 + len(word) > longest:
            yield text
            text = _EMPTY
        text += f" {word}"
    yield text


def _minted(record: str) -> str:
    moment = Journal.from_text(record).minted_at
    return moment.isoformat() if moment else ""


def _fingerprint(secret: str | None) -> str:
    return "absent" if secret is None else _digest(secret)


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
