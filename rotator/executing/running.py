"""`rotator exec` as a whole: settings and options to a program that runs, and its exit status."""

import os
import signal
import time
from collections.abc import Sequence
from contextlib import nullcontext
from random import SystemRandom

from rotator.cli.exec import Wishes
from rotator.clock import utc_now
from rotator.config.settings import Settings
from rotator.errors import ConfigError
from rotator.exec.child import Child, inherit_orphans
from rotator.exec.delivery import secret_folder
from rotator.exec.signals import mailbox
from rotator.exec.state_machine import Plan
from rotator.exec.supervisor import Supervisor
from rotator.executing.files import FileEvents, path_of
from rotator.executing.handing import Handing
from rotator.executing.looking import Looking, Rhythm
from rotator.executing.terminal import Terminal
from rotator.executing.variables import variables
from rotator.executing.watched import Watched
from rotator.stores.readonly import opened

_NO_NEWS = (signal.SIGKILL, signal.SIGSTOP)


def run(settings: Settings, names: Sequence[str], wishes: Wishes) -> int:
    """Run the program until it ends, and return its exit status.

    Raises `ConfigError` when the settings or options are wrong, and `StoreError` when no store has
    a live token to begin with.
    """
    plan = planned(wishes)
    if not wishes.program:
        raise ConfigError(
            "exec: found no program, expected one behind --: put it there, as in"
            " rotator exec -- python bot.py"
        )
    tokens = opened(settings, names)
    named = variables([token for token, _ in tokens], settings.folder, wishes.env)
    paths = [
        path_of(store, text, settings.folder)
        for token, stores in tokens
        for store, text in zip(stores, token.stores, strict=True)
    ]
    events = FileEvents([path for path in paths if path])
    watched = {token.name: Watched(token.name, stores) for token, stores in tokens}
    rhythm = Rhythm(wishes.poll.total_seconds(), SystemRandom().uniform)
    inherit_orphans()
    child = Child(wishes.program, Terminal())
    private = secret_folder(os.environ) if wishes.in_file else nullcontext()
    with mailbox() as (wait, ring), private as folder:
        looking = Looking(watched, events, utc_now, rhythm, ring)
        handing = Handing(os.environ, named, folder)
        return Supervisor(child, looking, handing, plan, time.monotonic).run(wait)


def planned(wishes: Wishes) -> Plan:
    """Return what a change leads to; raises `ConfigError` for options that do not fit together."""
    if wishes.signal and not wishes.in_file:
        raise ConfigError(
            "exec: found --signal without --file: a program that runs keeps its environment, so a"
            " signal would tell it nothing; add --file, or leave --signal out for a restart"
        )
    if wishes.restart and not wishes.in_file:
        raise ConfigError(
            "exec: found --restart without --file: a restart is what a change leads to anyway;"
            " leave --restart out, or add --file"
        )
    if wishes.signal in _NO_NEWS:
        raise ConfigError(
            f"exec: found --signal {wishes.signal.name.removeprefix('SIG')}, which no program can"
            " take as news; take one that it handles, such as HUP, or --restart"
        )
    if wishes.signal and wishes.restart:
        raise ConfigError("exec: found both --signal and --restart, expected one of them")
    return Plan(
        restart=wishes.restart or not wishes.in_file,
        signal=wishes.signal,
        settle=wishes.settle.total_seconds(),
        grace=wishes.grace.total_seconds(),
    )
