"""What can be said of the image without building it."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.image.lock import BUILD_LOCK, LOCK, ROOT, entries, installed

DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
UNCOMMENTED = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE)
INSTRUCTIONS = re.findall(r"^[A-Z]+ .*$", re.sub(r"\\\n\s*", "", UNCOMMENTED), re.MULTILINE)


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_lock_has_what_all_extras_ask_for(python: str) -> None:
    lock = installed(LOCK, python)
    asked = [
        *PROJECT["project"]["dependencies"],
        *(each for more in EXTRAS.values() for each in more),
    ]
    assert len(asked) > 10
    for requirement in map(Requirement, asked):
        if requirement.name != PROJECT["project"]["name"]:
            version = lock.get(canonicalize_name(requirement.name))
            assert version, f"{requirement} is not in the lock: make lock"
            assert requirement.specifier.contains(version), f"{requirement}: make lock"


def test_the_build_has_what_pyproject_asks_for() -> None:
    lock = installed(BUILD_LOCK, "3.13")
    for requirement in map(Requirement, PROJECT["build-system"]["requires"]):
        assert requirement.specifier.contains(lock[requirement.name])


@pytest.mark.parametrize("name", [LOCK, BUILD_LOCK])
def test_every_package_has_one_version_and_its_hashes(name: str) -> None:
    locked = entries(name)
    assert len(locked) > 4
    for entry in locked:
        assert entry.version
        assert entry.hashes
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in entry.hashes)


@pytest.mark.parametrize("name", [LOCK, BUILD_LOCK, "Dockerfile", ".dockerignore"])
def test_no_file_of_the_image_names_a_server(name: str) -> None:
    text = (ROOT / name).read_text()
    assert not re.search(r"://|index-url|find-links|trusted-host|pypi", text)


def test_the_recipe_takes_in_nothing_that_is_not_pinned() -> None:
    assert len(INSTRUCTIONS) > 15
    assert [line for line in INSTRUCTIONS if line.startswith("ADD")] == []
    assert [line for line in INSTRUCTIONS if re.search(r"apt|apk|curl|wget|git ", line)] == []
    bases = [line.split()[1] for line in INSTRUCTIONS if line.startswith("FROM")]
    assert bases == ["${BASE}", "${BASE}"]
    installs = re.findall(
        r"pip\S* (?:--python \S+ )?install .*?(?=&&|$)", "\n".join(INSTRUCTIONS), re.MULTILINE
    )
    assert len(installs) == 3
    assert all("--require-hashes" in each or "--no-index" in each for each in installs)


def test_what_the_recipe_copies_is_let_in_and_nothing_else() -> None:
    first, *rest = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] != "#"
    ]
    assert first == "*"
    let_in = {line[1:] for line in rest if line.startswith("!")}
    copied = {
        word
        for line in INSTRUCTIONS
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    }
    assert let_in == copied
    assert all((ROOT / name).exists() for name in copied)


def test_it_runs_as_a_numbered_user() -> None:
    (user,) = [line.split()[1] for line in INSTRUCTIONS if line.startswith("USER")]
    assert user == "10001:10001"
    assert "HEALTHCHECK" not in DOCKERFILE
    assert 'ENTRYPOINT ["rotator"]' in INSTRUCTIONS
