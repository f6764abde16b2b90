"""Programs that answer on stdout: a login, or what a store of one's own says.

They are `exec` of a kubeconfig, AWS's `credential_process` and the program of a `command:` store.
They may print whatever they like, and take as long.
"""

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple, cast

from rotator.clock import limit_wait

PATIENCE = 60.0  # seconds; cloud logins take their time
_NOT_FOR_PROGRAMS = ("NOCTURNA_", "ROTATOR_")
_LARGEST = 1 << 20  # bytes
_CHUNK = 1 << 16
_PAUSE = 0.05  # seconds
_GRACE = 5.0  # seconds for a process that was killed


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
    try:
        process = subprocess.Popen(  # noqa: S603 - the owner's own command, as for kubectl and aws
            command,
            env=environment_for_programs(os.environ) if environment is None else environment,
            cwd=folder,
            stdin=subprocess.PIPE if given else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=kept_open,
        )
    except (OSError, ValueError, IndexError) as error:
        raise ProgramError(f"cannot be started ({type(error).__name__})") from None
    if process.stdin:
        threading.Thread(target=_feed, args=(process.stdin, given), daemon=True).start()
    seconds = limit_wait(patience)
    deadline = time.monotonic() + seconds
    try:
        output = _read(process, deadline)
        status = process.wait(max(0.0, deadline - time.monotonic()))
    except (subprocess.TimeoutExpired, TimeoutError):
        _kill(process)
        raise ProgramError(f"did not end within {seconds:.3g} seconds") from None
    except ProgramError:
        _kill(process)
        raise
    return ProgramAnswer(status, output)


def _feed(pipe: IO[bytes], given: bytes) -> None:
    with suppress(OSError), pipe:  # the process may end without reading
        pipe.write(given)


def _read(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """Return all until the pipe or the process ends: what it left behind may keep the pipe open."""
    output = bytearray()
    pipe = cast("IO[bytes]", process.stdout)
    with pipe, selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            has_ended = process.poll() is not None
            if (left := deadline - time.monotonic()) <= 0:
                raise TimeoutError
            if not selector.select(0 if has_ended else min(left, _PAUSE)):
                if has_ended:
                    return bytes(output)
                continue
            if not (chunk := os.read(pipe.fileno(), _CHUNK)):
                return bytes(output)
            output += chunk
            if len(output) > _LARGEST:
                raise ProgramError(f"prints more than {_LARGEST >> 20} MiB")


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):  # it may have become another user's
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
