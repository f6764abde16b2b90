"""Programs that print a login: `exec` of a kubeconfig, and AWS's `credential_process`.

They may print whatever they like, and take as long.
"""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, cast

from rotator.clock import limit_wait

PATIENCE = 60.0  # seconds; cloud logins take their time
_LARGEST = 1 << 20  # bytes
_CHUNK = 1 << 16
_GRACE = 5.0  # seconds for a process that was killed


class ProgramError(Exception):
    """What a program did instead of printing a login, to follow its name in a message."""


def read_output(
    command: Sequence[str], environment: Mapping[str, str] | None = None, patience: float = PATIENCE
) -> bytes:
    """Return what a program writes to stdout until it ends; it has no terminal and no shell.

    `patience` is in seconds. Raises `ProgramError`; with it, the program and all that it has
    started are killed.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 - the owner's own command, as for kubectl and aws
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError, IndexError) as error:
        raise ProgramError(f"cannot be started ({type(error).__name__})") from None
    seconds = limit_wait(patience)
    deadline = time.monotonic() + seconds
    try:
        output = _read(cast("IO[bytes]", process.stdout), deadline)
        status = process.wait(max(0.0, deadline - time.monotonic()))
    except (subprocess.TimeoutExpired, TimeoutError):
        _kill(process)
        raise ProgramError(f"did not end within {seconds:.3g} seconds") from None
    except ProgramError:
        _kill(process)
        raise
    if status:
        raise ProgramError(f"failed with exit status {status}")
    return output


def _read(pipe: IO[bytes], deadline: float) -> bytes:
    output = bytearray()
    with pipe, selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if (left := deadline - time.monotonic()) <= 0:
                raise TimeoutError
            if not selector.select(left):
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
