"""Signals that are sent to `rotator exec`."""

import signal
import sys

from tests.executing.helpers import put
from tests.support.process import Runner
from tests.support.sandbox import Sandbox


def test_signals_are_passed_on(rotator: Runner, api: Sandbox) -> None:
    put(rotator, api.issue(days=60))
    names = ("HUP", "INT", "QUIT", "USR1", "USR2", "WINCH", "CONT")
    script = (
        "import os, signal, sys\n"
        f"for name in {names}:\n"
        "    said = f'got {name}\\n'.encode()\n"
        "    signal.signal(signal.Signals['SIG' + name], lambda *_, t=said: os.write(2, t) and 0)\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
        "signal.alarm(1000)\n"  # in case that nobody ends it
        "print('ready', file=sys.stderr, flush=True)\n"
        "while True: signal.pause()\n"
    )
    with rotator.started("exec", "--", sys.executable, "-c", script) as running:
        running.wait_for("ready")
        for name in names:
            running.process.send_signal(signal.Signals[f"SIG{name}"])
            running.wait_for(f"got {name}")
        assert running.stop() == 5


def test_what_was_ignored_stays_ignored(rotator: Runner, api: Sandbox) -> None:
    put(rotator, api.issue(days=60))
    line = "nohup rotator exec -- sh -c 'kill -HUP $$ && kill -HUP $PPID && exit 3'"
    assert rotator.in_shell(line).status == 3
