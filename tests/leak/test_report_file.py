"""The report's file: one section for each run, replaced as a whole, and nobody else's file."""

import os
import stat
from pathlib import Path

import pytest

from rotator.cli.leaked.markdown import TITLE
from rotator.cli.leaked.report_file import ReportFile
from rotator.errors import ConfigError


def test_a_section_takes_the_place_of_what_the_same_run_wrote(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    file = ReportFile(path)
    assert not path.exists()
    for section in ("## one\n\nunder way\n", "## one\n\ndone\n"):
        file.write(section)
        assert path.read_text() == f"{TITLE}\n{section}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["report.md"]


def test_earlier_runs_keep_their_sections(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    for number in (1, 2, 3):
        file = ReportFile(path)
        file.write(f"## {number}\n")
        file.close()
    assert path.read_text() == f"{TITLE}\n## 1\n\n## 2\n\n## 3\n"


def test_an_empty_file_is_as_good_as_none(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    path.touch()
    ReportFile(path).write("## 1\n")
    assert path.read_text() == f"{TITLE}\n## 1\n"


def test_two_at_once_do_not_write_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    file = ReportFile(path)
    file.write("## 1\n")
    with pytest.raises(ConfigError, match="another rotator leaked is writing it: nothing was done"):
        ReportFile(path)
    file.close()
    ReportFile(path)


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".report.md.rotator-tmp").write_text("half")
    ReportFile(tmp_path / "report.md").write("## 1\n")
    assert [each.name for each in tmp_path.iterdir()] == ["report.md"]


@pytest.mark.parametrize("what", ["text", "folder", "link", "pipe", "no folder"])
def test_what_is_no_report_is_left_as_it_is(tmp_path: Path, what: str) -> None:
    path = tmp_path / "notes.md"
    match what:
        case "text":
            path.write_text("# Shopping list\n")
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to(tmp_path / "elsewhere")
        case "pipe":
            os.mkfifo(path)
        case _:
            path = tmp_path / "nowhere" / "notes.md"
    with pytest.raises(ConfigError, match=r"--report \S+notes.md: .*: nothing was done; name"):
        ReportFile(path)
    assert what != "text" or path.read_text() == "# Shopping list\n"


def test_a_file_of_another_user_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    path.write_text(TITLE)
    if os.geteuid():
        pytest.skip("needs root, to give a file away")
    os.chown(path, 65534, -1)
    with pytest.raises(ConfigError, match="it belongs to another user"):
        ReportFile(path)
