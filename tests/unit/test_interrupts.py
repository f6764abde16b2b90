"""An interrupt ends a command without a traceback, wherever it comes."""

import signal
import subprocess
import sys

INTERRUPTED_IN_A_FINALIZER = """
import os, signal
from rotator.signals import end_at_second_interrupt

class Connection:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

end_at_second_interrupt()
Connection()
print("goes on")
"""


def test_an_interrupt_that_python_drops_in_a_finalizer_ends_the_process() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IN_A_FINALIZER],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")
