"""What is said to the program of a `command:` store, and what its answers mean.

docs/command-stores.md is the protocol. The token goes over stdin and stdout alone; nothing of what
a program says is repeated.
"""

import json
import os
import shlex
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any

from backends.command.address import CommandAddress
from backends.programs import PATIENCE, ProgramError, run_program
from rotator.errors import ConflictError, StoreDeniedError, StoreError, StoreUnreachableError

_LONGEST = 64 << 10  # bytes of a secret, a note or a version


class Verb(StrEnum):
    READ = "read"
    PREFLIGHT = "preflight"
    WRITE = "write"
    NOTE = "note"
    REMOVE = "remove"


class Capability(StrEnum):
    COMPARE_AND_SET = "compare-and-set"
    NOTES = "notes"
    SCRATCH = "scratch"


class Exit(IntEnum):
    """The exit statuses that mean something; all others mean that nothing is known."""

    DONE = 0
    ABSENT = 3
    DENIED = 4
    UNREACHABLE = 5
    CONFLICT = 6


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program says of a secret: None is absent, and what it does not say is empty."""

    secret: str | None = field(default=None, repr=False)
    note: str = ""
    version: str = ""
    capabilities: frozenset[str] = frozenset()
    has_scratch: bool = False

    @property
    def lacks(self) -> list[str]:
        """What the program cannot do of all that a rotation needs."""
        needed = (Capability.COMPARE_AND_SET, Capability.NOTES)
        return [each for each in needed if each not in self.capabilities]


class StoreProgram:
    """Runs the program, once for each question, for at most `patience` seconds."""

    def __init__(self, address: CommandAddress, patience: float = PATIENCE) -> None:
        self._address = address
        self._patience = patience

    def ask(self, verb: Verb, *, kept_open: Sequence[int] = (), **request: str) -> Answer:
        """Ask the program, which inherits the file descriptors `kept_open`; raises `StoreError`."""
        address = self._address
        self._refuse_unsafe()
        given = json.dumps({"name": address.name, **request}).encode() + b"\n"
        command = [str(address.program), *address.args, verb]
        try:
            answer = run_program(
                command,
                patience=self._patience,
                given=given,
                folder=address.workdir,
                kept_open=kept_open,
            )
        except ProgramError as error:
            raise StoreUnreachableError(
                f"the program {error} at `{verb}`: {self._advice}"
            ) from None
        is_absent = verb is Verb.READ and answer.status == Exit.ABSENT
        if answer.status and not is_absent:
            raise self._describe(verb, answer.status)
        try:
            said = _parse(answer.output)
            if verb is Verb.READ and not is_absent:
                said["secret"]  # what does not say so is no proof that there is none
            understood = _understand(said)
        except (ValueError, TypeError, KeyError, RecursionError):
            understood = None
        if understood is None or (is_absent and understood.secret is not None):
            raise StoreUnreachableError(
                f"what the program prints at `{verb}` is no answer of the protocol"
                f" (docs/command-stores.md): {self._advice}"
            )
        return understood

    def _refuse_unsafe(self) -> None:
        program = self._address.program
        try:
            status = program.stat()
        except OSError as error:
            raise StoreUnreachableError(
                f"the program cannot be found ({error.strerror}): install it, or correct the path"
            ) from None
        if not stat.S_ISREG(status.st_mode) or not _may_execute(program):
            raise StoreDeniedError("the program may not be executed: chmod a+x it")
        if status.st_mode & stat.S_IWOTH:
            raise StoreDeniedError(
                "every user of this machine can change the program, and so get the token: chmod o-w"
                " it"
            )

    def _describe(self, verb: Verb, status: int) -> StoreError:
        match status:
            case Exit.DENIED:
                return StoreDeniedError(f"the program is denied access at `{verb}`: {self._advice}")
            case Exit.UNREACHABLE:
                return StoreUnreachableError(
                    f"the program does not reach its store at `{verb}`: try again later, or"
                    f" {self._advice}"
                )
            case Exit.CONFLICT:
                return ConflictError(
                    "somebody else changed it since it was read; nothing was written: look at it"
                    " again"
                )
        how = f"exit status {status}" if status > 0 else f"signal {-status}"
        return StoreUnreachableError(f"the program failed with {how} at `{verb}`: {self._advice}")

    @property
    def _advice(self) -> str:
        address = self._address
        request = json.dumps({"name": address.name})
        command = [str(address.program), *address.args, Verb.PREFLIGHT]
        return f"to see why, run echo {shlex.quote(request)} | {shlex.join(command)}"


def _may_execute(program: Path) -> bool:
    by_effective = os.access in os.supports_effective_ids
    return os.access(program, os.X_OK, effective_ids=by_effective)


def _parse(output: bytes) -> dict[str, Any]:
    said = json.loads(output) if output.strip() else {}
    if not isinstance(said, dict):
        raise TypeError
    return said


def _understand(said: Mapping[str, Any]) -> Answer:
    capabilities = said.get("capabilities") or []
    if not isinstance(capabilities, list) or not all(isinstance(c, str) for c in capabilities):
        raise TypeError
    return Answer(
        # What tools print ends with a line, which is no part of a token.
        secret=_text(said, "secret").rstrip("\r\n") or None,
        note=_text(said, "note"),
        version=_text(said, "version"),
        capabilities=frozenset(capabilities),
        has_scratch=said.get("scratch") is True,
    )


def _text(said: Mapping[str, Any], key: str) -> str:
    text = said.get(key)
    if text is None:
        return ""
    if not isinstance(text, str) or len(text.encode()) > _LONGEST:
        raise TypeError
    return text
