"""The release note out of CHANGELOG, and the step that gives all files a new version."""

import re
from datetime import date
from pathlib import Path

from release.source import VERSION_FILE, ReleaseError, Source, read_version

CHANGELOG = "CHANGELOG.md"
_UNRELEASED = "## [Unreleased]\n"
_SECTION = re.compile(
    r"^## \[(?P<name>[^\]]+)\][^\n]*\n(?P<text>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL
)
_FORM = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+((a|b|rc)[0-9]+)?")
# What names the version besides the program; tests hold them together.
OTHERS = {
    "helm/rotator/Chart.yaml": (r"^version: {}$", r'^appVersion: "{}"$'),
    "cron/cronjob.yaml": (r"nocturna-rotator:{}\b",),
    "README.md": (r"nocturna-rotator:{}\b", r"VERSION={}\b"),
    "README.ru.md": (r"nocturna-rotator:{}\b", r"VERSION={}\b"),
    "docs/kubernetes.md": (r"nocturna-rotator:{}\b", r"VERSION={}\b"),
}


def describe_release(source: Source, files: list[Path]) -> str:
    """Return the note: what changed, what there is, and how to verify it.

    Raises `ReleaseError` where CHANGELOG has no section of this version.
    """
    sections = _SECTION.finditer((source.tree / CHANGELOG).read_text())
    texts = {each["name"]: each["text"].strip() for each in sections}
    if source.version not in texts:
        raise ReleaseError(
            f"{CHANGELOG} has no section [{source.version}]: make version VERSION={source.version}"
        )
    rows = "".join(f"| `{path.name}` | {_describe(path.name)} |\n" for path in files)
    return (
        f"{texts[source.version]}\n\n## Files\n\n| file | what |\n|---|---|\n{rows}\n"
        "Verify them with `sha256sum --check SHA256SUMS`. They are made from the commit"
        f" `{source.revision}` by `make release`, which makes the same bytes again.\n"
    )


def _describe(name: str) -> str:
    kinds = (
        (".whl", "for `pip install`"),
        (".tar.gz", "the source for `pip install`, with docs and tests"),
        (".tgz", "the chart for `helm install`"),
        (".chart.oci.tar", "the chart for a registry: `skopeo copy oci-archive:FILE docker://…`"),
        ("linux-amd64.oci.tar", "the image for amd64: `skopeo copy oci-archive:FILE docker://…`"),
        ("linux-arm64.oci.tar", "the image for arm64: `skopeo copy oci-archive:FILE docker://…`"),
        (".cdx.json", "what is in it, in CycloneDX"),
    )
    return next((text for end, text in kinds if name.endswith(end)), "")


def set_version(root: Path, version: str, today: date) -> None:
    """Write a version into all files that name it, and close the section of CHANGELOG.

    Raises `ReleaseError`, having changed nothing.
    """
    if not _FORM.fullmatch(version):
        raise ReleaseError(f"found the version {version}, expected one such as 0.2.0 or 0.2.0rc1")
    before = read_version(root)
    texts = {root / CHANGELOG: _close(root / CHANGELOG, version, today)}
    texts[root / VERSION_FILE] = _replace(root / VERSION_FILE, ('"{}"',), before, version)
    for name, patterns in OTHERS.items():
        texts[root / name] = _replace(root / name, patterns, before, version)
    for path, text in texts.items():
        path.write_text(text)


def _close(path: Path, version: str, today: date) -> str:
    text = path.read_text()
    if f"## [{version}]" in text:
        raise ReleaseError(f"{path.name} has a section [{version}] already")
    if _UNRELEASED not in text:
        raise ReleaseError(f"{path.name} has no section [Unreleased]")
    return text.replace(_UNRELEASED, f"{_UNRELEASED}\n## [{version}] – {today:%Y-%m-%d}\n", 1)


def _replace(path: Path, patterns: tuple[str, ...], before: str, version: str) -> str:
    text = path.read_text()
    for pattern in patterns:
        form = re.compile(pattern.format(re.escape(before)), re.MULTILINE)
        text, count = form.subn(lambda found: found[0].replace(before, version), text)
        if not count:
            raise ReleaseError(f"{path.name} does not name the version {before} as {pattern}")
    return text
