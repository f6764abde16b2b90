"""The example programs, where other users may run them."""

import shutil
from pathlib import Path

STORES = Path(__file__).parents[2] / "examples" / "stores"


def installed(name: str, folder: Path) -> Path:
    """Copy a program into a folder, and return where it is."""
    return Path(shutil.copy(STORES / name, folder))
