"""The store that is a program: anything that a command can read and write.

    command:/usr/local/lib/luna-store?args=prod#NAME    command:store.sh?folder=/srv/rotator#NAME

A program that compares and sets, and keeps a note beside the secret, needs nothing else. For one
that cannot, the rotator keeps the journal and a lock in a folder of this machine.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import NoReturn

from backends.command.address import CommandAddress
from backends.command.program import Answer, Capability, StoreProgram, Verb
from backends.locks import FileLock, ForeignLockError, LockTimeoutError, close
from backends.notes import NoteChanges
from backends.remote import NotedScratch, NotedStore, name_errors
from rotator.errors import (
    ConflictError,
    StoreDeniedError,
    StoreError,
    StoreUnreachableError,
    UnconfirmedWriteError,
)
from rotator.files import read_small_file
from rotator.stores.journal import Journal
from rotator.stores.port import Absent, Entry, SecretStore, StoreUrl

_LONGEST_NOTE = 8192
_LOCK_TIMEOUT = 120.0  # seconds


def open_store(url: StoreUrl) -> SecretStore:
    """Return the store behind a `command:` URL, without running the program.

    Raises `ConfigError`.
    """
    address = CommandAddress.parse(url)
    return CommandStore(address) if address.folder is None else AssistedCommandStore(address)


class CommandStore:
    """A secret of a program that compares and sets, and keeps a note of ours beside it.

    See `rotator.stores.port.SecretStore` for the promises.
    """

    def __init__(self, address: CommandAddress) -> None:
        self.url = address.canonical
        self._address = address
        self._program = StoreProgram(address)
        self._seen: Answer | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def read(self) -> Entry | Absent:
        """Return what the program says; who only reads it needs none of its capabilities."""
        with name_errors(self.url):
            found = self._look()
        journal = Journal.from_text(found.note)
        if found.secret is None:
            return Absent(found.version, journal, found.has_scratch)
        return Entry(found.secret, found.version, journal, has_scratch=found.has_scratch)

    def scratch(self) -> "ScratchName | None":
        """Return the scratch place: another name, where the program can remove one."""
        with name_errors(self.url):
            can_remove = _can_remove(self._seen or self._look())
        return ScratchName(self._address.scratch) if can_remove else None

    def preflight(self) -> None:
        with name_errors(self.url):
            self._look_to_write()
            self._program.ask(Verb.PREFLIGHT)

    def write(self, secret: str, journal: Journal, *, expected: str) -> None:
        with name_errors(self.url):
            self._look_to_write()
            note = journal.to_text()
            self._program.ask(Verb.WRITE, secret=secret, note=note, expected=expected)
            self._confirm(secret, journal, expected)

    def note(self, journal: Journal, *, expected: str) -> str:
        with name_errors(self.url):
            before = self._look_to_write()
            self._program.ask(Verb.NOTE, note=journal.to_text(), expected=expected)
            secret = before.secret if before.version == expected else self._look().secret
            return self._confirm(secret, journal, expected)

    def hold(self) -> AbstractContextManager[None]:
        """Do nothing: the program compares and sets, and a killed run leaves no lock."""
        return nullcontext()

    def held_elsewhere(self) -> None:
        """Return None: the program does not know who else is at work."""

    def _look(self) -> Answer:
        self._seen = self._program.ask(Verb.READ)
        return self._seen

    def _look_to_write(self) -> Answer:
        """Return what was read last; raise `StoreError` unless the program can do all."""
        found = self._seen or self._look()
        if found.lacks:
            raise StoreError(
                f"the program lacks {' and '.join(found.lacks)}: name a folder in which the rotator"
                " keeps a journal and a lock instead, as in …?folder=/var/lib/rotator#NAME"
            )
        return found

    def _confirm(self, secret: str | None, journal: Journal, expected: str) -> str:
        """Look whether it is there, as the program's word alone is no proof; return the version."""
        found, noted = self._look(), Journal.from_text(journal.to_text())  # in whole seconds
        shown = Journal.from_text(found.note)
        if (found.secret, shown) == (secret, noted):
            return found.version
        if found.version == expected:
            raise UnconfirmedWriteError(
                "the program says that it wrote, and shows the same as before: correct it"
            )
        # Whoever notes something beside this token keeps its id.
        if secret and found.secret == secret and shown.token_id != noted.token_id:
            raise UnconfirmedWriteError(
                "the program shows the token, and not the note that came with it: correct it"
            )
        raise ConflictError(
            "somebody else changed it just after it was written, or the program does not show what"
            " it was given: look at it again"
        )


class ScratchName(CommandStore):
    """The scratch place of a rehearsal: another name of the same program."""

    def remove(self, journal: Journal, *, expected: str) -> None:
        with name_errors(self.url):
            self._look_to_write()
            self._program.ask(Verb.REMOVE, note=journal.to_text(), expected=expected)
            self._confirm(None, journal, expected)


