"""The terminal, if there is one: the child has it while it runs, as a job of the shell would.

The child's process group is not ours, so that a restart reaches all that the child started. Ctrl-C
and the like go to the group that the terminal is lent to, and therefore to the child alone.
"""

import os
import signal
from collections.abc import Mapping
from contextlib import suppress

from rotator.exec.state_machine import BY_SIGNAL


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


NOT_EXECUTABLE = 126
NOT_FOUND = 127
# By Python and `Terminal`, which a program does not expect.
_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTTOU)
_SET_CHILD_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of <linux/prctl.h>


class CannotStartError(Exception):
    """The program cannot be started: `status` is what sh exits with, the message says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Child:
    """One program, started as often as it takes; of two calls of `start` the first has ended."""

    def __init__(self, arguments: tuple[str, ...], terminal: Terminal) -> None:
        self._arguments = arguments
        self._terminal = terminal
        self._group = 0
        self._pid = 0

    def start(self, environ: Mapping[str, str]) -> None:
        """Start it with our own files and terminal; raises `CannotStartError`."""
        program = self._arguments[0]
        try:
            self._pid = os.posix_spawnp(
                program, self._arguments, environ, setpgroup=0, setsigdef=_IGNORED
            )
        except FileNotFoundError:
            raise CannotStartError(NOT_FOUND, f"{program}: there is no such program") from None
        except OSError as error:
            message = f"{program}: it cannot be started ({error.strerror})"
            raise CannotStartError(NOT_EXECUTABLE, message) from None
        self._group = self._pid
        self._terminal.lend(self._group)

    def send(self, number: int) -> None:
        """Send it a signal, unless it has ended or become somebody else's."""
        if number == signal.SIGCONT:  # a shell that says `fg` has given us the terminal
            self._terminal.lend(self._group)
        if self._pid:
            with suppress(PermissionError):
                os.kill(self._pid, number)

    def send_group(self, number: int) -> None:
        """Send a signal to it and all that it started; what sleeps is woken up for it."""
        with suppress(ProcessLookupError, PermissionError):
            if self._group:
                os.killpg(self._group, number)
                os.killpg(self._group, signal.SIGCONT)

    def group_is_gone(self) -> bool:
        """Tell whether nobody is left of its group that we could send a signal to."""
        try:
            os.killpg(self._group, 0)
        except (ProcessLookupError, PermissionError):
            return True
        return False

    def exited(self) -> int | None:
        """Return its exit status if it has just ended, 128 + n for signal n."""
        while self._pid:
            pid, status = os.waitpid(self._pid, os.WNOHANG | os.WUNTRACED)
            if not pid:
                break
            if os.WIFSTOPPED(status):
                self._terminal.suspend(self._group)
                continue
            self._pid = 0
            self._terminal.take_back(self._group)
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else BY_SIGNAL - code
        return None

    def bury_orphans(self) -> None:
        """Reap what the program left behind, which came to us: see `inherit_orphans`.

        Not while another thread waits for a process of its own.
        """
        with suppress(ChildProcessError):
            while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if found.si_pid == self._pid:  # it has just ended, and is asked about next
                    break
                os.waitpid(found.si_pid, 0)


def inherit_orphans() -> None:
    """Become the parent of each process below us whose own has ended, as process 1 is anyway.

    Else a restart would wait until somebody else's process 1 buries them, which few containers'
    do: until then they count as a part of the program. Only Linux has this.
    """
    import ctypes  # noqa: PLC0415 - for this command alone

    with suppress(AttributeError):
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
