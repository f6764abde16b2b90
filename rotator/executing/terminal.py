"""The terminal, if there is one: the child has it while it runs, as a job of the shell would.

The child's process group is not ours, so that a restart reaches all that the child started. Ctrl-C
and the like go to the group that the terminal is lent to, and therefore to the child alone.
"""

import os
import signal
from contextlib import suppress


class Terminal:
    """The controlling terminal; nothing happens where there is none, or somebody else has it."""

    def __init__(self) -> None:
        try:
            self._fd: int | None = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            self._fd = None
        else:
            # The child is in front, and we behind it: there this signal stops whoever reaches for
            # the terminal and, after `stty tostop`, whoever writes to it, as our log does.
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)

    def lend(self, group: int) -> None:
        """Let the child's group have it, if it is ours to lend."""
        if self._held_by(os.getpgrp()):
            self._give(group)
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGCONT)  # it may have asked too early, and been stopped

    def take_back(self, group: int) -> None:
        """Take it from the child's group, if it is there."""
        if self._held_by(group):
            self._give(os.getpgrp())

    def suspend(self, group: int) -> None:
        """Stop as the child was stopped, by Ctrl-Z or a look at the terminal from the background.

        So the shell gets its prompt back, and `fg` and `bg` continue both. Where no shell would do
        that the kernel does not stop us, and the child goes on at once.
        """
        if self._fd is not None:
            self.take_back(group)
            os.killpg(os.getpgrp(), signal.SIGTSTP)
            self.lend(group)

    def _held_by(self, group: int) -> bool:
        try:
            return self._fd is not None and os.tcgetpgrp(self._fd) == group
        except OSError:  # it was hung up
            return False

    def _give(self, group: int) -> None:
        with suppress(OSError):
            if self._fd is not None:
                os.tcsetpgrp(self._fd, group)
