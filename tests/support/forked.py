"""Processes of the command, forked from one that has loaded everything: a start costs no imports.

    python -m tests.support.forked MODULE...

loads these modules as well, and forks one for each line of JSON on stdin. It answers with its pid,
and tells its exit status where the line says so. They are processes like any others: they have
their own folder, environment and output, they get signals, and to kill one takes from it all that
it had. What they do not show is how Python itself starts: for that the installed command is there.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from selectors import EVENT_READ, BaseSelector, DefaultSelector, SelectorKey
from typing import NamedTuple, NoReturn

import rotator
import tests.soak.daemon
from rotator.__main__ import main
from rotator.hooks import restarts
from rotator.stores import mirrors, registry
from tests.crash import victim

# Not of the command, but for its users; or scripts.
_OTHERS = ("rotator.__main__", "rotator.client.httpx", "rotator.hooks.messenger", "rotator.testing")
_LOADED_WHERE_USED = ("apscheduler.schedulers.background", "backends.dotenv.store", "jwt")


class Job(NamedTuple):
    """A command in a folder, that dies at a moment if it has one.

    `environ` is all that it has. `outputs` are the files of its stdout and its stderr, which
    otherwise lie beside the folder. One with a `clock` is a daemon of `tests.soak`.
    """

    folder: str
    arguments: Sequence[str]
    environ: Mapping[str, str]
    outputs: Sequence[str] = ()
    log: str | None = None
    moment: int = victim.WHOLE_LIFE
    clock: str | None = None

    @property
    def files(self) -> list[Path]:
        beside = [Path(self.folder).with_suffix(f".{name}") for name in ("stdout", "stderr")]
        return [Path(name) for name in self.outputs] or beside


class Child(NamedTuple):
    pid: int
    end: int  # where its exit status is told


def serve() -> None:
    """Fork a process for each line of stdin, until its end."""
    for name in (*_modules_of_the_command(), *sys.argv[1:]):
        importlib.import_module(name)
    for group in (registry.GROUP, mirrors.GROUP, restarts.GROUP):
        registry.find_entry_point(group, "", "")  # it remembers what packages are installed
    gc.freeze()  # what is loaded stays, and is shared with all children
    waiting = DefaultSelector()
    waiting.register(sys.stdin, EVENT_READ)
    while True:
        for key, _ in waiting.select():
            if key.data is not None:
                _bury(waiting, key)
            elif line := sys.stdin.readline():
                job, end = json.loads(line)
                _start(waiting, Job(*job), end)
            else:
                return


def _start(waiting: BaseSelector, job: Job, end: str) -> None:
    streams = [os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600) for file in job.files]
    told = os.open(end, os.O_WRONLY)
    pid = os.fork()
    if pid == 0:
        waiting.close()
        os.close(told)
        _run(job, streams)
    for stream in streams:
        os.close(stream)
    waiting.register(os.pidfd_open(pid), EVENT_READ, Child(pid, told))
    sys.stdout.write(f"{pid}\n")
    sys.stdout.flush()


def _bury(waiting: BaseSelector, key: SelectorKey) -> None:
    child: Child = key.data
    _, status = os.waitpid(child.pid, 0)
    with suppress(BrokenPipeError):  # nobody asks any more
        os.write(child.end, b"%d" % os.waitstatus_to_exitcode(status))
    os.close(child.end)
    waiting.unregister(key.fd)
    os.close(key.fd)


def _run(job: Job, streams: Sequence[int]) -> NoReturn:
    os.chdir(job.folder)
    for number, stream in enumerate((os.open(os.devnull, os.O_RDONLY), *streams)):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(job.environ)
    sys.argv = ["rotator", *job.arguments]
    if job.clock is not None:
        _end(tests.soak.daemon.run(Path(job.clock), *job.arguments))
    if job.log is not None:
        _die(job, job.log)
    _end(main())


def _end(status: int) -> NoReturn:
    """End as Python does, save that it would take all modules to pieces, for twice the whole cost.

    Their memory is shared until somebody changes it, if only to count what refers to it.
    """
    threading._shutdown()  # type: ignore[attr-defined] # noqa: SLF001
    atexit._run_exitfuncs()  # noqa: SLF001
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _die(job: Job, log: str) -> NoReturn:
    """Run a victim, which does nothing after its last moment."""
    try:
        status = victim.live(Path(job.folder), Path(log), job.moment, main)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - Python's own end would be another moment
        status = 99
    os._exit(status)


def _modules_of_the_command() -> Iterator[str]:
    yield from _LOADED_WHERE_USED
    for module in pkgutil.walk_packages(rotator.__path__, "rotator."):
        if not module.name.startswith(_OTHERS):
            yield module.name


if __name__ == "__main__":
    serve()
