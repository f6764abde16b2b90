"""The entry point: an error that ends the command becomes one line and an exit code here.

The failure of one token does not end it: it is part of the token's report.
"""

import gc

# A command needs nearly all that it makes to its end: looking for garbage seldom saves it a tenth
# of its time. Before the other imports, which make much of it.
gc.set_threshold(20_000)

import os
import sys
from contextlib import suppress
from io import TextIOWrapper

import click

from rotator.cli import exit_codes
from rotator.cli.main import cli, find_command
from rotator.cli.tables import wrap
from rotator.errors import (
    ConfigError,
    RotatorError,
    describe_lack,
    hide_tokens,
    internal_error,
    one_line,
)
from rotator.signals import end_at_second_interrupt

INTERRUPTED = 130


def main() -> int:
    """Run a command and return its exit code."""
    end_at_second_interrupt()
    _speak_utf8()
    # It would write the keys of connections, over which tokens go, to a file; or fail to.
    os.environ.pop("SSLKEYLOGFILE", None)
    if sys.stderr is None:  # somebody closed it, which must not be an error
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - until the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # Nor must a terminal that cannot show a dash.
            stream.reconfigure(encoding=_encoding_of_terminal(), errors="replace")
    exit_code = _run(sys.argv[1:])
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:  # keep Python from failing a second time at its exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    gc.freeze()  # the process ends: searching it for garbage first takes 12 ms of a 100 ms check
    return exit_code


def _speak_utf8() -> None:
    """Start again in Python's UTF-8 mode, where the locale has another encoding.

    rotator.toml is UTF-8, and a path in it has to mean the same file under every locale.
    """
    if sys.flags.utf8_mode or sys.getfilesystemencoding().lower() == "utf-8" or not sys.executable:
        return
    with suppress(OSError):
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 - ourselves


def _encoding_of_terminal() -> str | None:
    """Return the encoding of the locale after `_speak_utf8`; None leaves it as it is."""
    if "utf8" not in sys._xoptions or "PYTHONIOENCODING" in os.environ:  # noqa: SLF001 - documented
        return None
    import locale  # noqa: PLC0415 - few need it

    return locale.getencoding()


def _run(arguments: list[str]) -> int:  # noqa: PLR0911 - a table: one per error
    # `check` is a monitoring plugin, where 2 is about a token, and 3 says that nothing is known.
    checking = find_command(arguments) == "check"
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
        return _report(_describe_usage(error), wrong_call)
    except ConfigError as error:
        return _report(error, wrong_call)
    except RotatorError as error:
        return _report(error, failed)
    except OSError as error:
        return _report(_describe_system(error), failed)
    except Exception as error:  # noqa: BLE001 - a traceback could show a secret
        return _report(internal_error(error), failed)


def _describe_system(error: OSError) -> str:
    """Describe what is not translated where it happens: of our own output, or a forgotten file."""
    if lack := describe_lack(error):
        return lack
    if isinstance(error.filename, str | bytes):
        return f"{one_line(os.fsdecode(error.filename))} cannot be used ({error.strerror})"
    return f"the output could not be written ({error.strerror})"


def _describe_usage(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    help_of = f"; see {context.command_path} --help" if context else ""
    return " ".join(error.format_message().rstrip(".").split()) + help_of


def _report(error: object, exit_code: int) -> int:
    with suppress(OSError):  # the exit code says it, too
        line = f"rotator: {hide_tokens(str(error))}"
        sys.stderr.write(f"{wrap(line) if sys.stderr.isatty() else line}\n")
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
