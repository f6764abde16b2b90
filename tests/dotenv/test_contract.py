"""The `.env` store keeps the contract that every store has to keep."""

import _strptime  # type: ignore[import-not-found] # noqa: F401 - nobody may not import it later
import errno
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rotator.testing import Rig, StoreContract
from tests.dotenv.helpers import NAME, store_at
from tests.support.nobody import as_nobody

NEIGHBOURS = "# a bot\nA=1\n{}\nB='2'  # two\n"
STEPS = ("open", "pwrite", "fsync", "fchmod", "rename")


class TestDotenv(StoreContract):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> Rig:
        folder = tmp_path / "bot"
        folder.mkdir()
        return DotenvRig(folder / ".env").rig()


class DotenvRig:
    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_text("# a bot\nA=1\n")

    def rig(self) -> Rig:
        return Rig(
            open=lambda: store_at(self.path),
            put=self.put,
            neighbours=self.neighbours,
            unreachable=self.unreachable,
            forbidden=lambda: as_nobody(self.path, file=0o600, folder=0o711),
            read_only=lambda: as_nobody(self.path, file=0o644, folder=0o755),
            cut=self.cut,
        )

    def put(self, secret: str) -> None:
        """Edit the line by hand."""
        lines = self.path.read_text().splitlines()
        kept = [line for line in lines if not line.startswith(f"{NAME}=")]
        quoted = secret.replace("\\", r"\\").replace("'", r"\'")
        self.path.write_text("\n".join([*kept, f"{NAME}='{quoted}'"]) + "\n")

    def neighbours(self) -> object:
        lines = self.path.read_text().splitlines()
        ours = (f"{NAME}=", "# rotator:")
        names = sorted(path.name for path in self.path.parent.iterdir())
        return (
            [line for line in lines if not line.startswith(ours)],
            names,
            self.path.stat().st_mode,
        )

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        away = self.path.parent.rename(self.path.parent.with_name("away"))
        yield
        away.rename(self.path.parent)

    @contextmanager
    def cut(self, number: int) -> Iterator["Cut"]:
        with pytest.MonkeyPatch.context() as patch:
            cut = Cut(number)
            for step in STEPS:
                owner: object = Path if step == "rename" else os
                patch.setattr(owner, step, cut.failing(getattr(owner, step)))
            yield cut


class Cut:
    def __init__(self, number: int) -> None:
        self.reached = False
        self._number = number
        self._steps = itertools.count()

    def failing(self, step: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*args: object, **options: object) -> object:
            if next(self._steps) == self._number:
                self.reached = True
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return step(*args, **options)

        return wrapper
