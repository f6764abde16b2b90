"""Makes the parts of a release, or gives all files a new version; see docs/releasing.md."""

import hashlib
import shlex
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from release.archives import pack_chart
from release.image import Builder, build_image, mounted
from release.notes import describe_release, set_version
from release.packages import build_packages
from release.sbom import describe_image, describe_wheel
from release.source import ROOT, ReleaseError, Source, exported

SUMS, NOTE = "SHA256SUMS", "RELEASE-NOTE.md"


@click.group()
def main() -> None:
    """Make a release out of the commit that is checked out."""


@main.command()
@click.argument("parts", nargs=-1, type=click.Choice(["packages", "chart", "image", "note"]))
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "dist")
@click.option("--repository", type=click.Path(path_type=Path), default=ROOT)
@click.option("--buildah", default="buildah", help="The command, with options for its storage.")
@click.option("--base", default="", help="The image to build on, best with its digest.")
@click.option("--platform", default="linux/amd64")
@click.option("--options", default="", help="For buildah bud.")
@click.option("--tag", envvar="TAG", default="", help="Refuse any other version than this v….")
def make(  # noqa: PLR0913 - one per option
    parts: Sequence[str],
    *,
    out: Path,
    repository: Path,
    buildah: str,
    base: str,
    platform: str,
    options: str,
    tag: str,
) -> None:
    """Make these parts, or all, and the checksums of all that is in the folder."""
    builder = Builder(shlex.split(buildah), base, platform, shlex.split(options))
    steps: dict[str, Callable[[Source], object]] = {
        "packages": lambda source: make_packages(source, out),
        "chart": lambda source: pack_chart(source, out),
        "image": lambda source: make_image(source, builder, out),
    }
    out.mkdir(parents=True, exist_ok=True)
    with exported(repository.absolute()) as source:
        if tag not in ("", f"v{source.version}"):
            raise ReleaseError(f"found the tag {tag}, expected v{source.version}, the version")
        for name in parts or (*steps, "note"):
            if name in steps:
                steps[name](source)
        if "note" in (parts or ("note",)):
            (out / NOTE).write_text(describe_release(source, _released(out)))
    lines = [f"{_digest(path)}  {path.name}\n" for path in _released(out)]
    (out / SUMS).write_text("".join(lines))
    click.echo(f"{out}:\n{''.join(lines)}", nl=False)


@main.command()
@click.argument("number")
def version(number: str) -> None:
    """Give all files this version, and close the section of CHANGELOG."""
    set_version(ROOT, number, datetime.now(UTC).date())


def make_packages(source: Source, out: Path) -> None:
    """Write the wheel and the sdist, and what is in the wheel."""
    for path in build_packages(source, out):
        if path.suffix == ".whl":
            path.with_name(f"{path.name}.cdx.json").write_text(describe_wheel(source, path))


def make_image(source: Source, builder: Builder, out: Path) -> None:
    """Write the image, and what is in it."""
    archive = build_image(source, builder, out)
    with mounted(builder, archive) as root:
        text = describe_image(source, root, archive)
    archive.with_name(f"{archive.name}.cdx.json").write_text(text)


def _released(out: Path) -> list[Path]:
    made = (path for path in out.iterdir() if path.is_file())
    return sorted(path for path in made if path.name not in (SUMS, NOTE))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    try:
        main()
    except ReleaseError as error:
        sys.exit(f"release: {error}")
