"""The response to a leak, from the first step to the last, while its record is kept."""

import threading
from collections.abc import Callable, Mapping

from rotator import audit
from rotator.audit import Event
from rotator.cli.leaked.emergency import Emergency, FoundState
from rotator.cli.leaked.markdown import as_section
from rotator.cli.leaked.record import IncidentRecord, RecordedStep
from rotator.cli.leaked.report_file import ReportFile
from rotator.clock import Clock
from rotator.errors import RotatorError

# What cannot be undone is in the file at once, the other steps with the next of these.
_LASTING = frozenset({Event.MINTED, Event.WRITTEN, Event.REVOKED, Event.FINISHED})
_MANY = 100  # steps, beyond which the file of a large fleet is not written for each of them
_STOPPED = "stopped by a signal before its turn; run again"


class RecordKeeper:
    """Adds the steps to a record while they are done, and keeps its file up to date, if it has one.

    A file that cannot be written is no reason to leave leaked tokens alive: it is told at the end.
    """

    def __init__(self, record: IncidentRecord, file: ReportFile | None, clock: Clock) -> None:
        self.record = record
        self._file = file
        self.clock = clock
        self._lock = threading.Lock()
        self._unwritten = 0
        self.failure: str | None = None

    def take(self, fields: Mapping[str, str]) -> None:
        """Add a line of the audit trail; any thread may call it."""
        with self._lock:
            self.record.take_step(RecordedStep.build(self.clock(), fields))
            self._unwritten += fields["event"] in _LASTING
            if self._unwritten > len(self.record.steps) // _MANY:
                self._write()

    def write(self) -> None:
        with self._lock:
            self._write()

    def _write(self) -> None:
        if self._file is None:
            return
        self._unwritten = 0
        try:
            self._file.write(as_section(self.record))
            self.failure = None
        except OSError as error:
            self.failure = str(error.strerror)


def respond(
    emergency: Emergency,
    keeper: RecordKeeper,
    *,
    stopped: Callable[[], bool],
    advance: Callable[[], None],
) -> None:
    """Do what the record's assessments ask for; every failure becomes part of the record.

    Nothing else is begun once `stopped` returns True; `advance` is called after each token.
    """
    record = keeper.record
    with audit.watched(keeper.take):
        keeper.write()
        names = [each.name for each in record.assessments]
        reports = emergency.renew(names, stopped, advance)
        record.reports = {report.name: report for report in reports}
        try:
            record.take_search(emergency.search(record.assessments))
        except RotatorError as error:
            record.troubles.append(f"what else was made is not known: {error}; run again")
            wanted = False  # a store may have got one of them since the first look
        else:
            wanted = record.revoke_found
        keeper.write()
        left = [each for each in record.found if each.state is FoundState.LEFT]
        if wanted and left and not stopped():
            emergency.note(names, left)
        for number, found in enumerate(record.found):
            if wanted and found.state is FoundState.LEFT:
                failed = found._replace(state=FoundState.FAILED, message=_STOPPED)
                record.found[number] = failed if stopped() else emergency.revoke(found)
        emergency.log_out()
    record.end(keeper.clock())
    keeper.write()
