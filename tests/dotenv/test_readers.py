"""What the rotator reads is what python-dotenv reads, and sh, where it can read the file."""

import os
import subprocess
import tempfile
from pathlib import Path

import dotenv
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from backends.dotenv.gate import UnsafeEditError
from backends.dotenv.text import EnvText, Variable

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoic2VydmljZSJ9.c2lnbmF0dXJl"
NEW = Variable("eyJuZXciOjF9.eyJuZXciOjJ9.bmV3", "v=1 token=new")
# Of what sh sets itself, and of how the test calls it.
NOT_OF_THE_FILE = ("PWD", "OLDPWD", "_", "SHLVL", "PATH")

_values = st.sampled_from(
    [
        TOKEN,
        f"'{TOKEN}'",
        f'"{TOKEN}"',
        f"{TOKEN}; export TOKEN",
        f"'{TOKEN}' # c",
        f"{TOKEN} # c",
        f"{TOKEN}#c",
        f"'{TOKEN}'#c",
        f"{TOKEN} A=1",
        f'"{TOKEN}"; export TOKEN',
        f"{TOKEN} && export TOKEN",
        "",
        "''",
        "$A",
        "${A}",
        "'${A}'",
        '"${A:-x}"',
        "$(echo x)",
        "`echo x`",
        "a'b",
        "a'b'",
        'a\\"b',
        '"a\\"b"',
        "a b",
        "a\\",
        "'a\nb'",
        '"a\nTOKEN=x\n"',
        "$",
        "~",
        "<x>",
        "(x)",
        "x|y",
        "!",
    ]
)
_keys = st.sampled_from(["TOKEN", "TOKEN", "A", "B", "TOKEN_2", "'TOKEN'", '"TOKEN"'])
_assignments = st.builds(
    lambda start, key, equals, value, end: start + key + equals + value + end,
    st.sampled_from(["", "", "", "export ", "  ", "readonly "]),
    _keys,
    st.sampled_from(["=", "=", "=", "=", " = ", "= ", "+=", ": "]),
    _values,
    st.sampled_from(["", "", "", " ", "\t# TOKEN=x"]),
)
_plain = st.sampled_from(["A=1", f"TOKEN={TOKEN}", "export B='2'", "export TOKEN=", "TOKEN=x # c"])
_others = st.sampled_from(
    [
        "",
        "# TOKEN=x",
        "# c \\",
        "# rotator: v=1 token=old",
        "TOKEN",
        "export TOKEN",
        "export A TOKEN",
        "unset TOKEN",
        "export A",
        "A=1; TOKEN=x",
        "A=1 TOKEN=x",
        "export A=1 TOKEN=x",
        "A=1\\",
        "A='",
        "if false; then",
        "else",
        "fi",
        "set -a",
        '[ -n "$TOKEN" ]',
        ': "${TOKEN:=x}"',
        "true",
        "exit",
    ]
)
_files = st.builds(
    lambda lines, newline, end: newline.join(lines).replace("\n", newline) + newline * end,
    st.lists(st.one_of(_plain, _plain, _assignments, _others), max_size=5),
    st.sampled_from(["\n", "\n", "\n", "\r\n", "\r"]),
    st.booleans(),
)


def by_dotenv(folder: Path, content: bytes) -> dict[str, str | None]:
    """Return what `dotenv_values` reads of a file, as bots call it: with expansion."""
    file = folder / ".env"
    file.write_bytes(content)
    return dotenv.dotenv_values(file)


def by_sh(folder: Path, content: bytes) -> dict[bytes, bytes] | None:
    """Return the environment that sh takes out of a file; None where it fails, or complains."""
    file = folder / ".env"
    file.write_bytes(content)
    script = 'set -a; . "$1" </dev/null; exec env -0'
    ran = subprocess.run(
        ["/bin/sh", "-c", script, "sh", str(file)],
        check=False,
        capture_output=True,
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
    )
    if ran.returncode or ran.stderr or not ran.stdout:
        return None
    pairs = [line.partition(b"=") for line in ran.stdout.split(b"\0") if line]
    return {key: value for key, _, value in pairs if key.decode() not in NOT_OF_THE_FILE}


def without_token(values: dict[str, str | None]) -> dict[str, str | None]:
    return {key: value for key, value in values.items() if key != "TOKEN"}


def assert_readers_agree(folder: Path, before: bytes) -> None:
    try:
        text = EnvText(before, "TOKEN")
        after = text.with_variable(NEW).content
    except UnsafeEditError:
        event("refused")
        return
    event("changed")
    old, new = by_dotenv(folder, before), by_dotenv(folder, after)
    assert (old.get("TOKEN") or None) == text.variable.value
    assert new["TOKEN"] == NEW.value
    if b"$" not in before:
        assert without_token(new) == without_token(old)
    in_sh = None if b"\r" in before else by_sh(folder, before)
    if in_sh is None or in_sh.get(b"TOKEN", b"").decode() != (text.variable.value or ""):
        return
    event("read by sh")
    changed = by_sh(folder, after)
    assert changed is not None
    assert changed[b"TOKEN"].decode() == NEW.value
    if b"$" not in before:
        assert changed | {b"TOKEN": b""} == in_sh | {b"TOKEN": b""}


@settings(max_examples=3 * settings().max_examples)
@given(_files.map(str.encode))
@example(f"TOKEN={TOKEN}\nexport TOKEN\n".encode())
@example(f"SHARED={TOKEN}\nTOKEN=${{SHARED}}\n".encode())
@example(b"A=1\nTOKEN=\n")
def test_they_read_the_same_before_and_the_new_token_afterwards(before: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert_readers_agree(Path(folder), before)
