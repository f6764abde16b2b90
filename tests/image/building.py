"""Builds the image with buildah, on a base that debootstrap makes once: no registry is asked."""

import ast
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NAME = "localhost/rotator-test"
BASE = "localhost/rotator-test-base"
OTHER_BASE = "ROTATOR_TEST_BASE_IMAGE"  # one that a registry has, instead
PIP_SETTINGS = ("cert", "index-url", "extra-index-url", "proxy", "timeout", "trusted-host")


def cache() -> Path:
    """Return the folder where the base outlives a test."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "nocturna-rotator-tests"


def buildah(*arguments: str | Path) -> str:
    """Run it with a storage of its own, and without asking for more than a chroot."""
    store = cache() / "images"
    done = subprocess.run(
        ["buildah", "--root", store / "graph", "--runroot", store / "run", *arguments],  # noqa: S607 - any
        env={**os.environ, "BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout.strip()


@contextmanager
def built() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Build the image; yields its files and its config. Only the base is kept."""
    base = os.environ.get(OTHER_BASE) or _base()
    with tempfile.TemporaryDirectory() as folder:
        volumes = [f"--volume={volume}:ro" for volume in _pip(Path(folder))]
        buildah("bud", "--quiet", f"--build-arg=BASE={base}", *volumes, f"--tag={NAME}", ROOT)
    container = buildah("from", "--pull-never", NAME)
    try:
        files = Path(buildah("mount", container))
        yield files, json.loads(buildah("inspect", container))["OCIv1"]["config"]
    finally:
        buildah("rm", container)
        buildah("rmi", NAME)


def _base() -> str:
    if BASE in buildah("images", "--format={{.Name}}").splitlines():
        return BASE
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache()) as folder:
        tree = Path(folder) / "tree"
        packages = "--include=python3,python3-venv,ca-certificates"
        command = ["debootstrap", "--variant=minbase", packages, "bookworm", str(tree)]
        subprocess.run(command, check=True, capture_output=True)
        for archive in tree.glob("var/cache/apt/archives/*.deb"):
            archive.unlink()
        container = buildah("from", "scratch")
        buildah("copy", "--quiet", container, tree, "/")
        buildah("commit", "--quiet", "--rm", container, BASE)
    return BASE


def _pip(folder: Path) -> list[str]:
    """Return what to mount so that pip reaches its index as it does on this machine."""
    lines = subprocess.check_output([sys.executable, "-m", "pip", "config", "list"], text=True)
    found = dict(line.split("=", 1) for line in lines.splitlines())
    settings = {key.rpartition(".")[2]: ast.literal_eval(value) for key, value in found.items()}
    config = folder / "pip.conf"
    volumes = [f"{config}:/etc/pip.conf"]
    if "cert" in settings:
        volumes.append(f"{settings['cert']}:/etc/pip.crt")
        settings["cert"] = "/etc/pip.crt"
    kept = [f"{k} = {settings[k]}" for k in PIP_SETTINGS if "file:" not in settings.get(k, "file:")]
    config.write_text("\n".join(["[global]", *kept, ""]))
    return volumes
