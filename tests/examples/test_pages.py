"""What the pages for bots show works: code is run, commands too, and links are followed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rotator.sandbox import Sandbox
from tests.support.process import Runner
from tests.test_docs import blocks, text

ROOT = Path(__file__).parents[2]
URL = "https://your-api-server.com/api"
CHART = ("POST", "/calculations/natal-chart", 200)


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
        timeout=60,
        check=False,
    )


def test_the_python_of_the_page_works_from_top_to_bottom(rotator: Runner, api: Sandbox) -> None:
    code = "\n".join(blocks("docs/client.md", "python"))
    done = run(code, rotator, api)
    assert done.stderr == ""
    assert api.calls.count(CHART) == 2
    (shown,) = re.findall(r"# (service token .*)", text("docs/client.md"))
    told = "[^…]*".join(map(re.escape, shown.replace("83 days", "30 days").split("…")))
    assert re.fullmatch(told.replace("6d927cbd\\-", "[0-9a-f]{8}-"), done.stdout.strip())


def test_the_python_of_the_readme_works(rotator: Runner, api: Sandbox) -> None:
    (code,) = blocks("README.md", "python")
    post = f'\nprint(session.post("{URL}/calculations/natal-chart", json={{}}).status_code)'
    done = run(code + post, rotator, api)
    assert (done.stdout, done.stderr) == ("200\n", "")


def test_the_line_for_shells_works(rotator: Runner, api: Sandbox) -> None:
    (line,) = blocks("docs/client.md", "sh")
    rotator.write_env(api.issue())
    call = line.strip().replace(f"{URL}/...", f"-sS -d {{}} {api.url}/calculations/natal-chart")
    assert rotator.in_shell(call).out.startswith('{"success":')
    assert api.calls[-1] == CHART


@pytest.mark.parametrize("page", ["examples/README.md"])
def test_links_of_the_examples_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)#]+)", text(page)):
        assert (ROOT / page).parent.joinpath(link).exists(), link


def test_the_russian_page_has_the_commands_and_outputs_of_the_english_ones() -> None:
    russian = every_block("README.ru.md")
    first_screen = [block for block in every_block("README.md") if block in russian]
    assert len(first_screen) >= 3
    assert russian == [*first_screen, *every_block("docs/client.md")]


def test_each_language_links_to_the_other() -> None:
    assert "](README.md)" in text("README.ru.md").partition("\n## ")[0]
    assert "](README.ru.md)" in text("README.md").partition("```")[0]


def every_block(name: str) -> list[str]:
    return re.findall(r"^```\w*\n.*?^```", text(name), re.MULTILINE | re.DOTALL)


def test_both_languages_name_the_same_things() -> None:
    """Names in code style are the same; so a method or an option that is new is in both."""
    named = re.compile(r"`([^`\n]+)`")

    def names(page: str) -> set[str]:
        return set(named.findall(re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)))

    russian = names(text("README.ru.md").partition("\n# ")[2])
    assert names(text("docs/client.md")) == russian
