"""`rotator leaked` as processes: whom it asks, what it says, its report, and its exit status."""

import os
import pty
import re
import stat
import subprocess
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from rotator.cli.leaked import parse_since
from rotator.clock import rfc3339, utc_now
from tests.status.fleet import put, write_config
from tests.support.process import ROTATOR, Runner
from tests.support.sandbox import Fault, Sandbox
from tests.support.world import MINT

REPORT = "incident.md"


@pytest.fixture
def leaked(rotator: Runner, api: Sandbox) -> str:
    """Return the id of the token of luna, beside whom there is sol."""
    write_config(rotator, {"luna": ["dotenv:luna.env"], "sol": ["dotenv:sol.env"]})
    put(rotator.folder, "luna.env", api.issue(days=60))
    token_id = api.tokens[-1].id
    put(rotator.folder, "sol.env", api.issue(days=60))
    return token_id


def report(rotator: Runner) -> str:
    text = (rotator.folder / REPORT).read_text()
    rotator.transcript.add("the report", text)
    return text


def live(api: Sandbox) -> set[str]:
    return {row.id for row in api.live_tokens()}


def test_without_a_terminal_and_without_yes_nothing_is_done(
    rotator: Runner, api: Sandbox, leaked: str
) -> None:
    result = rotator("leaked", "luna", "--report", REPORT)
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        "rotator: nothing was done: there is no terminal on which this could be confirmed; add"
        " --yes to go on without\n"
    )
    assert (api.calls, leaked in live(api)) == ([], True)
    assert not (rotator.folder / REPORT).exists()


@pytest.mark.parametrize("names", [(), ("luna", "--all")], ids=["nobody", "both"])
@pytest.mark.usefixtures("leaked")
def test_who_leaked_must_be_said(rotator: Runner, api: Sandbox, names: tuple[str, ...]) -> None:
    result = rotator("leaked", "--yes", *names)
    assert (result.status, api.calls) == (2, [])
    assert "expected either NAME or --all" in result.err


@pytest.mark.usefixtures("leaked")
def test_a_mistake_is_told_before_anything_is_done(rotator: Runner, api: Sandbox) -> None:
    (rotator.folder / "notes.md").write_text("# Shopping list\n")
    (rotator.folder / "link.md").symlink_to("elsewhere.md")
    for arguments, told in (
        (("luna", "--since", "yesterday"), "expected a time that is over"),
        (("luna", "--report", "notes.md"), "it is no report of rotator leaked"),
        (("luna", "--report", "link.md"), "it is a symlink"),
    ):
        result = rotator("leaked", "--yes", *arguments)
        assert (result.status, result.out, api.calls) == (2, "", [])
        assert told in result.err


def test_it_says_what_it_did_and_what_is_left(rotator: Runner, api: Sandbox, leaked: str) -> None:
    result = rotator("leaked", "luna", "--yes")
    assert (result.status, result.err) == (0, "")
    first, *steps = result.out.splitlines()
    assert first.startswith("luna: rotated (forced) – new token ")
    assert f"revoked: {leaked}" in first
    end = api.tokens[0].expires_at
    assert f"to make other tokens: {leaked} until {end:%Y-%m-%d %H:%M} UTC." in steps[0]
    assert "Only a new signing key of the API ends that" in steps[0]
    assert steps[1:] == [
        "2. Remove it from where it leaked, and find out how it came there.",
        "3. Restart the bots that read their token only when they start.",
    ]
    assert leaked not in live(api)


def test_what_was_made_with_it_is_revoked_by_the_same_command(
    rotator: Runner, api: Sandbox, leaked: str
) -> None:
    api.issue(days=30, created_at=api.clock())
    made = api.tokens[-1].id
    result = rotator("leaked", "luna", "--yes", "--report", REPORT)
    assert result.status == 3
    assert f"{made}: left as it is; made " in result.out
    command = f"rotator leaked luna --report {REPORT} --yes --revoke-found"
    assert f"revoke one with rotator tokens revoke ID, all of them with {command}" in result.out
    result = rotator(*command.split()[1:])
    assert result.status == 0
    assert f"{made}: revoked; made " in result.out
    assert api.calls.count(MINT) == 1
    assert not {made, leaked} & live(api)


