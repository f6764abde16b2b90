"""The results as a table of plain text."""

from dataclasses import dataclass

_TITLES = ("what", "ours", "theirs", "ratio", "quartiles", "target", "")


@dataclass(frozen=True, slots=True)
class Row:
    """One measured thing; `met` is None where there is no target."""

    what: str
    ours: str
    theirs: str
    ratio: str
    quartiles: str = "–"
    target: str = "none"
    met: bool | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        """The texts of the row, the verdict last."""
        verdict = {True: "met", False: "NOT MET", None: "(for information)"}[self.met]
        return (
            self.what,
            self.ours,
            self.theirs,
            self.ratio,
            self.quartiles,
            self.target,
            verdict,
        )


def shown(rows: list[Row]) -> str:
    """Return the rows under their titles, in columns."""
    lines = [_TITLES, *(row.cells for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(_TITLES))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
