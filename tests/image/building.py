"""Builds the image with buildah, on a base that debootstrap makes once: no registry is asked."""

import ast
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from release.image import Builder, build_image, mounted
from release.source import ROOT, exported
from tests.release.clones import clone

BASE = "localhost/rotator-test-base"
OTHER_BASE = "ROTATOR_TEST_BASE_IMAGE"  # one that a registry has, instead
PIP_SETTINGS = ("cert", "index-url", "extra-index-url", "proxy", "timeout", "trusted-host")


def cache() -> Path:
    """Return the folder where the base outlives a test."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "nocturna-rotator-tests"


def buildah() -> list[str]:
    """Return the command, with a storage of its own."""
    store = cache() / "images"
    return ["buildah", "--root", f"{store}/graph", "--runroot", f"{store}/run"]


@contextmanager
def builder() -> Iterator[Builder]:
    """Yield what builds images here, with no more than a chroot; only the base is kept."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setenv("STORAGE_DRIVER", "vfs")
        base = os.environ.get(OTHER_BASE) or _base()
        volumes = [f"--volume={volume}:ro" for volume in _pip(Path(folder))]
        yield Builder(buildah(), base, options=volumes)


@contextmanager
def built() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Build the image as a release does; yields the files of its archive, and its config."""
    with tempfile.TemporaryDirectory() as folder, builder() as builds:
        repository = clone(ROOT, Path(folder, "repository"))
        with exported(repository) as source:
            archive = build_image(source, builds, Path(folder))
        with mounted(builds, archive) as files:
            yield files, config_of(archive)


def config_of(archive: Path) -> dict[str, Any]:
    """Return how the image is run."""
    with tarfile.open(archive) as opened:

        def read(name: str) -> Any:  # noqa: ANN401 - JSON
            file = opened.extractfile(name)
            assert file
            return json.load(file)

        [named] = read("index.json")["manifests"]
        manifest = read(f"blobs/{named['digest'].replace(':', '/')}")
        config = read(f"blobs/{manifest['config']['digest'].replace(':', '/')}")
    found: dict[str, Any] = config["config"]
    return found


def _run(*arguments: str | Path) -> str:
    return Builder(buildah()).run(*arguments)


def _base() -> str:
    if BASE in _run("images", "--format={{.Name}}").splitlines():
        return BASE
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache()) as folder:
        tree = Path(folder) / "tree"
        packages = "--include=python3,python3-venv,ca-certificates"
        command = ["debootstrap", "--variant=minbase", packages, "bookworm", str(tree)]
        subprocess.run(command, check=True, capture_output=True)
        for archive in tree.glob("var/cache/apt/archives/*.deb"):
            archive.unlink()
        container = _run("from", "scratch")
        _run("copy", "--quiet", container, tree, "/")
        _run("commit", "--quiet", "--rm", container, BASE)
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
