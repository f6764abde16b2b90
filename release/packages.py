"""The wheel and the sdist."""

import os
import subprocess
import sys
from pathlib import Path

from release.source import ReleaseError, Source


def build_packages(source: Source, folder: Path) -> list[Path]:
    """Build both, with the time of the commit in them."""
    before = set(folder.iterdir())
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory", folder],
        cwd=source.tree,
        # Byte code beside the sources would go into the sdist.
        env={**os.environ, "SOURCE_DATE_EPOCH": str(source.epoch), "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ReleaseError(f"hatchling failed: {done.stderr.strip()}")
    return sorted(set(folder.iterdir()) - before)
