"""`python -m rotator.sandbox`: runs the embedded API in the foreground, for trying things out."""

import argparse
import json
import os
import signal
import sys
from typing import NoReturn

from rotator.sandbox import Sandbox

_VARIABLE = "NOCTURNA_ADMIN_PASSWORD"


def main() -> None:
    """Serve until SIGTERM, SIGINT or the end of stdin, whichever comes first."""
    arguments = _parser().parse_args()
    password = os.environ.get(_VARIABLE)
    if not password:
        sys.stderr.write(f"set {_VARIABLE}: it becomes the password of the administrator\n")
        sys.exit(2)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    sandbox = Sandbox(
        port=arguments.port,
        call_delay=arguments.call_delay / 1000,
        login_cpu=arguments.login_cpu / 1000,
        admin_password=password,
    )
    try:
        _serve(sandbox)
    except (OSError, OverflowError) as error:
        sys.exit(f"cannot serve on port {arguments.port}: {error}")


def _serve(sandbox: Sandbox) -> None:
    with sandbox as api:
        sys.stdout.write(json.dumps({"url": api.url, "admin_email": api.admin_email}) + "\n")
        sys.stdout.flush()
        while os.read(0, 65536):
            pass  # only the end of stdin means anything


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rotator.sandbox",
        description="Run an embedded Nocturna API on 127.0.0.1 until SIGTERM or the end of stdin.",
        epilog=f"The administrator's password is taken from ${_VARIABLE}.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes any free one (default)")
    parser.add_argument(
        "--call-delay", type=float, default=0, metavar="MS", help="latency added to every call"
    )
    parser.add_argument(
        "--login-cpu", type=float, default=0, metavar="MS", help="processor time that a login costs"
    )
    return parser


def _leave(_number: int, _frame: object) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    main()
