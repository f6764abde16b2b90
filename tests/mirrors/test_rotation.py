"""A token in a file and its mirrors: one mint, whatever is away, and no old token ends early."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.command.conftest import installed
from tests.mirrors.servers import TOKEN, Github, Gitlab, serving
from tests.support.process import Result, Runner
from tests.support.sandbox import Sandbox
from tests.support.world import MINT

PLACE = "/repos/luna/bot/actions/"
SECRET = f"{PLACE}secrets/TOKEN"
URL = "github-actions://luna/bot#TOKEN"


class Ci:
    """A due token in `.env`, whose mirrors are in GitHub and GitLab."""

    def __init__(self, rotator: Runner, api: Sandbox, stack: ExitStack) -> None:
        self.rotator = rotator
        self.api = api
        self.github, self.gitlab = Github(PLACE), Gitlab("bots/luna")
        github, gitlab = (stack.enter_context(serving(each)) for each in (self.github, self.gitlab))
        self.gitlab_url = f"gitlab://{gitlab.removeprefix('http://')}/bots/luna#TOKEN"
        self.old = api.issue(days=3)
        rotator.write_env(self.old)
        rotator.env |= {
            "GITHUB_API_URL": github,
            "GH_TOKEN": TOKEN,
            "GITLAB_TOKEN": TOKEN,
            "ROTATOR_MIRROR": f"{URL} {self.gitlab_url}",
            "ROTATOR_RETIRE": "now",
        }

    def held(self) -> list[str | None]:
        """Return what the file and both mirrors hold."""
        lines = self.rotator.env_file.read_text().splitlines()
        (line,) = (line for line in lines if line.startswith("NOCTURNA_SERVICE_TOKEN="))
        github = self.github.held(SECRET) if SECRET in self.github.secrets else None
        gitlab = self.gitlab.variables.get(("TOKEN", "*"), {}).get("value")
        return [line.partition("=")[2], github, gitlab]

    def puts(self) -> int:
        return self.github.calls.count(f"PUT {SECRET}")

    def mints(self) -> int:
        return self.api.calls.count(MINT)


@pytest.fixture
def ci(rotator: Runner, api: Sandbox) -> Iterator[Ci]:
    with ExitStack() as stack:
        yield Ci(rotator, api, stack)


def mirrors_of(result: Result) -> list[str]:
    (report,) = result.json
    return [each["status"] for each in report["mirrors"]]


def test_a_new_token_goes_to_the_mirrors_once(ci: Ci, rotator: Runner) -> None:
    result = rotator("rotate", "--json")
    assert (result.status, mirrors_of(result)) == (0, ["written", "written"])
    (secret,) = set(ci.held())
    assert secret
    assert ci.api.accepts(secret)
    assert not ci.api.accepts(ci.old)
    assert "push=" in rotator.env_file.read_text()
    again = rotator("rotate", "--json")
    assert (again.status, mirrors_of(again)) == (0, ["current", "current"])
    assert (ci.puts(), ci.mints()) == (1, 1)


def test_a_look_tells_what_cannot_be_known(ci: Ci, rotator: Runner) -> None:
    rotator("rotate")
    checked = rotator("check")
    assert checked.status == 0
    told = f"{URL}: the current token was pushed, and cannot be read back (since 2026-11-23 09:00"
    assert told in checked.out
    assert ci.gitlab_url not in checked.out


@pytest.mark.parametrize("away", ["github", "gitlab"])
def test_a_mirror_that_is_away_is_caught_up_without_a_mint(
    ci: Ci, rotator: Runner, away: str
) -> None:
    server: Github | Gitlab = getattr(ci, away)
    server.broken = 503
    result = rotator("rotate", "--json")
    (report,) = result.json
    assert (result.status, report["action"]) == (1, "rotated")
    assert "answers 503" in report["error"]
    assert ci.api.accepts(ci.old), "a job may still need it"
    waits = "it may still be needed while the current one is not yet in"
    assert waits in report["old_tokens"][0]["message"]
    assert rotator("check").status == 3
    server.broken = None
    assert rotator("check").status == 1
    again = rotator("rotate", "--json")
    (report,) = again.json
    assert (again.status, report["action"], report["error"]) == (0, "kept", None)
    assert any(note.startswith("pushed to ") for note in report["notes"])
    assert len(set(ci.held())) == 1
    assert ci.mints() == 1
    assert not ci.api.accepts(ci.old)


def test_mirrors_that_do_not_answer_keep_no_token_from_being_renewed(
    ci: Ci, rotator: Runner
) -> None:
    """The daemon bounds all waits of a look together: they may not use them up."""
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        ports = [each.getsockname()[1] for each in silent]
        urls = [f"gitlab://127.0.0.1:{port}/bots/luna#TOKEN" for port in ports]
        rotator.env |= {"ROTATOR_MIRROR": " ".join(urls), "ROTATOR_ROTATION_TIMEOUT": "2s"}
        with rotator.started("daemon") as running:
            running.wait_for("default: rotated (expiring)")
    assert ci.held()[0] != ci.old
    assert ci.api.accepts(ci.old), "the mirrors may still have it"


def test_what_somebody_else_wrote_there_is_replaced(ci: Ci, rotator: Runner) -> None:
    rotator("rotate")
    ci.github.change(SECRET)
    ci.gitlab.variables["TOKEN", "*"]["value"] = "theirs"
    checked = rotator("check", "--json")
    assert (checked.status, mirrors_of(checked)) == (1, ["behind", "behind"])
    assert "somebody else changed it at 2026-11-23 09:01 UTC" in checked.json[0]["error"]
    assert rotator("rotate").status == 0
    assert len(set(ci.held())) == 1
    assert rotator("check").status == 0


def test_what_somebody_removed_is_there_again(ci: Ci, rotator: Runner) -> None:
    rotator("rotate")
    ci.github.secrets.clear()
    ci.gitlab.variables.clear()
    assert mirrors_of(rotator("check", "--json")) == ["absent", "absent"]
    assert rotator("rotate").status == 0
    assert len(set(ci.held())) == 1
    assert ci.mints() == 1


def test_a_dry_run_pushes_nothing(ci: Ci, rotator: Runner) -> None:
    result = rotator("rotate", "--dry-run")
    assert result.status == 0
    assert f"would be pushed to {URL}, {ci.gitlab_url}" in result.out
    assert ci.puts() == 0


def test_a_push_that_comes_late_is_followed_by_that_of_the_newer_token(
    ci: Ci, rotator: Runner
) -> None:
    """Another rotator renews the token while this one is about to push."""
    token = rotator.folder / "token"
    token.write_text(f"{ci.old}\n")
    program = installed("two_lines.sh", rotator.folder)
    # A store that no lock protects while a rotation lasts.
    rotator.env |= {"ROTATOR_STORE": f"command:{program}?args={token}#T", "ROTATOR_MIRROR": URL}
    answer = ci.github.answer
    begun, others = threading.Event(), []

    def meanwhile(method: str, path: str, query: Any, body: Any) -> Any:  # noqa: ANN401 - JSON
        if method == "PUT" and not begun.is_set():
            begun.set()
            others.append(rotator("rotate", "--force"))
        return answer(method, path, query, body)

    ci.github.answer = meanwhile  # type: ignore[method-assign] # a moment of a real server
    result = rotator("rotate")
    assert [each.status for each in (result, *others)] == [0, 0], (result.err, others)
    assert ci.puts() == 3
    assert ci.github.held(SECRET) == token.read_text().splitlines()[0]


def test_nothing_is_asked_where_there_is_no_token(ci: Ci, rotator: Runner) -> None:
    rotator.write_env("")
    assert rotator("check").status == 2
    assert ci.github.calls == []


def test_the_doctor_tells_of_each_mirror(ci: Ci, rotator: Runner) -> None:
    rotator("rotate")
    found = {each["store"]: each for each in rotator("doctor", "--json").json}
    assert (found[URL]["check"], found[URL]["status"]) == ("mirror", "ok")
    assert "cannot be read back" in found[URL]["message"]
    ci.gitlab.broken = 401
    found = {each["store"]: each for each in rotator("doctor", "--json").json}
    assert found[ci.gitlab_url]["status"] == "problem"


@pytest.mark.parametrize(
    ("mirrors", "text"),
    [
        (f"{URL} {URL}", "a second time"),
        ("dotenv:.env", "no installed package serves dotenv: mirrors"),
        (" ".join(f"{URL}{number}" for number in range(9)), "at most 8 mirror URLs"),
    ],
)
def test_a_mistake_is_told_before_anything_is_done(
    ci: Ci, rotator: Runner, mirrors: str, text: str
) -> None:
    result = rotator("rotate", ROTATOR_MIRROR=mirrors)
    assert result.status == 2
    assert text in result.err
    assert ci.mints() == 0


def test_two_tokens_may_not_have_one_mirror(ci: Ci, rotator: Runner) -> None:
    tables = [
        f'[[token]]\nname = "{name}"\nstores = ["dotenv:{name}"]\nmirrors = {json.dumps([URL])}\n'
        for name in ("luna", "sol")
    ]
    (rotator.folder / "rotator.toml").write_text("".join(tables))
    del rotator.env["ROTATOR_STORE"], rotator.env["ROTATOR_MIRROR"], rotator.env["ROTATOR_RETIRE"]
    result = rotator("check")
    assert result.status == 3
    assert "a second time (also in luna)" in result.err
    assert ci.github.calls == []
