"""The entry point: errors become one line and an exit status here, and nowhere else."""

import gc
import os
import sys

import click

from rotator import statuses
from rotator.cli import cli
from rotator.errors import ConfigError, RotatorError, internal_error

INTERRUPTED = 130


def main() -> int:
    """Run a command and return its exit status."""
    status = _run(sys.argv[1:])
    gc.freeze()  # the process ends: searching it for garbage first takes 12 ms of a 100 ms check
    return status


def _run(arguments: list[str]) -> int:  # noqa: PLR0911 - a table: one per error
    # `check` is a monitoring plugin, where 2 is a finding and 3 means that there is none.
    checking = arguments[:1] == ["check"]
    try:
        return cli.main(arguments, prog_name="rotator", standalone_mode=False) or statuses.FINE
    except click.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        error.show(sys.stderr)
        return statuses.CANNOT_TELL if checking else statuses.USAGE
    except ConfigError as error:
        _say(error)
        return statuses.CANNOT_TELL if checking else statuses.USAGE
    except RotatorError as error:
        _say(error)
        return statuses.FAILED
    except BrokenPipeError:
        # Whoever read our output has left; keep Python from complaining about it at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return statuses.FAILED
    except Exception as error:  # noqa: BLE001 - a traceback could show a secret
        _say(internal_error(error))
        return statuses.CANNOT_TELL if checking else statuses.FAILED


def _say(error: object) -> None:
    sys.stderr.write(f"rotator: {error}\n")


if __name__ == "__main__":
    sys.exit(main())
