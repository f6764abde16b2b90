"""The program that runs, and the terminal that it borrows, as a job of a shell does.

The child has a process group of its own, so that a restart reaches all that it started. Ctrl-C and
the like go to the group in front of the terminal, and so to the child alone.
"""

import ctypes
import os
import signal
from collections.abc import Mapping
from contextlib import suppress

from rotator.cli.exec.state_machine import BY_SIGNAL

# Python and `Terminal` ignore these, which a program does not expect.
_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTTOU)
_DESCRIPTORS = "/dev/fd"  # lists the open ones
_SET_CHILD_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of <linux/prctl.h>


class Terminal:
    """The controlling terminal; does nothing if there is none, or another group has it."""

    def __init__(self) -> None:
        try:
            self._fd: int | None = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            self._fd = None
        else:
            # We are in the background, where this signal stops whoever takes the terminal and,
            # after `stty tostop`, whoever writes to it, as our log does.
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)

    def lend(self, group: int) -> None:
        """Put the child's group in front, if we are."""
        if self._is_held_by(os.getpgrp()):
            self._give(group)
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGCONT)  # it may have read too early, and been stopped

    def take_back(self, group: int) -> None:
        """Come to the front, if the child's group is there."""
        if self._is_held_by(group):
            self._give(os.getpgrp())

    def suspend(self, group: int) -> None:
        """Stop as the child was stopped: by Ctrl-Z, or as it read in the background.

        The shell shows its prompt, and `fg` and `bg` continue both. Without such a shell the kernel
        does not stop us, and the child goes on at once.
        """
        if self._fd is not None:
            self.take_back(group)
            os.killpg(os.getpgrp(), signal.SIGTSTP)
            self.lend(group)

    def _is_held_by(self, group: int) -> bool:
        try:
            return self._fd is not None and os.tcgetpgrp(self._fd) == group
        except OSError:  # it was hung up
            return False

    def _give(self, group: int) -> None:
        with suppress(OSError):
            if self._fd is not None:
                os.tcsetpgrp(self._fd, group)


class Child:
    """A program that is started again and again, each time after it has ended."""

    def __init__(self, arguments: tuple[str, ...], terminal: Terminal) -> None:
        self.program = arguments[0]
        self._arguments = arguments
        self._terminal = terminal
        self._files = _inheritable_descriptors()
        self._group = 0
        self._pid = 0

    def start(self, environ: Mapping[str, str]) -> None:
        """Start it with our terminal, and the files that we had at first; raises `OSError`."""
        for descriptor in _inheritable_descriptors() - self._files:
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - it has no name
        self._pid = os.posix_spawnp(
            self.program, self._arguments, environ, setpgroup=0, setsigdef=_IGNORED
        )
        self._group = self._pid
        self._terminal.lend(self._group)

    def signal(self, number: int) -> None:
        """Send it a signal, unless it has ended or changed its user."""
        if number == signal.SIGCONT:  # a shell's `fg` has put us in front
            self._terminal.lend(self._group)
        if self._pid:
            with suppress(PermissionError):
                os.kill(self._pid, number)

    def signal_group(self, number: int) -> None:
        """Send a signal to it and all that it started, and continue what is stopped."""
        with suppress(ProcessLookupError, PermissionError):
            if self._group:
                os.killpg(self._group, number)
                os.killpg(self._group, signal.SIGCONT)

    def group_is_gone(self) -> bool:
        """Tell whether its group has no process left that we may signal."""
        try:
            os.killpg(self._group, 0)
        except (ProcessLookupError, PermissionError):
            return True
        return False

    def poll(self) -> int | None:
        """Return its exit status if it has just ended, 128 + n after signal n."""
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

    def reap_orphans(self) -> None:
        """Reap what the program left behind: see `inherit_orphans`.

        Not while another thread waits for a process of its own.
        """
        with suppress(ChildProcessError):
            while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if found.si_pid == self._pid:  # it has just ended: left to the next `poll`
                    break
                os.waitpid(found.si_pid, 0)


def _inheritable_descriptors() -> set[int]:
    descriptors: set[int] = set()
    with suppress(FileNotFoundError):  # a container without /proc
        for name in os.listdir(_DESCRIPTORS):  # noqa: PTH208 - numbers, not paths
            with suppress(OSError):  # the descriptor that listed them is closed
                if os.get_inheritable(int(name)):
                    descriptors.add(int(name))
    return descriptors


def inherit_orphans() -> None:
    """Become the parent of all orphans among our descendants, as process 1 is of its own.

    A restart would else wait until another process 1 reaps them, which few containers' do: until
    then they count as members of the program's group. Only Linux has this.
    """
    with suppress(AttributeError):
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
