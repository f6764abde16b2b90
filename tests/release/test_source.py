"""What is released is one commit, with one version."""

from pathlib import Path

import pytest

from release.source import ReleaseError, Source, exported
from rotator import __version__


def test_the_version_is_that_of_the_program(source: Source) -> None:
    assert source.version == __version__
    assert len(source.revision) == 40


def test_what_is_not_committed_keeps_a_release_from_being_made(changed: Path) -> None:
    for name in ("rotator/new.py", "README.md"):
        (changed / name).write_text("x")
        with (
            pytest.raises(ReleaseError, match="files are changed or not in git"),
            exported(changed),
        ):
            pass


def test_what_git_ignores_is_not_in_it(changed: Path) -> None:
    (changed / "dist").mkdir()
    (changed / "dist" / "old.whl").write_text("x")
    (changed / "rotator" / "__pycache__").mkdir()
    (changed / "rotator" / "__pycache__" / "x.pyc").write_text("x")
    with exported(changed) as source:
        assert not (source.tree / "dist").exists()
        assert not (source.tree / "rotator" / "__pycache__").exists()


def test_where_there_is_no_repository_git_says_so(tmp_path: Path) -> None:
    with (
        pytest.raises(ReleaseError, match=r"git status failed: .*not a git repository"),
        exported(tmp_path),
    ):
        pass
