"""`python -m rotator.embedded_api`: serves the embedded API in the foreground, to try things."""

import json
import os
import signal
import sys

import click

from rotator.embedded_api import EmbeddedApi

_VARIABLE = "NOCTURNA_ADMIN_PASSWORD"


@click.command(epilog=f"The administrator's password is taken from ${_VARIABLE}.")
@click.option("--port", default=0, help="0 takes any free one (default).")
@click.option("--call-delay", default=0.0, metavar="MS", help="Latency of every call.")
@click.option("--login-cpu", default=0.0, metavar="MS", help="Processor time that a login takes.")
def main(port: int, call_delay: float, login_cpu: float) -> None:
    """Run an embedded Nocturna API on 127.0.0.1 until SIGTERM or SIGINT.

    It also ends with stdin, unless that is a terminal.
    """
    password = os.environ.get(_VARIABLE)
    if not password:
        sys.stderr.write(f"set {_VARIABLE}: it becomes the password of the administrator\n")
        sys.exit(2)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: sys.exit(0))
    embedded = EmbeddedApi(
        port=port, call_delay=call_delay / 1000, login_cpu=login_cpu / 1000, admin_password=password
    )
    try:
        with embedded as api:
            sys.stdout.write(json.dumps({"url": api.url, "admin_email": api.admin_email}) + "\n")
            sys.stdout.flush()
            _wait_for_the_end()
    except OSError as error:
        sys.exit(f"cannot serve on port {port}: {error.strerror}")
    except OverflowError:
        sys.exit(f"cannot serve on port {port}: expected a port from 0 to 65535")


def _wait_for_the_end() -> None:
    # The system stops a program in the background of a terminal that reads from it (SIGTTIN).
    while os.isatty(0):
        signal.pause()
    while os.read(0, 65536):
        pass  # only the end of stdin counts


if __name__ == "__main__":
    main(prog_name="python -m rotator.embedded_api")
