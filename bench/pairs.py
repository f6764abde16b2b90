"""Two programs in turns, so that whatever else the machine does hits both."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median, quantiles

from bench.processes import Run
from bench.table import Row


@dataclass(frozen=True, slots=True)
class Comparison:
    """The seconds of each turn, ours and theirs."""

    ours: list[float]
    theirs: list[float]

    @property
    def ratio(self) -> float:
        """Our median over theirs: less is better."""
        return median(self.ours) / median(self.theirs)

    def row(self, what: str, at_most: float | None) -> Row:
        """Return the comparison as a row of the table, judged where there is a target."""
        turns = [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]
        low, _, high = quantiles(turns, n=4)
        return Row(
            what=f"{what}, {len(turns)} turns",
            ours=milliseconds(self.ours),
            theirs=milliseconds(self.theirs),
            ratio=f"{self.ratio:.2f}",
            quartiles=f"{low:.2f}-{high:.2f}",
            target="none" if at_most is None else f"<= {at_most:.2f}",
            met=None if at_most is None else self.ratio <= at_most,
        )


def compare(turns: int, ours: Callable[[], Run], theirs: Callable[[], Run]) -> Comparison:
    """Run both once unmeasured, then in turns; each call returns a finished run."""
    ours()
    theirs()
    measured = [(ours().seconds, theirs().seconds) for _ in range(turns)]
    return Comparison([turn[0] for turn in measured], [turn[1] for turn in measured])


def milliseconds(seconds: list[float]) -> str:
    """Return the median of some times."""
    return f"{median(seconds) * 1000:.1f} ms"
