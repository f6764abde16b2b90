"""The entry point: errors become one line and an exit status here, and nowhere else."""

import gc
import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import TextIO

import click

from rotator.cli import exit_codes
from rotator.cli.main import cli
from rotator.errors import ConfigError, RotatorError, internal_error

INTERRUPTED = 130


def main() -> int:
    """Run a command and return its exit status."""
    if sys.stderr is None:  # somebody closed it, which is no reason to fail
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - until the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without dashes is no reason either
    status = _run(sys.argv[1:])
    for stream in filter(None, (sys.stdout, sys.stderr)):
        _let_go_of(stream)
    gc.freeze()  # the process ends: searching it for garbage first takes 12 ms of a 100 ms check
    return status


def _run(arguments: list[str]) -> int:  # noqa: PLR0911 - a table: one per error
    # `check` is a monitoring plugin, where 2 is a finding and 3 means that there is none.
    checking = arguments[:1] == ["check"]
    wrong_call = exit_codes.UNKNOWN if checking else exit_codes.USAGE
    failed = exit_codes.UNKNOWN if checking else exit_codes.FAILED
    try:
        return cli.main(arguments, prog_name="rotator", standalone_mode=False) or exit_codes.OK
    except click.Abort:
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        error.show(sys.stderr)
        return wrong_call
    except click.ClickException as error:
        return _told(_usage(error), wrong_call)
    except ConfigError as error:
        return _told(error, wrong_call)
    except RotatorError as error:
        return _told(error, failed)
    except OSError as error:  # all others are translated where they happen: this is our output
        return _told(f"the output could not be written ({error.strerror})", failed)
    except Exception as error:  # noqa: BLE001 - a traceback could show a secret
        return _told(internal_error(error), failed)


def _usage(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    help_of = f"; see {context.command_path} --help" if context else ""
    return " ".join(error.format_message().rstrip(".").split()) + help_of


def _told(error: object, status: int) -> int:
    with suppress(OSError):  # the status tells it, too
        sys.stderr.write(f"rotator: {error}\n")
    return status


def _let_go_of(stream: TextIO) -> None:
    """Write the rest; where that is impossible, keep Python from complaining a second time."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    sys.exit(main())
