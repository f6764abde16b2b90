"""A server that kills its client in the middle of a call."""

from concurrent.futures import Future
from threading import Event

from tests.crash.cases import Death
from tests.support.crew import Running
from tests.support.sandbox import Fault
from tests.support.waiting import PATIENCE


class Killer:
    """Kills the process that it is given, at the moment of a call that `death` names."""

    def __init__(self, death: Death) -> None:
        self._death = death
        self._process: Future[Running] = Future()
        self._go_on = Event()
        self._done = Event()

    @property
    def fault(self) -> Fault:
        if self._death is Death.UNANSWERED:
            return Fault(after=self._kill_and_hang_up)
        if self._death is Death.LATE:
            return Fault(before=self._kill_and_linger, after=self._done.set)
        return Fault(before=self._kill_and_hang_up)

    def take(self, process: Running) -> None:
        self._process.set_result(process)

    def finish(self) -> None:
        """Let a late call be done now."""
        self._go_on.set()
        assert self._done.wait(PATIENCE), "the late call was not done"

    def _kill(self) -> None:
        process = self._process.result(PATIENCE)
        process.kill()
        process.wait()

    def _kill_and_hang_up(self) -> None:
        self._kill()
        raise ConnectionAbortedError

    def _kill_and_linger(self) -> None:
        self._kill()
        self._go_on.wait(PATIENCE)
