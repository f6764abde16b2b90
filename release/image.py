"""The image as an OCI archive, by buildah, which needs no daemon; and a look into it."""

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from release.archives import pack_layout
from release.source import NAME, ReleaseError, Source

_PLATFORM = re.compile(r"linux/[a-z0-9]+")


class Builder(NamedTuple):
    """How images are built here: `buildah` with its storage, and what more `bud` is told.

    `base` is the image that it is built on; only one with a digest is the same tomorrow.
    """

    buildah: Sequence[str] = ("buildah",)
    base: str = ""
    platform: str = "linux/amd64"
    options: Sequence[str] = ()

    def run(self, *arguments: str | Path) -> str:
        """Run buildah; raises `ReleaseError`."""
        try:
            done = subprocess.run(
                [*self.buildah, *arguments],
                env={"BUILDAH_ISOLATION": "chroot", **os.environ},
                check=False,
                capture_output=True,
                text=True,
            )
        except OSError as error:
            raise ReleaseError(
                f"{self.buildah[0]} cannot be started ({error.strerror}): install it"
            ) from None
        if done.returncode:
            raise ReleaseError(f"buildah {arguments[0]} failed: {done.stderr[-2000:].strip()}")
        return done.stdout.strip()


def build_image(source: Source, builder: Builder, folder: Path) -> Path:
    """Build the image for one platform, and write its archive."""
    if not _PLATFORM.fullmatch(builder.platform):
        raise ReleaseError(f"found the platform {builder.platform}, expected one as linux/amd64")
    name = f"localhost/{NAME}:{source.version}"
    arguments = {"VERSION": source.version, "REVISION": source.revision}
    arguments |= {"BASE": builder.base} if builder.base else {}
    builder.run(
        *("bud", "--quiet", "--no-cache", "--format=oci", "--identity-label=false"),
        f"--platform={builder.platform}",
        f"--timestamp={source.epoch}",
        *(f"--build-arg={key}={value}" for key, value in arguments.items()),
        *builder.options,
        f"--tag={name}",
        source.tree,
    )
    try:
        with TemporaryDirectory() as layout:
            builder.run("push", "--quiet", name, f"oci:{layout}:{source.version}")
            packed = pack_layout(Path(layout), source.epoch)
    finally:
        builder.run("rmi", name)
    path = folder / f"{NAME}-{source.version}-{builder.platform.replace('/', '-')}.oci.tar"
    path.write_bytes(packed)
    return path


@contextmanager
def mounted(builder: Builder, archive: Path) -> Iterator[Path]:
    """Yield the files of an archive, as a container would see them."""
    container = builder.run("from", "--pull-never", f"oci-archive:{archive}")
    try:
        yield Path(builder.run("mount", container))
    finally:
        image = builder.run("inspect", "--format={{.FromImageID}}", container)
        builder.run("rm", container)
        builder.run("rmi", image)
