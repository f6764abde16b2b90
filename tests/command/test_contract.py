"""The programs that are shipped as examples keep the contract that every store has to keep."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from rotator.testing import Rig, StoreContract, program_rig
from rotator.testing.contract import (
    FailingStores,
    FencedStores,
    RacingStores,
    ReadStores,
    WrittenStores,
)
from rotator.testing.rehearsals import RehearsedStores
from tests.command.conftest import installed
from tests.support.nobody import as_nobody


@pytest.mark.long
class TestTwoLines(StoreContract):
    """The program compares, and keeps the note."""

    @pytest.fixture
    def rig(self, tmp_path: Path) -> Rig:
        return FileRig(tmp_path, "two_lines.sh").rig()


@pytest.mark.sample(27)
class TestPlainFile(ReadStores, WrittenStores, RacingStores, FencedStores, FailingStores):
    """The program does neither: the rotator keeps a journal and a lock."""

    @pytest.fixture
    def rig(self, tmp_path: Path) -> Rig:
        (tmp_path / "rotator").mkdir()
        return FileRig(tmp_path, "plain_file.sh", "&folder=rotator").rig()


@pytest.mark.long
class TestPlainFileRehearsed(RehearsedStores):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> Rig:
        (tmp_path / "rotator").mkdir()
        return FileRig(tmp_path, "plain_file.sh", "&folder=rotator").rig()


class FileRig:
    """A program whose store is a file with the token in its first line."""

    def __init__(self, folder: Path, program: str, options: str = "") -> None:
        self.folder = folder
        self.path = folder / "bot" / "token"
        self.path.parent.mkdir()
        self.path.touch()
        (self.path.parent / "other").write_text("theirs")
        self.url = f"command:{installed(program, folder)}?args={self.path}{options}#TOKEN"

    def rig(self) -> Rig:
        return program_rig(
            self.url,
            self.folder,
            put=self.put,
            neighbours=self.neighbours,
            unreachable=self.unreachable,
            forbidden=lambda: as_nobody(self.path, file=0o600, folder=0o700),
            read_only=self.read_only,
            values=("no token", "1"),
        )

    def read_only(self) -> AbstractContextManager[None]:
        for path in self.path.parent.glob(f"{self.path.name}_*"):
            path.chmod(0o644)
        return as_nobody(self.path, file=0o644, folder=0o755)

    def put(self, secret: str) -> None:
        self.path.write_text("\n".join([secret, *self.path.read_text().split("\n")[1:]]))

    def neighbours(self) -> object:
        return {p.name: p.read_text() for p in self.path.parent.iterdir() if p != self.path}

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        away = self.path.parent.rename(self.path.parent.with_name("away"))
        yield
        away.rename(self.path.parent)
