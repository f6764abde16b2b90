"""The template of a backend keeps the contract, from its wheel beside ours."""

import shutil
from pathlib import Path

from tests.door.programs import TOY, Fresh, run


def test_the_template_passes_its_own_tests(fresh: Fresh, tmp_path: Path) -> None:
    tests = Path(shutil.copy(TOY / "test_rotator_shelf.py", tmp_path))
    out = run(fresh.bin / "python", "-m", "pytest", "-q", "-rs", tests, cwd=tmp_path)
    assert " passed" in out
    skipped = [line for line in out.splitlines() if line.startswith("SKIPPED")]
    # What the rig of the template does not tell, and what the shelf has not.
    known = ("the rig does not tell how to", "nothing is to be bumped", "no scratch place")
    assert [line for line in skipped if not any(each in line for each in known)] == []
