"""`python -m tests.crash`: play every death of a rotation, a rehearsal and `rotator leaked`.

Prints what came of each.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.crash.emergency import Emergency
from tests.crash.envfiles import ENV_FILES
from tests.crash.matrix import Matrix, Outcome
from tests.crash.rehearsal import ThenRotate
from tests.support.crew import Crew
from tests.support.transcript import Transcript

Row = tuple[str, str, str, str]
_HEAD: Row = ("stores", "step", "killed", "what the next run left")


def main() -> int:
    """Return 0 if every case is brought into order, 1 otherwise."""
    began = time.monotonic()
    transcript = Transcript()
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="rotator-crash-") as folder, Crew() as crew:
        for stores in (1, 3):
            setting = ENV_FILES[:stores], transcript, crew
            matrix = Matrix(Path(folder, str(stores)), *setting)
            rehearsals = Matrix(Path(folder, f"{stores}-rehearsed"), *setting, ThenRotate)
            leaks = Matrix(Path(folder, f"{stores}-leaked"), *setting, Emergency)
            for title, play in (
                ("a rotation is killed", matrix.of_rotations),
                ("a recovery is killed", matrix.of_recoveries),
                ("a rehearsal is killed, and its token is due", rehearsals.of_rotations),
                ("rotator leaked is killed", leaks.of_rotations),
                ("a recovery by rotator leaked is killed", leaks.of_recoveries),
            ):
                played = play()
                _print(f"{title}: {len(played)} cases", _rows(stores, played))
                outcomes += played
    failed = sum(bool(outcome.problems) for outcome in outcomes)
    seconds = time.monotonic() - began
    sys.stdout.write(
        f"{len(outcomes)} cases, {transcript.processes} processes, {seconds:.0f} s;"
        f" {failed} failed\n"
    )
    return 1 if failed else 0


def _rows(stores: int, outcomes: Iterable[Outcome]) -> Iterable[Row]:
    for case, came_of_it, problems in outcomes:
        told = f"FAILED: {'; '.join(problems)}" if problems else came_of_it
        yield str(stores), case.moment.step, f"{case.death} {case.moment.change}", told


def _print(title: str, rows: Iterable[Row]) -> None:
    table = [_HEAD, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    sys.stdout.write(f"{title}\n\n")
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        sys.stdout.write("  ".join(cells).rstrip() + "\n")
    for came_of_it, times in Counter(row[-1] for row in table[1:]).most_common():
        sys.stdout.write(f"{times:5} times: {came_of_it}\n")
    sys.stdout.write("\n")


if __name__ == "__main__":
    sys.exit(main())
