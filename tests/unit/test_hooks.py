import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rotator.config.settings import Secret, TokenSettings
from rotator.hooks.hooks import HookEvent, Hooks
from tests.support.sandbox import Sandbox

MINUTE = timedelta(minutes=1)
OCCASION = HookEvent(
    "luna-bot",
    "6d927cbd",
    datetime(2027, 2, 21, 10, 42, 7, 999, UTC),
    ("dotenv:///srv/luna/.env#TOKEN", "vault://secret/bots#luna"),
)


NO_HOOKS = TokenSettings("luna-bot", "test", ())


def hooks(*commands: Sequence[str], **variables: str) -> Hooks:
    token = NO_HOOKS._replace(hooks=tuple(map(tuple, commands)))
    return Hooks(token, {"PATH": os.environ["PATH"], **variables})


def failures(*commands: Sequence[str]) -> list[str]:
    made = hooks(*commands)
    return [failure.message for failure in made.run(made.ids, OCCASION)]


def sh(line: str, *arguments: str) -> tuple[str, ...]:
    return ("sh", "-c", line, "sh", *arguments)


def environment_of_a_hook(folder: Path, occasion: HookEvent, **variables: str) -> dict[str, str]:
    made = hooks(sh('env -0 > "$1"', str(folder / "env")), **variables)
    assert made.run(made.ids, occasion) == []
    pairs = (folder / "env").read_text().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if pair)


def test_a_hook_is_told_what_was_renewed(tmp_path: Path) -> None:
    told = environment_of_a_hook(tmp_path, OCCASION, HOME="/home/luna", ROTATOR_NAME="outer")
    assert told["ROTATOR_NAME"] == "luna-bot"
    assert told["ROTATOR_TOKEN_ID"] == "6d927cbd"
    assert told["ROTATOR_EXPIRES_AT"] == "2027-02-21T10:42:07Z"
    assert told["ROTATOR_STORES"] == "dotenv:///srv/luna/.env#TOKEN vault://secret/bots#luna"
    assert told["HOME"] == "/home/luna"


def test_what_is_not_known_is_empty(tmp_path: Path) -> None:
    told = environment_of_a_hook(tmp_path, HookEvent("luna-bot", None, None, ()))
    names = ("ROTATOR_TOKEN_ID", "ROTATOR_EXPIRES_AT", "ROTATOR_STORES")
    assert [told[name] for name in names] == ["", "", ""]


def test_a_hook_sees_no_credentials_of_the_rotator(tmp_path: Path) -> None:
    told = environment_of_a_hook(
        tmp_path,
        OCCASION,
        NOCTURNA_ADMIN_EMAIL="admin@example.com",
        NOCTURNA_ADMIN_PASSWORD="hunter2",
        NOCTURNA_ADMIN_PASSWORD_FILE="/run/secrets/password",
        ROTATOR_NOTIFY="slack://hunter2",
        NOCTURNA_API_URL="https://nocturna.example/api",
        ROTATOR_CONFIG="rotator.toml",
    )
    assert not [pair for pair in told.items() if "ADMIN" in pair[0] or "hunter2" in pair[1]]
    assert "ROTATOR_NOTIFY" not in told
    assert told["NOCTURNA_API_URL"] == "https://nocturna.example/api"
    assert told["ROTATOR_CONFIG"] == "rotator.toml"


def test_arguments_arrive_as_they_are_and_no_shell_reads_them(tmp_path: Path) -> None:
    odd = ["a b", "$HOME", "*", "; exit 1", "new\nline", "", "--", "ünï"]
    script = f'printf "%s\\0" "$@" > {tmp_path}/arguments'
    assert failures(sh(script, *odd)) == []
    assert (tmp_path / "arguments").read_text().split("\0")[:-1] == odd


def test_a_hook_has_nothing_to_read_from(tmp_path: Path) -> None:
    assert failures(sh('cat > "$1"', str(tmp_path / "read"))) == []
    assert (tmp_path / "read").read_bytes() == b""


def test_hooks_run_in_order_and_one_that_fails_keeps_none_from_running(tmp_path: Path) -> None:
    def note(word: str, status: int) -> tuple[str, ...]:
        return sh('echo "$1" >> "$2"; exit "$3"', word, str(tmp_path / "notes"), str(status))

    made = hooks(note("one", 1), ("no-such-program",), note("two", 2), note("three", 0))
    failed = made.run(made.ids, OCCASION)
    assert (tmp_path / "notes").read_text().split() == ["one", "two", "three"]
    assert [failure.hook_id for failure in failed] == list(made.ids[:3])


