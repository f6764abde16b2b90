"""The record of one mint in the first store: written before it, settled with its token."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from rotator.audit import Event, told
from rotator.errors import StoreError
from rotator.minting import Wish
from rotator.rotation.observe import Reading, Silence, look
from rotator.stores.journal import Intent, Journal, scope_digest
from rotator.tokens import ServiceToken


def new_run() -> str:
    """Return the id of a new run."""
    return os.urandom(6).hex()


def intend(run: str, wish: Wish, now: datetime) -> Intent:
    """Return the intent of a run to mint this; `now` is the server's time."""
    days = None if wish.validity is None else wish.validity.days
    return Intent(run, now.replace(microsecond=0), days, scope_digest(wish.scope))


class Record(NamedTuple):
    """An intent, and the store that has it, as it was when this was written."""

    reading: Reading
    intent: Intent

    def written(self) -> Record:
        """Write the intent; raises `ConflictError` when somebody was faster, or a `StoreError`."""
        found = self.reading.found
        journal = found.journal.with_intent(self.intent)
        store, intent = self.reading.store, self.intent
        what = f"a mint, in the journal of {store.url}"
        with told(
            Event.INTENDED, what, store=store.url, intent=intent.run, token_id=intent.token_id
        ):
            version = store.note(journal, expected=found.version)
        return self._replace(reading=self.reading.noting(version, journal))

    def about(self, token_id: str) -> Record:
        """Return the record of a mint that made this token."""
        return self._replace(intent=self.intent._replace(token_id=token_id))

    def settled_by(self, token: ServiceToken, journal: Journal) -> Journal:
        """Return `journal` as it is to stand beside this token, which settles the intent."""
        others = self.reading.found.journal.without_intents({self.intent.run}).intents
        return replace(journal, token_id=token.token_id, intents=others)

    def close(self) -> None:
        """Take the intent out, its token being settled.

        What cannot be written now stays; the next run then finds that nothing is left to settle.
        """
        journal = self.reading.found.journal.without_intents({self.intent.run})
        store = self.reading.store
        what = f"the end of a mint, in the journal of {store.url}"
        with suppress(StoreError), told(Event.NOTED, what, store=store.url, intent=self.intent.run):
            store.note(journal, expected=self.reading.found.version)

    def keep(self) -> bool:
        """Make sure that the next run finds the intent, whatever others have written since."""
        found = look(self.reading.store)
        if isinstance(found, Silence):
            return False
        try:
            Record(found, self.intent).written()
        except StoreError:
            return False
        return True
