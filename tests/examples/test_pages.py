"""What the pages for bots show works: code is run, commands too, and links are followed."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.process import Runner
from tests.support.sandbox import BIRTH, Fault, Sandbox
from tests.support.waiting import PATIENCE
from tests.test_docs import blocks, text

ROOT = Path(__file__).parents[2]
URL = "https://your-api-server.com/api"
CHART = ("POST", "/stateless/natal-chart", 200)


def run(code: str, rotator: Runner, api: Sandbox) -> "subprocess.CompletedProcess[str]":
    """Run code of a page in a folder with a `.env`, against the embedded API."""
    secret = api.issue(days=30)
    rotator.write_env(secret)
    return subprocess.run(
        [sys.executable, "-c", code.replace(URL, api.url)],
        cwd=rotator.folder,
        env={"NOCTURNA_SERVICE_TOKEN": secret},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


PYTHON = blocks("docs/client.md", "python")


@pytest.mark.sample(3)
@pytest.mark.parametrize("code", PYTHON, ids=lambda code: code.split("\n", 1)[0])
def test_each_block_of_python_works_by_itself(rotator: Runner, api: Sandbox, code: str) -> None:
    api.add_user("luna@example.com", "moonlight")
    # A password is asked for at a terminal; a function is left to be called.
    done = run(code.replace("getpass)", '"moonlight")'), rotator, api)
    assert done.stderr == ""
    assert api.calls.count(CHART) == code.count("natal-chart")


def test_the_line_about_the_token_is_what_is_printed(rotator: Runner, api: Sandbox) -> None:
    (code,) = [each for each in PYTHON if "token_status()" in each]
    (shown,) = re.findall(r"# (service token .*)", code)
    told = "[^…]*".join(map(re.escape, shown.replace("83 days", "30 days").split("…")))
    printed = run(code, rotator, api).stdout.strip()
    assert re.fullmatch(told.replace("6d927cbd\\-", "[0-9a-f]{8}-"), printed)


# What aiohttp's session does with a call, over httpx: it is no dependency of ours.
LIKE_AIOHTTP = f"""
import asyncio, contextlib, httpx
from rotator.client import TokenManager

class Session:
    @contextlib.asynccontextmanager
    async def post(self, url, json, headers):
        async with httpx.AsyncClient() as client:
            answer = await client.post(url, json=json, headers=headers)
        async def body():
            return answer.json()
        yield type("Answer", (), {{"status": answer.status_code, "json": lambda self: body()}})()

manager = TokenManager("{URL}", "dotenv:.env")
print(asyncio.run(post(Session(), manager, "/stateless/natal-chart", {BIRTH}))["success"])
"""


def test_the_loop_for_aiohttp_survives_a_401(rotator: Runner, api: Sandbox) -> None:
    (code,) = [each for each in PYTHON if each.startswith("async def post(")]
    api.misbehave(Fault.status(401), "POST /stateless/natal-chart")
    done = run(code + LIKE_AIOHTTP, rotator, api)
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert [status for _, path, status in api.calls if path == CHART[1]] == [401, 200]


def test_the_python_of_the_readme_works(rotator: Runner, api: Sandbox) -> None:
    (code,) = blocks("README.md", "python")
    post = f'\nprint(session.post("{URL}/stateless/natal-chart", json={BIRTH}).status_code)'
    done = run(code + post, rotator, api)
    assert (done.stdout, done.stderr) == ("200\n", "")


def test_the_line_for_shells_works(rotator: Runner, api: Sandbox) -> None:
    line = block_with("pipefail")
    rotator.write_env(api.issue())
    body = f"--json {shlex.quote(json.dumps(BIRTH))}"
    call = line.replace(f"{URL}/...", f"{body} {api.url}/stateless/natal-chart")
    assert rotator.in_shell(f"bash -c {shlex.quote(call)}").out.startswith('{"success":')
    assert api.calls[-1] == CHART
    api.misbehave(Fault.unavailable(), times=None)
    failed = rotator.in_shell(f"bash -c {shlex.quote(call)}")
    assert failed.status != 0
    assert failed.err.startswith("rotator: ")


def test_the_embedded_api_starts_as_the_page_says(rotator: Runner) -> None:
    line = block_with("rotator.embedded_api").replace("--port 8000", "--port 0")
    started = rotator.in_shell(f"{line.replace('python', sys.executable, 1)} < /dev/null")
    assert re.fullmatch(r'{"url": "http://127.0.0.1:\d+/api", "admin_email": ".*"}\n', started.out)


def block_with(text: str) -> str:
    (found,) = [block for block in blocks("docs/client.md", "sh") if text in block]
    return re.sub(r" +#.*", "", found).strip()


@pytest.mark.parametrize("page", ["examples/README.md"])
def test_links_of_the_examples_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)#]+)", text(page)):
        assert (ROOT / page).parent.joinpath(link).exists(), link


def test_the_russian_page_has_the_commands_and_outputs_of_the_english_ones() -> None:
    russian = every_block("README.ru.md")
    first_screen = [block for block in every_block("README.md") if block in russian]
    assert len(first_screen) >= 4
    assert russian == [*first_screen, *every_block("docs/client.md")]


def test_the_russian_page_has_one_title() -> None:
    page = re.sub(r"^```.*?^```", "", text("README.ru.md"), flags=re.MULTILINE | re.DOTALL)
    assert len(re.findall(r"^# ", page, re.MULTILINE)) == 1


def test_each_language_links_to_the_other() -> None:
    assert "](README.md)" in text("README.ru.md").partition("\n## ")[0]
    assert "](README.ru.md)" in text("README.md").partition("```")[0]


def every_block(name: str) -> list[str]:
    """Return the blocks without what is in the page's language: drawings, comments of commands."""
    every = re.findall(r"^```\w*\n.*?^```", text(name), re.MULTILINE | re.DOTALL)
    found = [each for each in every if not each.startswith("```text")]
    return [re.sub(r" +#.*", "", each) if each.startswith("```sh") else each for each in found]


def test_both_languages_name_the_same_things() -> None:
    """Names in code style are the same; so a method or an option that is new is in both."""
    named = re.compile(r"`([^`\n]+)`")

    def names(page: str) -> set[str]:
        return set(named.findall(re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)))

    russian = names(text("README.ru.md").partition("\n## Как боты читают секрет")[2])
    assert names(text("docs/client.md")) == russian
