"""Processes of the command, forked from one that has loaded everything: a start costs no imports.

    python -m tests.crash.forked MODULE...

loads these modules as well, forks one for each line of JSON on stdin, and answers with its pid and,
when it has ended, with its exit status. They are processes like any others: to kill one takes from
it all that it had.
"""

import importlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, NoReturn

from rotator.__main__ import main
from tests.crash import victim

LOADED_WHERE_USED = (
    "backends.dotenv.store",
    "jwt",
    "rotator.cli.leaked",
    "rotator.nocturna.service_tokens",
    "rotator.rotation.change",
)


class Job(NamedTuple):
    """A command in a folder, with its output beside it, that dies at a moment if it has one.

    `environ` is what it has beside the rest of the environment.
    """

    folder: str
    arguments: Sequence[str]
    environ: Mapping[str, str] = MappingProxyType({})
    log: str | None = None
    moment: int = victim.WHOLE_LIFE

    @property
    def outputs(self) -> list[Path]:
        return [Path(self.folder).with_suffix(f".{name}") for name in ("stdout", "stderr")]


def serve() -> None:
    for name in (*LOADED_WHERE_USED, *sys.argv[1:]):
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork() or _run(Job(*json.loads(line)))
        _answer(child)
        _answer(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _answer(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _run(job: Job) -> NoReturn:
    try:
        os.chdir(job.folder)
        for stream, file in enumerate(job.outputs, 1):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), stream)
        os.environ.update(job.environ)
        sys.argv = ["rotator", *job.arguments]
        if job.log is None:
            status = main()
        else:
            status = victim.live(Path(job.folder), Path(job.log), job.moment, main)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - nothing may come back into the loop of the parent
        status = 99
    os._exit(status)


if __name__ == "__main__":
    serve()
