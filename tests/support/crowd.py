"""Many rotators at one moment: `python -m tests.support.crowd SIZE ARGUMENT...`.

For each line on stdin it starts so many processes of the command and, when all have ended, prints
their exit statuses as a JSON list. They are forked from one that has loaded everything: processes
like any others, but twenty of them begin within a few milliseconds.
"""

import importlib
import json
import os
import sys
from pathlib import Path
from typing import NoReturn

from rotator.__main__ import main

LOADED_WHERE_USED = ("rotator.nocturna.service_tokens", "rotator.nocturna.service_tokens", "jwt")
LOG = Path("crowd.log")


def serve(size: int) -> None:
    for name in LOADED_WHERE_USED:
        importlib.import_module(name)
    for _ in sys.stdin:
        children = [os.fork() or _run() for _ in range(size)]
        ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        sys.stdout.write(json.dumps(ended) + "\n")
        sys.stdout.flush()


def _run() -> NoReturn:
    output = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(output, stream)
    try:
        status = main()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - nothing may come back into the loop of the parent
        status = 99
    os._exit(status)


if __name__ == "__main__":
    crowd, *sys.argv[1:] = sys.argv[1:]
    serve(int(crowd))
