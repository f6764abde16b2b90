"""The example programs that need others: the contract of each where its tools are installed."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from rotator.stores.port import Entry
from rotator.stores.registry import Backends
from rotator.testing import Rig, StoreContract, program_rig
from rotator.testing.rig import new_journal, new_secret, read_back, write
from tests.command.conftest import installed, require, run
from tests.support.nobody import as_nobody

SYSTEM_PYTHON = Path("/usr/bin/python3")  # which other users may run, too
OTHERS = {"é": 1.5, "LOG": "info"}
ENDS = {"json": "", "age": ".age", "sops": ".sops.json", "ansible-vault": ".vault.json"}


class Sealing(NamedTuple):
    """How a kind of file is made and read by hand; a JSON file is what it is."""

    options: str = ""
    seal: Callable[[bytes, Path], bytes] = lambda text, _: text
    unseal: Callable[[bytes], bytes] = bytes


@pytest.fixture(autouse=True)
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `python3` start at once, and be one that other users may run."""
    tools = tmp_path / "tools"
    tools.mkdir()
    real = SYSTEM_PYTHON if SYSTEM_PYTHON.exists() else Path(sys.executable)
    (tools / "python3").write_text(f'#!/bin/sh\nexec {real} -I -S "$@"\n')
    (tools / "python3").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)


def sealing_of(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Sealing:
    """Set a kind of encryption up, and return what it takes."""
    require(kind)
    key = folder / "key"
    match kind:
        case "age":
            key.write_bytes(run("age-keygen"))
            return Sealing(
                f"+{key}",
                lambda text, _: run("age", "-e", "-i", key, given=text),
                lambda text: run("age", "-d", "-i", key, given=text),
            )
        case "sops":
            key.write_bytes(run("age-keygen"))
            public = run("age-keygen", "-y", key).decode().strip()
            (folder / ".sops.yaml").write_text(f"creation_rules:\n  - age: {public}\n")
            monkeypatch.setenv("SOPS_AGE_KEY_FILE", str(key))
            types = ("--input-type=json", "--output-type=json")
            return Sealing(
                "",
                lambda text, file: run(
                    *("sops", *types, "-e", "--filename-override", file, "/dev/stdin"),
                    given=text,
                    folder=folder,
                ),
                lambda text: run("sops", *types, "-d", "/dev/stdin", given=text),
            )
        case "ansible-vault":
            key.write_text("a made-up password\n")
            monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(key))
            vault = "ansible-vault"
            return Sealing(
                "",
                lambda text, _: run(vault, "encrypt", "--output=-", "-", given=text),
                lambda text: run(vault, "decrypt", "--output=-", "-", given=text),
            )
    return Sealing()


def require_system_python() -> None:
    if not SYSTEM_PYTHON.exists():
        pytest.skip(f"there is no {SYSTEM_PYTHON}, which another user could run")


class JsonFileRig:
    def __init__(self, folder: Path, end: str, sealing: Sealing) -> None:
        self._folder = folder
        self._sealing = sealing
        self._path = folder / "bot" / f"luna{end or '.json'}"
        self._path.parent.mkdir()
        self._put(OTHERS)

    def rig(self) -> Rig:
        program = installed("json_file.py", self._folder)
        is_plain = self._path.name == "luna.json"
        return program_rig(
            f"command:{program}?args={self._path}{self._sealing.options}#TOKEN",
            self._folder,
            put=lambda secret: self._put(self._values() | {"TOKEN": secret}),
            neighbours=self._neighbours,
            unreachable=self._unreachable,
            # Of the others, the key is no stranger's.
            forbidden=(lambda: self._as_nobody(0o600, 0o711)) if is_plain else None,
            read_only=(lambda: self._as_nobody(0o644, 0o755)) if is_plain else None,
        )

    def _as_nobody(self, file: int, folder: int) -> AbstractContextManager[None]:
        require_system_python()
        return as_nobody(self._path, file=file, folder=folder)

    def _values(self) -> dict[str, object]:
        return dict(json.loads(self._sealing.unseal(self._path.read_bytes())))

    def _put(self, values: dict[str, object]) -> None:
        self._path.write_bytes(self._sealing.seal(json.dumps(values).encode(), self._path))

    def _neighbours(self) -> object:
        names = sorted(path.name for path in self._path.parent.iterdir())
        return {k: v for k, v in self._values().items() if not k.startswith("TOKEN")}, names

    @contextmanager
    def _unreachable(self) -> Iterator[None]:
        away = self._path.parent.rename(self._path.parent.with_name("away"))
        yield
        away.rename(self._path.parent)


