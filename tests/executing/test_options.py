"""Options of `rotator exec` that make no sense together are told before anything is started."""

import click
import pytest

from rotator.cli.exec import command
from rotator.cli.exec.state_machine import ExecOptions, plan_for
from rotator.errors import ConfigError


def wishes(*options: str) -> ExecOptions:
    """Return what the command line would: nothing is run here."""
    context = command.make_context("exec", [*options, "--", "true"])
    return ExecOptions(("true",), **{key: context.params[key] for key in ExecOptions._fields[1:]})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--signal", "HUP"], "found --signal without --file"),
        (["--restart"], "found --restart without --file"),
        (["--file", "--restart", "--signal", "HUP"], "found both --signal and --restart"),
        (["--file", "--signal", "KILL"], "found --signal KILL, which no program can take as news"),
        (["--file", "--signal", "SIGSTOP"], "found --signal STOP, which no program"),
    ],
    ids=" ".join,
)
def test_what_does_not_fit_together_is_refused(options: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_for(wishes(*options))
    assert str(caught.value).startswith(f"exec: {message}")


@pytest.mark.parametrize(
    ("options", "restart"),
    [([], True), (["--file"], False), (["--file", "--restart"], True)],
)
def test_without_a_file_or_when_asked_to_a_change_is_a_restart(
    options: list[str], *, restart: bool
) -> None:
    assert plan_for(wishes(*options)).restart == restart


def test_dashes_that_are_missing_are_asked_for() -> None:
    with pytest.raises(click.UsageError, match="put -- before the program, as in rotator exec -- "):
        command.make_context("exec", ["sh", "-c", "echo hi"])
    with pytest.raises(click.NoSuchOption):
        command.make_context("exec", ["-x", "--", "true"])
