"""What is said of errors that are not ours, and of names that are not known."""

import errno
import mmap
from pathlib import Path

import pytest

from rotator.errors import internal_error, suggest

MEMORY = "there is too little memory for it: raise the limit of this process or its container"
THREADS = "this machine starts no more threads: raise its limits of processes and memory"


def test_too_little_memory_is_no_bug_of_ours() -> None:
    with pytest.raises(MemoryError) as python:
        bytearray(1 << 62)
    with pytest.raises(OSError) as system:  # noqa: PT011 - its number is looked at
        mmap.mmap(-1, 1 << 60)
    assert system.value.errno == errno.ENOMEM
    assert internal_error(python.value) == internal_error(system.value) == MEMORY


def test_a_full_disk_is_no_bug_of_ours() -> None:
    with pytest.raises(OSError) as full, Path("/dev/full").open("wb", 0) as file:  # noqa: PT011 - the same
        file.write(b"x")
    assert internal_error(full.value) == "the disk is full: free some space, or raise the quota"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ImportError("select.so: failed to map segment from shared object"), MEMORY),
        (ImportError("_rust.abi3.so: cannot allocate memory in static TLS block"), MEMORY),
        (RuntimeError("can't start new thread"), THREADS),
    ],
)
def test_what_a_library_says_of_a_limit_is_known(error: Exception, said: str) -> None:
    assert internal_error(error) == said


@pytest.mark.parametrize(
    "error", [ImportError("no such name"), RuntimeError("x"), OSError(errno.EIO, "x"), KeyError()]
)
def test_other_errors_are_bugs(error: Exception) -> None:
    assert internal_error(error).startswith(f"internal error: {type(error).__name__}")


BOTS = [f"bot-{number:02}" for number in range(1, 61)]


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("lunar", ["luna", "sol"], "luna"),
        ("nova", ["luna", "sol"], "one of: luna, sol"),
        # Each is equally like it: the last of the alphabet is not meant more than the others.
        ("bot-00", BOTS[:4], "one of: bot-01, bot-02, bot-03, bot-04"),
        ("mars", BOTS, f"one of: {', '.join(BOTS[:40])} and 20 more"),
    ],
)
def test_a_name_that_is_not_known_is_told_with_those_that_were_meant(
    name: str, known: list[str], said: str
) -> None:
    assert suggest(name, known) == said
