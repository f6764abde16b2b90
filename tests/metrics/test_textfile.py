"""The file for node_exporter: whole at any time, readable by others, with a memory."""

import fcntl
import os
import stat
import threading
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rotator.metrics.definitions import PREFIX, Samples, Series, measure
from rotator.metrics.exposition import parse_samples
from rotator.metrics.publish import update_textfile
from rotator.rotation.model import Action
from tests.metrics.support import failed, look, token_states
from tests.support.clock import NOON

FAULTS = Series(f"{PREFIX}failures", "luna", "api-fault")
FAILING = Series(f"{PREFIX}failing", "luna")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rotator.prom"


def failure() -> Samples:
    return measure(token_states(failed()), NOON)


def read(file: Path) -> Samples:
    return parse_samples(file.read_text())


def test_everybody_may_read_it_whatever_the_umask(file: Path) -> None:
    before = os.umask(0o077)
    try:
        update_textfile(file, failure(), ["luna"])
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_it_is_what_node_exporter_wants(file: Path) -> None:
    update_textfile(file, failure(), ["luna"])
    families = list(text_string_to_metric_families(file.read_text()))
    assert len(families) == len({family.name for family in families}) > 10
    assert all(sample.timestamp is None for family in families for sample in family.samples)


def test_the_files_of_two_configs_have_no_series_in_common(file: Path) -> None:
    update_textfile(file, failure(), ["luna"])
    other = file.with_name("other.prom")
    update_textfile(other, measure(token_states(failed(name="sol")), NOON), ["sol"])
    series = [
        (sample.name, tuple(sample.labels.items()))
        for each in (file, other)
        for family in text_string_to_metric_families(each.read_text())
        for sample in family.samples
    ]
    assert len(series) == len(set(series)) > 20


def test_runs_add_up(file: Path) -> None:
    for _ in range(3):
        update_textfile(file, failure(), ["luna"])
    assert read(file)[FAULTS] == 3


def test_a_token_that_left_the_config_goes(file: Path) -> None:
    update_textfile(
        file, measure(token_states(look(Action.KEPT, name="old"), failed()), NOON), ["luna", "old"]
    )
    update_textfile(file, failure(), ["luna"])
    assert {series.token for series in read(file)} == {"luna"}


@pytest.mark.parametrize(
    "content", [b"\x00\xff\n", b"nocturna_rotator_failing{token=\n", b'x{"} 1\n', b"{}{}\n"]
)
def test_garbage_is_left_out_with_a_warning(
    file: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_bytes(content)
    update_textfile(file, failure(), ["luna"])
    assert read(file)[FAULTS] == 1
    (warning,) = caplog.messages
    assert warning.startswith(f"{file}: the metrics of earlier runs are lost (")


def test_an_empty_file_is_no_garbage(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.write_bytes(b"")
    update_textfile(file, failure(), ["luna"])
    assert (read(file)[FAULTS], caplog.messages) == (1, [])


def test_a_pipe_in_its_place_holds_nobody_up(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    os.mkfifo(file)
    update_textfile(file, failure(), ["luna"])
    assert read(file)[FAULTS] == 1
    assert "are lost" in caplog.text


def test_a_file_that_is_too_large_is_not_read(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    update_textfile(file, failure(), ["luna"])
    with file.open("a") as longer:
        longer.write(f"# {'x' * 16 * 1024 * 1024}\n")
    update_textfile(file, failure(), ["luna"])
    assert read(file)[FAULTS] == 1
    assert "are lost" in caplog.text


@pytest.mark.parametrize("name", ["folder.prom", "nowhere/a.prom"])
def test_where_nothing_can_be_written_nothing_is_left(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.prom").mkdir()
    with pytest.raises(OSError, match="directory"):
        update_textfile(tmp_path / name, failure(), ["luna"])
    assert [each.name for each in tmp_path.iterdir()] == ["folder.prom"]


def test_many_runs_at_once_lose_nothing(file: Path) -> None:
    names = [f"bot-{number}" for number in range(12)]

    def one(name: str) -> None:
        update_textfile(file, measure(token_states(failed(name=name)), NOON), names, patience=60)

    threads = [threading.Thread(target=one, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {series.token for series in read(file)} == set(names)


def test_a_folder_that_somebody_holds_is_not_waited_for_for_ever(file: Path) -> None:
    number = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        update_textfile(file, failure(), ["luna"], patience=0)
    finally:
        os.close(number)
    assert read(file)[FAILING] == 1
