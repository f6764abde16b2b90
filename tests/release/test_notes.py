"""The release note, and the step that gives all files a new version."""

import re
from datetime import date
from pathlib import Path

import pytest

from release.notes import OTHERS, describe_release, set_version
from release.source import ROOT, ReleaseError, Source, exported, read_version
from tests.release.clones import commit

TODAY = date(2026, 12, 1)
NEXT = "7.8.9"


def test_a_version_is_written_into_all_files_that_name_it(changed: Path) -> None:
    before = read_version(changed)
    set_version(changed, NEXT, TODAY)
    assert read_version(changed) == NEXT
    for name, patterns in OTHERS.items():
        text = (changed / name).read_text()
        for pattern in patterns:
            assert re.search(pattern.format(re.escape(NEXT)), text, re.MULTILINE), (name, pattern)
            assert not re.search(pattern.format(re.escape(before)), text, re.MULTILINE)


def test_no_other_file_names_the_version() -> None:
    version = re.compile(rf"(?<![\d.]){re.escape(read_version(ROOT))}(?![\d.])")
    named = {
        str(path.relative_to(ROOT))
        for pattern in ("*.md", "docs/*.md", "cron/*", "helm/**/*.yaml", "examples/*", "Dockerfile")
        for path in ROOT.glob(pattern)
        if path.is_file() and version.search(path.read_text())
    }
    # The page about releases shows one.
    assert named <= {*OTHERS, "CHANGELOG.md", "docs/releasing.md"}


def test_the_section_of_the_changelog_is_closed(changed: Path) -> None:
    whole = (changed / "CHANGELOG.md").read_text()
    set_version(changed, NEXT, TODAY)
    text = (changed / "CHANGELOG.md").read_text()
    assert f"## [Unreleased]\n\n## [{NEXT}] – 2026-12-01\n" in text
    assert text.replace(f"\n## [{NEXT}] – 2026-12-01\n", "") == whole


def test_the_note_is_that_section_with_the_files(changed: Path) -> None:
    whole = (changed / "CHANGELOG.md").read_text()
    told = "## [Unreleased]\n\n### Fixed\n\n- It spins.\n"
    (changed / "CHANGELOG.md").write_text(whole.replace("## [Unreleased]\n", told))
    set_version(changed, NEXT, TODAY)
    commit(changed)
    files = [Path(f"nocturna_rotator-{NEXT}-py3-none-any.whl"), Path(f"rotator-{NEXT}.tgz")]
    with exported(changed) as source:
        note = describe_release(source, files)
        assert note.startswith("### Fixed\n\n- It spins.\n")
        assert "## [" not in note
        assert f"| `{files[0].name}` | for `pip install` |" in note
        assert source.revision in note


def test_there_is_no_note_before_the_section_is_closed(source: Source, changed: Path) -> None:
    if f"## [{source.version}]" in (changed / "CHANGELOG.md").read_text():
        pytest.skip("this version is released")
    with pytest.raises(ReleaseError, match=rf"no section \[{source.version}\]: make version"):
        describe_release(source, [])


@pytest.mark.parametrize("version", ["0.2", "v0.2.0", "0.2.0-rc1", "next", ""])
def test_what_is_no_version_changes_nothing(changed: Path, version: str) -> None:
    before = (changed / "CHANGELOG.md").read_text()
    with pytest.raises(ReleaseError, match=r"expected one such as 0\.2\.0"):
        set_version(changed, version, TODAY)
    assert (changed / "CHANGELOG.md").read_text() == before


def test_a_file_that_does_not_name_the_version_is_told_and_nothing_is_changed(
    changed: Path,
) -> None:
    (changed / "cron/cronjob.yaml").write_text("image: nocturna-rotator:latest\n")
    before = read_version(changed)
    with pytest.raises(ReleaseError, match=r"cronjob\.yaml does not name the version"):
        set_version(changed, NEXT, TODAY)
    assert read_version(changed) == before


def test_a_version_is_released_once(changed: Path) -> None:
    set_version(changed, NEXT, TODAY)
    with pytest.raises(ReleaseError, match=r"has a section \[7\.8\.9\] already"):
        set_version(changed, NEXT, TODAY)