class PassRig:
    """An entry of pass, beside another one, and with a line of its own."""

    def __init__(self, folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._store = folder / "store"
        monkeypatch.setenv("PASSWORD_STORE_DIR", str(self._store))
        monkeypatch.setenv("GNUPGHOME", str(home))
        run("pass", "init", "bot@luna")
        run("pass", "insert", "-m", "bots/sol", given=b"theirs\n")
        self._insert(["", "user: luna"])

    def rig(self) -> Rig:
        return program_rig(
            f"command:{installed('pass_store.py', self._folder)}#bots/luna",
            self._folder,
            put=lambda secret: self._insert([secret, *self._lines()[1:]]),
            neighbours=self._neighbours,
            unreachable=self._unreachable,
            # Who may read it only would need the key, too.
            forbidden=self._forbidden,
        )

    def _forbidden(self) -> AbstractContextManager[None]:
        require_system_python()
        return as_nobody(self._store / ".gpg-id", file=0o600, folder=0o700)

    def _lines(self) -> list[str]:
        return run("pass", "show", "bots/luna").decode().splitlines()

    def _insert(self, lines: list[str]) -> None:
        text = "\n".join(lines) + "\n"
        run("pass", "insert", "-m", "-f", "bots/luna", given=text.encode())

    def _neighbours(self) -> object:
        others = [line for line in self._lines()[1:] if not line.startswith("rotator: ")]
        names = sorted(str(p) for p in self._store.rglob("*") if not p.name.endswith(".new.gpg"))
        return others, names, run("pass", "show", "bots/sol")

    @contextmanager
    def _unreachable(self) -> Iterator[None]:
        away = self._store.rename(self._store.with_name("away"))
        yield
        away.rename(self._store)


@pytest.mark.long
class TestJsonFile(StoreContract):
    @pytest.fixture(params=["json", "age", "sops", "ansible-vault"])
    def rig(
        self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Rig:
        sealing = sealing_of(request.param, tmp_path, monkeypatch)
        return JsonFileRig(tmp_path, ENDS[request.param], sealing).rig()


@pytest.mark.long
class TestPass(StoreContract):
    @pytest.fixture
    def rig(self, tmp_path: Path, gnupg: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
        return PassRig(tmp_path, gnupg, monkeypatch).rig()


@pytest.mark.parametrize(
    "kind", ["json", "age", "sops", pytest.param("ansible-vault", marks=pytest.mark.long)]
)
def test_a_token_is_replaced_in_a_file(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = JsonFileRig(tmp_path, ENDS[kind], sealing_of(kind, tmp_path, monkeypatch)).rig()
    is_replaced(rig)


def test_a_token_is_replaced_in_pass(
    tmp_path: Path, gnupg: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_replaced(PassRig(tmp_path, gnupg, monkeypatch).rig())


def is_replaced(rig: Rig) -> None:
    assert rig.put
    rig.put("old")
    before = rig.neighbours()
    rig.open().preflight()
    write(rig.open(), secret := new_secret(), journal := new_journal())
    assert read_back(rig.open()) == (secret, journal)
    assert rig.neighbours() == before


def test_the_password_of_the_admin_may_stand_in_pass(
    tmp_path: Path, gnupg: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    PassRig(tmp_path, gnupg, monkeypatch)
    url = f"command:{installed('pass_store.py', tmp_path)}#bots/sol"
    found = Backends().open(url, tmp_path).read()
    assert isinstance(found, Entry)
    assert found.secret == "theirs"