def test_the_report_is_for_a_ticket(rotator: Runner, leaked: str) -> None:
    assert rotator("leaked", "--all", "--yes", "--report", REPORT).status == 0
    text = report(rotator)
    assert text.startswith("# Leaked service tokens\n\n## Run of 20")
    assert "**Done: all that the command was to do.**" in text
    assert stat.S_IMODE((rotator.folder / REPORT).stat().st_mode) == 0o600
    one_line = text.replace("\n  ", " ")
    assert f"- leaked: {leaked}, made 20" in one_line
    assert "revoked: it is no longer exchanged; as a direct bearer it works until 20" in one_line
    events = re.findall(r"^- 20\S+ \S+ UTC: luna, (\w+):", one_line, re.MULTILINE)
    assert [each for each in events if each != "noted"] == [
        *("decided", "intended", "minted", "intended", "written", "revoked", "finished")
    ]
    long = [line for line in text.splitlines() if len(line) > 80 and "://" not in line]
    assert long == []
    first = text
    assert rotator("leaked", "sol", "--yes", "--report", REPORT).status == 0
    assert report(rotator).startswith(first)
    assert report(rotator).count("\n## Run of ") == 2


@pytest.mark.usefixtures("leaked")
def test_the_report_repeats_the_command_as_it_was_given(rotator: Runner) -> None:
    config = ("--config", str(rotator.folder / "rotator.toml"))
    given = ("leaked", "luna", *config, "--report", REPORT, "--again", "--revoke-found", "--yes")
    assert rotator(*given).status == 0
    assert f"\n    rotator {' '.join(given)}\n" in report(rotator)
    rotator(*config, "leaked", "--all", "--since", "2026-01-02", "--report", REPORT, "--yes")
    before = f"rotator leaked {' '.join(config)} --since 2026-01-02T00:00:00Z"
    assert f"\n    {before} --report {REPORT} --all --yes\n" in report(rotator)


def test_the_json_tells_the_same(rotator: Runner, api: Sandbox, leaked: str) -> None:
    api.issue(days=30, created_at=api.clock())
    found = api.tokens[-1].id
    result = rotator("leaked", "luna", "--yes", "--json")
    assert result.status == 3
    shown = result.json
    assert (shown["state"], shown["not_done"], len(shown["for_people"])) == ("done", [], 4)
    (token,) = shown["tokens"]
    (old,) = token["leaked"]
    assert (old["token_id"], old["state"]) == (leaked, "revoked")
    assert old["bearer_until"] == rfc3339(api.tokens[0].expires_at)
    assert token["result"]["token_id"] in live(api)
    assert [(each["token_id"], each["state"]) for each in shown["found"]] == [(found, "left")]
    assert {step["event"] for step in shown["steps"]} >= {"minted", "written", "revoked"}
    assert shown["account"] == api.admin.id


def test_what_fails_is_told_by_the_exit_status_the_json_and_the_report(
    rotator: Runner, api: Sandbox, leaked: str
) -> None:
    (rotator.folder / "rotator.toml").write_text(
        '[[token]]\nname = "luna"\nstores = ["dotenv:luna.env", "dotenv:away/luna.env"]\n'
    )
    result = rotator("leaked", "luna", "--yes", "--report", REPORT, "--json")
    assert (result.status, result.json["state"]) == (1, "not-done")
    assert any(f"leaked and not revoked: {leaked}" in each for each in result.json["not_done"])
    assert "luna: dotenv://" in result.err
    assert "**Not done: something is left to do, see below.**" in report(rotator)
    assert f"leaked: {leaked}" in report(rotator)
    assert leaked in live(api)


def test_an_api_that_refuses_the_login_is_told_in_the_report_too(
    rotator: Runner, api: Sandbox, leaked: str
) -> None:
    (rotator.folder / "admin-password").write_text("wrong")
    result = rotator("leaked", "luna", "--yes", "--report", REPORT, "--json")
    assert (result.status, result.json["state"], result.json["tokens"]) == (1, "not-done", [])
    assert "refuses this e-mail and password" in result.err
    assert "nothing was done: run the same command again" in " ".join(report(rotator).split())
    assert leaked in live(api)