def test_only_the_hooks_that_are_asked_for_run_and_unknown_ids_are_passed_over(
    tmp_path: Path,
) -> None:
    one, two = sh('touch "$1"', str(tmp_path / "one")), sh('touch "$1"', str(tmp_path / "two"))
    made = hooks(one, two)
    assert made.run(["00000000", made.ids[1], "", "x"], OCCASION) == []
    assert [path.name for path in tmp_path.iterdir()] == ["two"]
    assert made.run([], OCCASION) == []


def test_ids_are_the_same_in_every_run_and_tell_hooks_apart() -> None:
    url = Secret("here", value="json://localhost")
    same_url = Secret("there", value="json://localhost")
    other = NO_HOOKS._replace(hooks=(("a b", "c"),), notify=(same_url,), hook_timeout=2 * MINUTE)
    one = Hooks(NO_HOOKS._replace(hooks=(("a", "b c"), ("a b", "c")), notify=(url,)), {})
    two = Hooks(other, {"A": "b"})
    assert one.ids == ("190aef2e", "b4753496", "99d8aad4")
    assert two.ids == one.ids[1:]


def test_a_program_that_is_not_there_is_named() -> None:
    assert failures(["no-such-program", "--password=hunter2"]) == [
        (
            "hook 1 (no-such-program) was not found, or the interpreter that it names: install it"
            " or correct the hook; the next run tries it again"
        )
    ]


def test_a_file_that_is_no_program_is_named(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("echo")
    (tmp_path / "broken").write_bytes(b"\x7fELF")
    (tmp_path / "broken").chmod(0o700)
    plain, broken = failures([str(tmp_path / "plain")], [str(tmp_path / "broken"), "hunter2"])
    assert plain == (
        f"hook 1 ({tmp_path}/plain) may not be executed: make it executable; the next run tries it"
        " again"
    )
    assert broken == (
        f"hook 2 ({tmp_path}/broken) could not be started (Exec format error); the next run tries"
        " it again"
    )


@pytest.mark.parametrize(
    ("line", "end"),
    [
        ("exit 3", "ended with exit status 3; the next run tries it again"),
        (
            "echo hunter2; exit 1",
            "ended with exit status 1; its output is above; the next run tries it again",
        ),
        ("kill -9 $$", "was killed by the signal SIGKILL; the next run tries it again"),
        ("kill -40 $$", "was killed by the signal 40; the next run tries it again"),
    ],
)
def test_a_hook_that_fails_is_named_without_its_arguments(line: str, end: str) -> None:
    assert failures(sh(line, "hunter2")) == [f"hook 1 (sh) {end}"]


def test_a_strange_name_stays_one_short_line() -> None:
    (message,) = failures(["no\nsuch\x1b[31m" + "x" * 300])
    assert message.startswith("hook 1 (no such\\x1b[31mxxx")
    assert message.isprintable()
    assert len(message) < 320


@pytest.mark.parametrize(("status", "level"), [(0, logging.INFO), (1, logging.ERROR)])
def test_what_a_hook_writes_goes_to_the_log(
    caplog: pytest.LogCaptureFixture, status: int, level: int
) -> None:
    made = hooks(sh('printf "one\\n\\ntw\\033o\\377\\n"; echo three >&2; exit "$1"', str(status)))
    made.run(made.ids, OCCASION)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (level, "luna-bot: hook 1 (sh): one"),
        (level, "luna-bot: hook 1 (sh): tw\\x1bo\ufffd"),
        (level, "luna-bot: hook 1 (sh): three"),
    ]


def test_a_token_in_our_own_environment_is_not_for_hooks(tmp_path: Path) -> None:
    environ = {**os.environ, "NOCTURNA_SERVICE_TOKEN": "eyJhbGciOiJIUzI1NiJ9.eyJ9.c2ln"}
    seen = tmp_path / "seen"
    made = Hooks(NO_HOOKS._replace(hooks=(tuple(sh(f"env > {seen}")),)), environ)
    assert made.run(made.ids, OCCASION) == []
    assert "NOCTURNA_SERVICE_TOKEN" not in seen.read_text()


def test_a_token_that_a_hook_writes_is_not_logged(
    caplog: pytest.LogCaptureFixture, api: Sandbox
) -> None:
    secret = api.issue()
    made = hooks(sh('printf "TOKEN=%s; then %s\\n" "$1" "$2"', secret, secret[:60]))
    assert made.run(made.ids, OCCASION) == []
    assert caplog.messages == ["luna-bot: hook 1 (sh): TOKEN=<token>; then <token>"]


def test_of_much_output_the_end_is_logged_without_a_first_word_that_may_be_half_a_token(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = hooks(sh("echo start; head -c 20000000 /dev/zero | tr '\\0' x; echo; echo the end"))
    assert made.run(made.ids, OCCASION) == []
    assert caplog.messages == [
        "luna-bot: hook 1 (sh): … (the end of more than 8 KiB)",
        "luna-bot: hook 1 (sh): the end",
    ]
