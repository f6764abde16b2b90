"""Small files of the owner's: pipes are read to their end, and nothing is read for ever."""

import os
import threading
from pathlib import Path

import pytest

from rotator.clock import TimeBudget
from rotator.files import read_small_file, read_small_text, require_ordinary


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
    assert read_small_text(tmp_path / "a", "utf-8-sig") == "a\nb\nc\n"


def test_a_pipe_is_read_to_its_end() -> None:
    reader, writer = os.pipe()

    def write() -> None:
        os.write(writer, b"secret\n")
        os.close(writer)

    timer = threading.Timer(0.1, write)
    with os.fdopen(reader):
        timer.start()
        assert read_small_text(Path(f"/dev/fd/{reader}")) == "secret\n"
    timer.join()


def test_the_writer_of_a_pipe_may_come_later(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    timer = threading.Timer(0.1, pipe.write_bytes, [b"secret"])
    timer.start()
    assert read_small_file(pipe) == b"secret"
    timer.join()


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    with TimeBudget(0.1).spending(), pytest.raises(TimeoutError, match="nobody writes"):
        read_small_file(pipe)


def test_a_writer_that_never_ends_is_not_waited_for() -> None:
    reader, writer = os.pipe()
    with (
        os.fdopen(reader),
        os.fdopen(writer, "w"),
        TimeBudget(0.1).spending(),
        pytest.raises(TimeoutError, match="nobody writes to the end of it"),
    ):
        read_small_file(Path(f"/dev/fd/{reader}"))


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom"])
def test_a_device_without_an_end_is_refused(device: str) -> None:
    with pytest.raises(OSError, match="it is larger than 4 MiB"):
        read_small_file(Path(device))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        read_small_file(tmp_path)


def test_what_a_library_reads_by_itself_is_a_regular_file_of_a_bounded_size(tmp_path: Path) -> None:
    for name in ("small", "large"):
        (tmp_path / name).touch()
    os.truncate(tmp_path / "large", (4 << 20) + 1)
    os.mkfifo(tmp_path / "pipe")
    for fine in (tmp_path, tmp_path / "small"):
        require_ordinary(fine)
    with pytest.raises(OSError, match="it is larger than 4 MiB"):
        require_ordinary(tmp_path / "large")
    for special in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="it is no regular file"):
            require_ordinary(special)
    with pytest.raises(FileNotFoundError):
        require_ordinary(tmp_path / "missing")