def test_a_report_that_cannot_be_written_stops_nothing_and_is_printed(
    rotator: Runner, api: Sandbox, leaked: str
) -> None:
    (rotator.folder / f".{REPORT}.rotator-tmp").mkdir()
    result = rotator("leaked", "luna", "--yes", "--report", REPORT)
    assert result.status == 1
    assert "the report could not be written (Is a directory); it is on stdout" in result.err
    assert "# Leaked service tokens\n\n## Run of 20" in result.out
    assert leaked not in live(api)


@pytest.mark.usefixtures("leaked")
def test_the_audit_trail_is_in_the_json_log_once(rotator: Runner) -> None:
    result = rotator("leaked", "sol", "--yes", "--log-format", "json")
    assert result.err.count('"event": "minted"') == 1


def test_a_time_is_a_date_or_how_long_ago_it_was() -> None:
    now = utc_now()
    assert parse_since("2026-11-23") == datetime(2026, 11, 23, tzinfo=UTC)
    assert parse_since("2026-11-23T09:12:33+02:00") == datetime(2026, 11, 23, 7, 12, 33, tzinfo=UTC)
    assert now - timedelta(days=30) <= parse_since("30d") <= utc_now() - timedelta(days=30)
    for text in (rfc3339(now + timedelta(days=1)), "yesterday", "", "99999999d", "2026-13-01"):
        with pytest.raises(ValueError, match="expected a time that is over"):
            parse_since(text)


class Terminal:
    """The command in a terminal of its own, where it asks."""

    def __init__(self, rotator: Runner, *arguments: str, columns: int = 200) -> None:
        self._fd, inner = pty.openpty()
        self._process = subprocess.Popen(
            [ROTATOR, "leaked", *arguments],
            cwd=rotator.folder,
            env={**os.environ, **rotator.env, "COLUMNS": str(columns), "TERM": "dumb"},
            stdin=inner,
            stdout=inner,
            stderr=inner,
        )
        os.close(inner)
        self.shown = ""

    def wait_for_the_question(self) -> None:
        while "[y/N]" not in self.shown:
            self.shown += os.read(self._fd, 4096).decode()

    def answer(self, keys: str) -> int:
        os.write(self._fd, keys.encode())
        with suppress(OSError):  # at its end the other side is closed
            while True:
                self.shown += os.read(self._fd, 65536).decode(errors="replace")
        os.close(self._fd)
        return self._process.wait()


def test_on_a_terminal_it_asks_first(rotator: Runner, api: Sandbox, leaked: str) -> None:
    put(rotator.folder, "sol.env", api.tokens[0].secret)
    api.issue(days=30, created_at=api.clock())
    terminal = Terminal(rotator, "luna", "--report", REPORT)
    terminal.wait_for_the_question()
    rotator.transcript.add("the question", terminal.shown)
    shown = terminal.shown
    assert "  luna:\r\n" in shown
    assert "  sol (not named, but it shows the same token):\r\n" in shown
    assert f"    {leaked}, in dotenv://" in shown
    assert "are listed, and not revoked (--revoke-found revokes them): 2\r\n" in shown
    assert not (rotator.folder / REPORT).exists()
    assert terminal.answer("n\n") == 1
    assert "nothing was done" in terminal.shown
    assert (api.calls.count(MINT), leaked in live(api)) == (0, True)
    assert not (rotator.folder / REPORT).exists()
    terminal = Terminal(rotator, "luna", columns=80)
    terminal.wait_for_the_question()
    assert terminal.answer("y\n") == 3
    assert [
        line for line in terminal.shown.splitlines() if len(line) > 80 and "://" not in line
    ] == []
    assert terminal.shown.count("rotated") == 2  # once for each
    assert (api.calls.count(MINT), leaked in live(api)) == (2, False)
    terminal = Terminal(rotator, "luna")
    terminal.wait_for_the_question()
    assert "for this leak, and is not replaced again (--again replaces it)" in terminal.shown
    assert terminal.answer("n\n") == 1
    assert api.calls.count(MINT) == 2


def test_the_question_calls_nothing_none_that_nobody_could_look_at(
    rotator: Runner, api: Sandbox, leaked: str
) -> None:
    api.misbehave(Fault.json_of([{"id": "../x"}]), "GET /auth/admin/service-tokens", times=None)
    terminal = Terminal(rotator, "luna")
    terminal.wait_for_the_question()
    assert "(--revoke-found revokes them): not known\r\n" in terminal.shown
    assert terminal.answer("n\n") == 1
    assert leaked in live(api)