class AssistedCommandStore(NotedStore[Answer]):
    """A secret of a program that lacks something: the rotator compares, and keeps the journal.

    Both are for the rotators of one machine. In the folder of the address there is a file with the
    notes of all names of this program, and a lock that is held as long as a rotation lasts.
    """

    def __init__(self, address: CommandAddress) -> None:
        url = (address.scratch if self.is_scratch else address).canonical
        super().__init__(url, address.canonical.partition("#")[2], _LONGEST_NOTE)
        self._address = address
        self._program = StoreProgram(address.scratch if self.is_scratch else address)
        base = Path(address.folder or "", address.label)
        self._notes = base.with_name(f"{base.name}.json")
        self._lock = FileLock(base.with_name(f"{base.name}.lock"))
        self._seen: Answer | None = None

    def scratch(self) -> "AssistedScratch | None":
        """Return the scratch place: another name, where the program can remove one."""
        with name_errors(self.url):
            can_remove = _can_remove(self._seen or self._program.ask(Verb.READ))
        return AssistedScratch(self._address) if can_remove else None

    def preflight(self) -> None:
        with name_errors(self.url):
            found = self._program.ask(Verb.READ)
            if not found.lacks:
                raise StoreError(
                    "the program needs no help, and keeps the journal itself: remove folder= from"
                    " the URL"
                )
            with self._folder(), NamedTemporaryFile(dir=self._notes.parent):
                self._read_notes()
            self._program.ask(Verb.PREFLIGHT)

    def write(self, secret: str, journal: Journal, *, expected: str) -> None:
        with self.hold():
            super().write(secret, journal, expected=expected)

    def note(self, journal: Journal, *, expected: str) -> str:
        with self.hold():
            return super().note(journal, expected=expected)

    def bump(self, *, expected: str) -> str:
        with self.hold():
            return super().bump(expected=expected)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep the other rotators of this machine out."""
        with ExitStack() as held:
            with name_errors(self.url), self._folder():
                held.enter_context(self._lock.hold(_LOCK_TIMEOUT))
            yield

    def held_elsewhere(self) -> bool | None:
        """Return True while another process of this machine is inside `hold`, else None.

        What a program sent to a server may still arrive when the rotator that ran it is dead.
        """
        with name_errors(self.url), self._folder():
            return self._lock.held_elsewhere() or None

    def _read(self, *, to_write: bool) -> tuple[Answer, str | None, Mapping[str, str]]:  # noqa: ARG002 - the preflight refuses
        found = self._seen = self._program.ask(Verb.READ)
        with self._folder():
            return found, found.secret, self._read_notes()

    def _replace(self, state: Answer, secret: str) -> bool:
        return self._change(Verb.WRITE, state, secret)

    def _change(self, verb: Verb, state: Answer, secret: str | None) -> bool:
        """Write or remove; return False where somebody else has changed it."""
        comparing = Capability.COMPARE_AND_SET in state.capabilities
        if not comparing and self._program.ask(Verb.READ).secret != state.secret:
            return False
        request = {"expected": state.version} if comparing else {}
        request |= {"secret": secret} if secret else {}
        try:
            # A program that outlives us keeps the lock: nobody takes us for dead before it ends.
            with self._lock.hold(_LOCK_TIMEOUT) as fd:
                self._program.ask(verb, kept_open=[fd], **request)
        except ConflictError:
            return False
        if self._program.ask(Verb.READ).secret != secret:
            raise UnconfirmedWriteError(
                "the program says that it changed the token, and does not show it: somebody else"
                " writes it, too, or the program is wrong"
            )
        return True

    def _repeat(self, state: Answer) -> bool:
        return state.secret is not None and self._replace(state, state.secret)

    def _send_notes(self, changes: NoteChanges) -> None:
        with self._folder():
            present = {**self._read_notes(), **changes}
            notes = {key: text for key, text in present.items() if text is not None}
            new = self._notes.with_suffix(".new")
            # Under the lock, so that what a killed rotator left is written over.
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK
            fd = os.open(new, flags, 0o644)
            with os.fdopen(fd, "w", encoding="ascii") as file:
                json.dump(notes, file, indent=1)
                file.flush()
                os.fsync(fd)
            new.replace(self._notes)
            self._sync_folder()

    def _sync_folder(self) -> None:
        fd = os.open(self._notes.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            close(fd)

    def _read_notes(self) -> dict[str, str]:
        self._notes.parent.stat()  # a missing folder is no empty journal
        try:
            notes = json.loads(read_small_file(self._notes))
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError):
            notes = None
        if not isinstance(notes, dict) or not all(isinstance(text, str) for text in notes.values()):
            raise StoreUnreachableError(
                f"{self._notes} is no journal that a rotator wrote: correct it, or remove it if no"
                " rotation is under way"
            )
        return notes

    @contextmanager
    def _folder(self) -> Iterator[None]:
        """Tell what is wrong with the folder."""
        folder = self._notes.parent
        try:
            yield
        except PermissionError as error:
            file = error.filename if isinstance(error.filename, str) else folder
            raise StoreDeniedError(
                f"user {os.geteuid()} may not use {file}: grant read, write and search rights (rwx)"
                f" on {folder}"
            ) from None
        except FileNotFoundError:
            raise StoreUnreachableError(f"there is no folder {folder}: create it") from None
        except ForeignLockError:
            self._refuse_lock("is no regular file, so no rotator made it: remove it")
        except LockTimeoutError:
            self._refuse_lock(
                "is held by another rotator for too long, perhaps with a hook: try again when it is"
                " done"
            )

    def _refuse_lock(self, why: str) -> NoReturn:
        raise StoreUnreachableError(f"{self._notes.with_suffix('.lock')} {why}") from None


class AssistedScratch(AssistedCommandStore, NotedScratch[Answer]):
    """The scratch place of a rehearsal: another name, with its notes in the same file."""

    def remove(self, journal: Journal, *, expected: str) -> None:
        with self.hold():
            super().remove(journal, expected=expected)

    def _delete(self, state: Answer) -> bool:
        return self._change(Verb.REMOVE, state, None)


def _can_remove(found: Answer) -> bool:
    return Capability.SCRATCH in found.capabilities
