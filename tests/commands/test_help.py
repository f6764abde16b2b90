"""Each command's help: it fits into a terminal, and the examples at its end work."""

import re
import shlex
import textwrap
from collections.abc import Iterator

import click
import pytest

from rotator.cli.main import cli
from tests.support.listener import listener
from tests.support.process import Result, Runner
from tests.support.sandbox import Sandbox

CONFIG = """\
[[token]]
name = "luna-bot"
stores = ["dotenv:.env"]
notify = ["{url}"]
"""
BOT = '#!/bin/sh\ntest -n "$NOCTURNA_SERVICE_TOKEN$NOCTURNA_SERVICE_TOKEN_FILE"\n'
ID = "6d927cbd-b25b-45ef-a034-49c1e2d79a3a"
IN_A_TERMINAL = ["rotator init"]  # tests/init/test_terminal.py holds this conversation
# What a place other than the sandbox would have, or a person would answer.
REPLACED = {
    "9464": "0",
    "https://your-api-server.com/api/...": "$NOCTURNA_API_URL/auth/admin/verify",
    "--cache": "--cache > /dev/null",
    "--scope calculations": "--scope calculations > /dev/null",
    "leaked luna-bot": "leaked luna-bot --yes",
    "python": "python3",
    'eval "$(rotator completion zsh)"': 'echo "$(rotator completion zsh)"',
}


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield each command with how it is called, also those of groups."""

    def within(group: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command]]:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command
            inner = click.Context(command, context, name)
            yield inner.command_path, command
            if isinstance(command, click.Group):
                yield from within(command, inner)

    yield from within(cli, click.Context(cli, info_name="rotator", **cli.context_settings))


def examples_of(command: click.Command) -> list[str]:
    """Return the calls at the end of a help; a line that is further in goes on with one."""
    shown = (command.epilog or "").partition("Examples:\n")[2]
    return re.split(r"\n(?! )", textwrap.dedent(shown).rstrip())


EVERY = dict(commands())
EXAMPLES = [call for command in EVERY.values() for call in examples_of(command)]
CALLS = [call for call in EXAMPLES if call not in IN_A_TERMINAL]


@pytest.mark.parametrize("path", EVERY)
def test_a_help_has_two_examples_of_its_command(path: str) -> None:
    calls = examples_of(EVERY[path])
    assert len(calls) >= 2
    assert [call for call in calls if path not in call] == []


@pytest.mark.parametrize("path", EVERY)
@pytest.mark.parametrize("columns", [80, 100])
def test_a_help_fits_into_the_terminal(path: str, columns: int) -> None:
    root = click.Context(cli, terminal_width=columns - 2, **cli.context_settings)
    context = click.Context(EVERY[path], root, path)
    shown = EVERY[path].get_help(context).splitlines()
    assert [line for line in shown if len(line) > columns] == []
    # A default is not torn apart, nor a word at its hyphen.
    assert [line for line in shown if re.search(r"\[default:$|\w-$", line)] == []


@pytest.fixture
def sandbox(rotator: Runner, api: Sandbox) -> Iterator[Runner]:
    """A folder with a config, its token in a `.env`, two bots, and somebody who gets notices."""
    del rotator.env["ROTATOR_STORE"]
    rotator.env |= {"HOME": str(rotator.folder), "TMPDIR": str(rotator.folder)}
    rotator.write_env(api.issue(days=30))
    (rotator.folder / ".config/fish/completions").mkdir(parents=True)
    (rotator.folder / "bot.py").write_text("import os; os.environ['NOCTURNA_SERVICE_TOKEN']\n")
    (rotator.folder / "bot").write_text(BOT)
    (rotator.folder / "bot").chmod(0o700)
    with listener() as (url, _):
        (rotator.folder / "rotator.toml").write_text(CONFIG.format(url=url))
        yield rotator


@pytest.mark.sample(8)
@pytest.mark.parametrize("call", CALLS)
def test_an_example_works(sandbox: Runner, api: Sandbox, call: str) -> None:
    for shown, real in REPLACED.items():
        call = call.replace(shown, real)
    call = call.replace("TMPDIR=/var/tmp", f"TMPDIR={sandbox.folder}")
    if "rotator init" in call:
        (sandbox.folder / "rotator.toml").unlink()
    if ID in call:
        if "--force" not in call:
            api.issue()  # one that no store holds
        call = call.replace(ID, api.tokens[-1].id)
    if "rotator daemon" in call:
        with sandbox.started(*shlex.split(call)[1:]) as running:
            running.wait_for("next look at")
            assert running.stop() == 0
        return
    result = run(sandbox, call)
    assert result.status == 0, result


def run(sandbox: Runner, call: str) -> Result:
    if re.search(r"[|>$\n]", call) or not call.startswith("rotator "):
        return sandbox.in_shell(f"bash -c {shlex.quote(call)}")
    return sandbox(*shlex.split(call)[1:])
