"""Programs that answer on stdout: a login, or what a store of one's own says.

They are `exec` of a kubeconfig, AWS's `credential_process` and the program of a `command:` store.
They may print whatever they like, and take as long.
"""

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from rotator.clock import limit_wait
from rotator.hooks.processes import run_process

PATIENCE = 60.0  # seconds; cloud logins take their time
_NOT_FOR_PROGRAMS = ("NOCTURNA_", "ROTATOR_")
_LARGEST = 1 << 20  # bytes


class ProgramError(Exception):
    """What a program did instead of answering, to follow its name in a message."""


class ProgramAnswer(NamedTuple):
    """The exit status of a program, below zero for a signal, and what it wrote to stdout."""

    status: int
    output: bytes


def environment_for_programs(environment: Mapping[str, str]) -> dict[str, str]:
    """Return it without what is for the rotator alone, with the admin's password."""
    return {k: v for k, v in environment.items() if not k.startswith(_NOT_FOR_PROGRAMS)}


def read_output(
    command: Sequence[str], environment: Mapping[str, str] | None = None, patience: float = PATIENCE
) -> bytes:
    """Return what a program writes to stdout until it ends, as `run_program` does.

    Raises `ProgramError`, also for any exit status but 0.
    """
    answer = run_program(command, environment, patience)
    if answer.status:
        raise ProgramError(f"failed with exit status {answer.status}")
    return answer.output


def run_program(  # noqa: PLR0913 - what a process may have, by name
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    patience: float = PATIENCE,
    *,
    given: bytes = b"",
    folder: Path | None = None,
    kept_open: Sequence[int] = (),
) -> ProgramAnswer:
    """Run a program in a session of its own, without a terminal and a shell; its stderr is lost.

    Without an `environment` it gets ours, less what is for the rotator alone. `given` is its stdin,
    `kept_open` are file descriptors that it inherits, and `patience` is in
    seconds. Raises `ProgramError`; with it, the program and all that it has started are killed.
    """
    seconds = limit_wait(patience)
    try:
        result = run_process(
            command,
            environment_for_programs(os.environ) if environment is None else environment,
            timedelta(seconds=seconds),
            given,
            folder=folder,
            kept_open=kept_open,
            largest_answer=_LARGEST,
        )
    except (OSError, ValueError, IndexError) as error:
        raise ProgramError(f"cannot be started ({type(error).__name__})") from None
    if result.cut:
        raise ProgramError(f"prints more than {_LARGEST >> 20} MiB")
    if result.status is None:
        raise ProgramError(f"did not end within {seconds:.3g} seconds")
    return ProgramAnswer(result.status, result.output)
