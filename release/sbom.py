"""Bills of materials in CycloneDX: of the wheel, and of all that is in the image."""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import Distribution, distributions
from pathlib import Path
from uuid import UUID, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from release.lock import LOCK, Entry, read_lock
from release.source import NAME, Source

_SPACE = UUID("5b2f3c52-5d0c-5c1e-9b1a-4a8f0d6f2c11")  # of our serial numbers
_DPKG = ("var/lib/dpkg/status", "var/lib/dpkg/status.d/*")


def describe_wheel(source: Source, wheel: Path) -> str:
    """Return the wheel with its packages: those that it always needs, and those of its extras.

    The versions are those of requirements.lock, with which it is tested.
    """
    locked = {entry.name: entry for entry in read_lock(source.tree / LOCK)}
    needed = set(_needed(source.tree, locked))
    subject = _package("pypi", NAME, source.version, None)
    subject.licenses.add(DisjunctiveLicense(id="MIT"))
    subject.hashes.add(_digest(wheel))
    bom = _bom(source, subject, wheel.name)
    components = {NAME: subject}
    for entry in locked.values():
        scope = ComponentScope.REQUIRED if entry.name in needed else ComponentScope.OPTIONAL
        components[entry.name] = _package("pypi", entry.name, entry.version, scope)
        if entry.requirement.marker:
            marker = Property(name="python:marker", value=str(entry.requirement.marker))
            components[entry.name].properties.add(marker)
        bom.components.add(components[entry.name])
    for name, component in components.items():
        below = (each for each in locked.values() if name in each.needed_by)
        bom.register_dependency(component, [components[each.name] for each in below])
    return _as_json(bom)


def describe_image(source: Source, root: Path, archive: Path) -> str:
    """Return what is in an image: Python and its packages, and those of its Debian."""
    subject = _package("oci", NAME, source.version, None)
    subject.type = ComponentType.CONTAINER
    subject.hashes.add(_digest(archive))
    bom = _bom(source, subject, archive.name)
    found = [*_interpreter(root), *_python_packages(root), *_debian_packages(root)]
    for component in found:
        bom.components.add(component)
    bom.register_dependency(subject, found)
    return _as_json(bom)


def _bom(source: Source, subject: Component, file: str) -> Bom:
    bom = Bom(serial_number=uuid5(_SPACE, f"{source.revision} {file}"))
    bom.metadata.timestamp = datetime.fromtimestamp(source.epoch, UTC)
    bom.metadata.component = subject
    bom.metadata.properties.add(Property(name=f"{NAME}:file", value=file))
    return bom


def _needed(tree: Path, locked: dict[str, Entry]) -> Iterator[str]:
    """Yield what the project itself asks for, and what that asks for."""
    project = tomllib.loads((tree / "pyproject.toml").read_text())["project"]
    waiting: list[str] = [
        canonicalize_name(Requirement(each).name) for each in project["dependencies"]
    ]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            yield name
            waiting += [each.name for each in locked.values() if name in each.needed_by]


def _interpreter(root: Path) -> Iterator[Component]:
    """Find the Python of an official image, which is no package; Debian's own is one."""
    for path in sorted(root.glob("usr/local/include/python3*/patchlevel.h")):
        [version] = re.findall(r'^#define PY_VERSION +"([^"]+)"', path.read_text(), re.MULTILINE)
        yield _package("generic", "python", version, ComponentScope.REQUIRED)


def _python_packages(root: Path) -> Iterator[Component]:
    folders = [str(each) for each in sorted(root.glob("opt/rotator/lib/python3*/site-packages"))]
    found: Iterable[Distribution] = distributions(path=folders)
    for each in sorted(found, key=lambda each: each.name.lower()):
        yield _package("pypi", canonicalize_name(each.name), each.version, ComponentScope.REQUIRED)


def _debian_packages(root: Path) -> Iterator[Component]:
    """Read the fields of https://manpages.debian.org/dpkg-query(1)."""
    for pattern in _DPKG:
        for path in sorted(root.glob(pattern)):
            for block in path.read_text().split("\n\n"):
                fields = dict(
                    line.split(": ", 1)
                    for line in block.splitlines()
                    if ": " in line and line[:1] != " "
                )
                if "installed" in fields.get("Status", "installed") and "Package" in fields:
                    qualifiers = {"arch": fields["Architecture"]}
                    name, version = fields["Package"], fields["Version"]
                    yield _package("deb", name, version, None, "debian", qualifiers)


def _package(  # noqa: PLR0913, PLR0917 - the parts of a package URL
    kind: str,
    name: str,
    version: str,
    scope: ComponentScope | None,
    namespace: str | None = None,
    qualifiers: dict[str, str] | None = None,
) -> Component:
    url = PackageURL(kind, namespace, name, version, qualifiers)
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        scope=scope,
        purl=url,
        bom_ref=url.to_string(),
    )


def _digest(path: Path) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=sha256(path.read_bytes()).hexdigest())


def _as_json(bom: Bom) -> str:
    made = json.loads(JsonV1Dot6(bom).output_as_string())
    return json.dumps(made, indent=2, sort_keys=True) + "\n"
