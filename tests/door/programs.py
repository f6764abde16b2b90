"""The rotator as other people have it: installed from a wheel beside their own packages."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.process import Runner

ROOT = Path(__file__).parents[2]
TOY = ROOT / "examples" / "backend-template"
UNTOLD = "; it is not known how long the token still lives"  # what `rotate` adds
_BUILD = """
import sys
from hatchling.builders.wheel import WheelBuilder
folder, *projects = sys.argv[1:]
for project in projects:
    [*WheelBuilder(project).build(directory=folder)]
"""
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")


class Program(Runner):
    """Runs a `rotator` of our choice, with no settings of Python and coverage."""

    command: tuple[str | Path, ...] = (sys.executable, "-m", "rotator")

    def _popen(
        self, arguments: Sequence[str], changes: Mapping[str, str]
    ) -> "subprocess.Popen[str]":
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        return subprocess.Popen(
            [*self.command, *arguments],
            cwd=self.folder,
            env={**inherited, **self.env, **changes},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


class Fresh:
    """An environment in which wheels are installed, and everything else is that of the tests."""

    def __init__(self, folder: Path) -> None:
        self._wheels = folder / "wheels"
        self._env = folder / "env"
        venv.create(self._env)
        self.bin = self._env / "bin"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        self.site = self._env / "lib" / version / "site-packages"
        # What the .pth files there name, such as this very checkout, is not seen.
        paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        (self.site / "dependencies.pth").write_text("\n".join(paths))

    def install(self, *projects: Path) -> None:
        """Build a wheel of each project, and install it."""
        run(sys.executable, "-c", _BUILD, self._wheels, *projects)
        wheels = sorted(self._wheels.glob("*.whl"))
        pip = (sys.executable, "-m", "pip", "--python", self.bin / "python")
        run(*pip, "install", "--quiet", "--no-deps", "--no-index", "--no-compile", *wheels)

    def asked(self, code: str) -> str:
        """Return what a line of Python prints there."""
        return run(self.bin / "python", "-I", "-c", code).strip()


def broken_toy(folder: Path, name: str, code: str, extra: str = "") -> Path:
    """Make a project like the toy, whose scheme is its name, and whose module begins with code."""
    project = folder / name
    shutil.copytree(TOY, project, ignore=shutil.ignore_patterns("__pycache__"))
    module = project / "rotator_shelf.py"
    module.rename(project / f"rotator_{name}.py").write_text(code)
    toml = project / "pyproject.toml"
    text = toml.read_text().replace("shelf", name).replace(":open_store", f":open_store{extra}")
    toml.write_text(text)
    return project


def run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)
    return done.stdout
