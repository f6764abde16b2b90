"""The bills of materials: valid, true, and the same each time."""

import json
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from release.packages import build_packages
from release.sbom import describe_image, describe_wheel
from release.source import Source
from tests.image.lock import LOCK, installed

STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.41-12
Description: GNU C Library
 Status: of no package

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1
"""


def valid(text: str) -> dict[str, Any]:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.fixture(scope="module")
def wheel(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = build_packages(source, tmp_path_factory.mktemp("packages"))
    assert [path.name.rpartition("-")[0] or path.name for path in made]
    [wheel] = [path for path in made if path.suffix == ".whl"]
    return wheel


def test_that_of_the_wheel_has_what_its_metadata_asks_for(source: Source, wheel: Path) -> None:
    bill = valid(describe_wheel(source, wheel))
    scopes = {each["name"]: each["scope"] for each in bill["components"]}
    with zipfile.ZipFile(wheel) as opened:
        [name] = [each for each in opened.namelist() if each.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(opened.read(name).decode())
    asked = [Requirement(each) for each in metadata.get_all("Requires-Dist") or []]
    assert len(asked) > 12
    for each in (each for each in asked if each.name != "nocturna-rotator"):
        is_extra = each.marker is not None and "extra" in str(each.marker)
        expected = {"required"} | ({"optional"} if is_extra else set())
        assert scopes[canonicalize_name(each.name)] in expected, each
    assert scopes["pyjwt"] == scopes["certifi"] == "required"  # the second by requests
    assert scopes["apscheduler"] == scopes["pygments"] == "optional"
    assert bill["metadata"]["component"]["version"] == metadata["Version"]


def test_it_tells_who_needs_whom(source: Source, wheel: Path) -> None:
    bill = valid(describe_wheel(source, wheel))
    below = {each["ref"].split("@")[0]: each.get("dependsOn", []) for each in bill["dependencies"]}
    names = {each.split("@")[0] for each in below["pkg:pypi/requests"]}
    assert {"pkg:pypi/certifi", "pkg:pypi/idna", "pkg:pypi/urllib3"} <= names
    assert any("pyjwt" in each for each in below["pkg:pypi/nocturna-rotator"])


def test_its_versions_are_those_of_the_lock(source: Source, wheel: Path) -> None:
    bill = valid(describe_wheel(source, wheel))
    versions = {each["name"]: each["version"] for each in bill["components"]}
    assert installed(LOCK, "3.13").items() <= versions.items()


def test_that_of_an_image_has_packages_of_python_and_of_debian(
    source: Source, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    site = root / "opt/rotator/lib/python3.13/site-packages"
    for name, version in (("PyJWT", "2.15"), ("nocturna-rotator", source.version)):
        (folder := site / f"{name}-{version}.dist-info").mkdir(parents=True)
        (folder / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    header = root / "usr/local/include/python3.13/patchlevel.h"
    header.parent.mkdir(parents=True)
    header.write_text('#define PY_MAJOR_VERSION 3\n#define PY_VERSION              "3.13.9"\n')
    (status := root / "var/lib/dpkg/status").parent.mkdir(parents=True)
    status.write_text(STATUS)
    archive = tmp_path / "image.oci.tar"
    archive.write_bytes(b"layers")
    text = describe_image(source, root, archive)
    bill = valid(text)
    assert [each["purl"] for each in bill["components"]] == [
        "pkg:deb/debian/libc6@2.41-12?arch=amd64",
        f"pkg:pypi/nocturna-rotator@{source.version}",
        "pkg:pypi/pyjwt@2.15",
        "pkg:generic/python@3.13.9",
    ]
    assert bill["metadata"]["component"]["type"] == "container"
    assert describe_image(source, root, archive) == text


def test_the_same_wheel_has_the_same_bill(source: Source, wheel: Path) -> None:
    assert describe_wheel(source, wheel) == describe_wheel(source, wheel)
