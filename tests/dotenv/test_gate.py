"""Files and lines that are not understood: each is told with its line, and none is changed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rotator.errors import StoreError
from rotator.stores.journal import Journal
from rotator.stores.port import Entry
from tests.dotenv.helpers import names_in, put, store_at

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoic2VydmljZSJ9.c2lnbmF0dXJl"
WHOLE_FILES = {
    "Ansible Vault": (b"$ANSIBLE_VAULT;1.1;AES256\n3364353337\n", "encrypted with Ansible Vault"),
    "git-crypt": (b"\0GITCRYPT\0\x8f\x11\x02\n", "encrypted with git-crypt"),
    "PGP": (b"-----BEGIN PGP MESSAGE-----\n\nhQEM\n=abcd\n", "encrypted with PGP"),
    "PGP without armor": (b"\x85\x01\x0c\x03\xff\xfe\xfd", "encrypted with PGP"),
    "age": (b"age-encryption.org/v1\n-> X25519 abc\n", "encrypted with age"),
    "age with armor": (b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n", "encrypted with age"),
    "OpenSSL": (b"Salted__\x01\x02\x03", "encrypted with OpenSSL"),
    "OpenSSL in base64": (b"U2FsdGVkX1+abc/def\nabcd=\n", "encrypted with OpenSSL"),
    "a PEM file": (b"\n-----BEGIN CERTIFICATE-----\nMIIB\nab==\n", "a certificate"),
    "JSON": (b'{"TOKEN": "x"}\n', "JSON"),
    "JSON on several lines": (b'\n {\n  "A": "1"\n}\n', "JSON"),
    "UTF-16 without a mark": ("A=1\nTOKEN=x\n".encode("utf-16-le"), "line 1 holds NUL bytes"),
    "zeros": (b"\0" * 4096, "line 1 holds NUL bytes"),
    "zeros at the end": (b"A=1\r\nTOKEN=x\r\n\0\0\0", "line 3 holds NUL bytes"),
    "SOPS": (b"TOKEN=x\nsops_mac=ENC[AES256_GCM,data:x]\n", "line 2: the file is encrypted with S"),
    "dotenvx": (b'A="encrypted:BNr2"\n', "line 1: the values of this file are encrypted"),
    "a great many lines": (b"TOKEN=x\n" + b"A=1\n" * 20_001, "it has more than 20000 lines"),
    "a very long line": (b"A=" + b"x" * 70_000 + b"\nTOKEN=x\n", "line 1 is longer than 64 KiB"),
    "many blanks": (b"TOKEN=x\nA=x" + b" " * 60_000 + b"y\n", "line 2 has more than 200 blanks"),
    "a merge conflict": (
        b"A=1\n<<<<<<< HEAD\nTOKEN=a\n=======\nTOKEN=b\n>>>>>>> main\n",
        "line 2 is the mark of a merge conflict",
    ),
}
NO_PLACE_FOR_A_LINE = {
    "YAML": (b"# c\nA: 1\n", "line 2 is no line NAME=value"),
    "an INI file": (b"[default]\na=1\n", "line 1 is no line NAME=value"),
    "HTML": (b"<!DOCTYPE html>\n<p>404</p>\n", "line 1 is no line NAME=value"),
    "a bare token": (JWT.encode() + b"\n", "line 1 is no line NAME=value"),
    "base64": (b"YWJjZGVmZ2hpamtsbW5v+/==\n", "line 1 is no line NAME=value"),
    "prose": (b"\n\nplease put the token here\n", "line 3 is no line NAME=value"),
    "a shell's options": (b"set -a\nA=1\n", "line 1 is no line NAME=value"),
}
NAMED_ELSEWHERE = {
    "below, without a value": (f"TOKEN={JWT}\n\nexport TOKEN\n", "line 3 names TOKEN again"),
    "in quotes": ('"TOKEN"=x\n', "line 1 names TOKEN, but not as TOKEN=value"),
    "in quotes with export": ('export "TOKEN=x"\n', "line 1 names TOKEN, but not"),
    "as YAML": ("A=1\nTOKEN: x\n", "line 2 names TOKEN, but not"),
    "with +=": ("TOKEN=a\nTOKEN+=b\n", "line 2 names TOKEN, but not"),
    "by set": ("set TOKEN=x\n", "line 1 names TOKEN, but not"),
    "by setenv": ("setenv TOKEN x\n", "line 1 names TOKEN, but not"),
    "by declare": ("declare -x TOKEN=x\n", "line 1 names TOKEN, but not"),
    "by readonly above": ("readonly TOKEN=x\nTOKEN=y\n", "line 1 names TOKEN, but not"),
    "by unset": (f"TOKEN={JWT}\nunset TOKEN\n", "line 2 names TOKEN, but not"),
    "by a default": (f'TOKEN={JWT}\n: "${{TOKEN:=x}}"\n', "line 2 names TOKEN, but not"),
    "behind another": ("A=1; TOKEN=x\n", "line 1 names TOKEN, but not"),
    "behind another, with export": ("export A=1 TOKEN=x\n", "line 1 names TOKEN, but not"),
    "behind a quoted one": ("A='1' TOKEN=x\n", "line 1 names TOKEN, but not"),
    "for PowerShell": ('$env:TOKEN = "x"\n', "line 1 names TOKEN, but not"),
    "in an if": ("if true; then\nTOKEN=a\nelse\nTOKEN=b\nfi\n", "line 1 is shell code"),
    "behind an exit": ("exit\nTOKEN=a\n", "line 1 is shell code"),
    "in an open quote": ("A=1\nTOKEN='x\n", "line 2 cannot be parsed: close its quotes"),
    "behind a backslash": ("A=1\\\nTOKEN=x\n", "line 1 ends in a backslash"),
    "at the end behind a backslash": ("A=1\\\n", "line 1 ends in a backslash"),
}
NO_LITERALS = {
    "an export behind it": (f"TOKEN={JWT}; export TOKEN\n", "line 1 goes on behind the value"),
    "an export behind quotes": (f'TOKEN="{JWT}"; export TOKEN\n', "line 1 goes on behind"),
    "an export behind nothing": ("TOKEN=; export TOKEN\n", "line 1 goes on behind"),
    "an export behind &&": (f"TOKEN={JWT} && export TOKEN\n", "line 1 goes on behind"),
    "a command behind it": (f"TOKEN={JWT} ./bot\n", "line 1 goes on behind"),
    "another variable behind it": (f"export TOKEN={JWT} A=1\n", "line 1 goes on behind"),
    "a word behind quotes": (f'TOKEN="{JWT}" ./bot\n', "line 1 goes on behind"),
    "a # at its quotes": (f'TOKEN="{JWT}"#c\n', "line 1 goes on behind"),
    "another variable of the file": (
        f"SHARED={JWT}\nTOKEN=${{SHARED}}\n",
        r"refers to \$SHARED: n",
    ),
    "one in quotes": (f"SHARED={JWT}\nTOKEN='${{SHARED}}'\n", r"line 2: TOKEN refers to \$SHARED"),
    "one without braces": (f"SHARED={JWT}\nTOKEN=$SHARED\n", r"line 2: TOKEN refers to \$SHARED"),
    "one in lower case": (
        f"shared={JWT}\nTOKEN=x$shared\n",
        "line 2: the value of TOKEN is an exp",
    ),
    "one from outside": ('TOKEN="$NOCTURNA"\n', "line 1: the value of TOKEN is an expression"),
    "two parts": ('TOKEN="$HEAD.$BODY"\n', "line 1: the value of TOKEN is an expression"),
    "a default": (f'TOKEN="${{OTHER:-{JWT}}}"\n', "line 1: the value of TOKEN is an expression"),
    "a command": ("export TOKEN=$(cat /run/x)\n", "line 1: the value of TOKEN is an expression"),
    "a command in backticks": ('TOKEN="`cat x`"\n', "line 1: the value of TOKEN is an expression"),
    "1Password": ("TOKEN=op://vault/bot/token\n", "line 1: the value of TOKEN is a reference"),
    "a template": ("TOKEN={{ .Token }}\n", "line 1: the value of TOKEN is a reference"),
    "another file": ("TOKEN=/run/secrets/token\n", "line 1: the value of TOKEN is a reference"),
    "dotenvx": ('TOKEN="encrypted:BNr24F4v"\n', "line 1: the value of TOKEN is encrypted"),
    "SOPS": ("TOKEN=ENC[AES256_GCM,data:p6]\n", "line 1: the value of TOKEN is encrypted"),
    "eyaml": ("TOKEN='ENC[PKCS7,MIIB]'\n", "line 1: the value of TOKEN is encrypted"),
    "Spring": ("TOKEN={cipher}abcdef\n", "line 1: the value of TOKEN is encrypted"),
    "ejson": ("TOKEN=EJ[1:WGj2t4zn=:abc:def]\n", "line 1: the value of TOKEN is encrypted"),
    "AWS KMS": ("TOKEN=AQICAHhQ8nCzB6bPYV2xTQ\n", "line 1: the value of TOKEN is encrypted"),
    "Google KMS": ("TOKEN=CiQAFKL9xbWp0Hd2lQ\n", "line 1: the value of TOKEN is encrypted"),
    "Laravel": ("TOKEN=eyJpdiI6IkFqUWFLbUFKRGc\n", "line 1: the value of TOKEN is encrypted"),
    "Fernet": ("TOKEN=gAAAAABlZ0J5WGj2t4znULHT\n", "line 1: the value of TOKEN is encrypted"),
    "OpenSSL": ("TOKEN=U2FsdGVkX18bZk3r2m0u\n", "line 1: the value of TOKEN is encrypted"),
    "JWE": ("TOKEN=eyJhbGciOiJkaXIi..aGVsbG8.aGVs.bG8\n", "line 1: the value of TOKEN is encrypt"),
    "base64": ("TOKEN=ZXlKaGJHY2lPaUpJVXpJMU5pSXM\n", "line 1: the value of TOKEN is encoded"),
    "Google": ("TOKEN=sm://project/secret\n", "line 1: the value of TOKEN is a reference"),
    "Google's path": ("TOKEN=projects/p/secrets/s\n", "line 1: the value of TOKEN is a reference"),
    "Azure": ("TOKEN=@Microsoft.KeyVault(SecretUri=x)\n", "line 1: the value of TOKEN is a ref"),
    "vals": ("TOKEN=ref+vault://secret/luna#/x\n", "line 1: the value of TOKEN is a reference"),
    "Vault transit": ("TOKEN=vault:v1:abcdef\n", "line 1: the value of TOKEN is encrypted"),
}
NOT_READ = WHOLE_FILES | NO_PLACE_FOR_A_LINE
LINES_NOT_READ = NAMED_ELSEWHERE | NO_LITERALS
ONLY_READ = {
    "pa$word": "an expression",
    "$ecret": "an expression",
    "a;b": "goes on behind",
    "a&b": "goes on behind",
    "~a": "an expression",
    "a\\": "goes on behind",
}
UNDERSTOOD = {
    "a reference to it": (f"TOKEN={JWT}\nA=$TOKEN\nB=${{TOKEN}}\n", f"TOKEN={JWT}"),
    "a test of it above": (f'[ -n "$TOKEN" ] || echo no\nTOKEN={JWT}\n', f"TOKEN={JWT}"),
    "its name in a comment": (f"TOKEN={JWT} # TOKEN\n# export TOKEN\n", f"TOKEN={JWT}"),
    "its name in another's quotes": (f"TOKEN={JWT}\nA='x; TOKEN=y'\n", f"TOKEN={JWT}"),
    "its name as a value": (f"TOKEN={JWT}\nA=TOKEN\n", f"TOKEN={JWT}"),
    "its name in a URL": (f"TOKEN={JWT}\nA=https://h/?a=1&TOKEN=b\n", f"TOKEN={JWT}"),
    "an export above": (f"export TOKEN\nTOKEN={JWT}\n", f"TOKEN={JWT}"),
    "a placeholder": ("TOKEN=<your token>\n", "TOKEN=<your token>"),
    "a placeholder of words": ("TOKEN=put your token here\n", "TOKEN=put your token here"),
    "a literal $": ("TOKEN='$HOME'\n", "TOKEN='$HOME'"),
    "strange lines beside it": (f"[x]\n%\nTOKEN={JWT}\nA: b\n", f"TOKEN={JWT}"),
    "a key in PEM beside it": (f'A="-----BEGIN X-----\nab=\n"\nTOKEN={JWT}\n', f"TOKEN={JWT}"),
    "a backslash in a comment": (f"# c \\\nTOKEN={JWT}\n", f"TOKEN={JWT}"),
    "a long line": (f"A={'x' * 60_000}\nTOKEN={JWT}\n", f"TOKEN={JWT}"),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def assert_refused(file: Path, content: bytes, why: str) -> None:
    file.write_bytes(content)
    file.chmod(0o600)
    store = store_at(file)
    actions: list[Callable[[], object]] = [
        store.read,
        store.preflight,
        lambda: store.write("new", Journal(token_id="x"), expected="any"),
        lambda: store.note(Journal(token_id="x"), expected="any"),
    ]
    for action in actions:
        with pytest.raises(StoreError, match=why) as caught:
            action()
        assert "\n" not in str(caught.value)
        assert JWT not in str(caught.value)
    assert file.read_bytes() == content
    assert names_in(file.parent) == [".env"]


@pytest.mark.parametrize("case", NOT_READ)
def test_a_file_of_another_kind_is_not_touched(case: str, file: Path) -> None:
    assert_refused(file, *NOT_READ[case])


@pytest.mark.parametrize("case", LINES_NOT_READ)
def test_a_line_that_is_no_plain_assignment_is_not_touched(case: str, file: Path) -> None:
    text, why = LINES_NOT_READ[case]
    assert_refused(file, text.encode(), why)


@pytest.mark.parametrize("value", ONLY_READ)
def test_a_password_can_be_read_that_could_not_be_written_there(value: str, file: Path) -> None:
    file.write_text(f"TOKEN={value}\n")
    store = store_at(file)
    entry = store.read()
    assert isinstance(entry, Entry)
    assert entry.secret == value
    for action in (store.preflight, lambda: put(file, "new")):
        with pytest.raises(StoreError, match=ONLY_READ[value]) as caught:
            action()
        assert value not in str(caught.value)
    assert file.read_text() == f"TOKEN={value}\n"


@pytest.mark.parametrize("case", UNDERSTOOD)
def test_what_is_clear_is_changed(case: str, file: Path) -> None:
    text, line = UNDERSTOOD[case]
    file.write_text(text)
    store_at(file).preflight()
    put(file, "new")
    quote = "'" if "'" in line else ""
    assert file.read_text() == text.replace(line, f"TOKEN={quote}new{quote}")


@pytest.mark.parametrize("case", NO_PLACE_FOR_A_LINE)
def test_an_empty_line_by_hand_is_a_place_for_the_token(case: str, file: Path) -> None:
    content = NO_PLACE_FOR_A_LINE[case][0]
    file.write_bytes(content + b"TOKEN=\n")
    put(file, "new")
    assert file.read_bytes() == content + b"TOKEN=new\n"
