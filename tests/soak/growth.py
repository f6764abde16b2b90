"""What a process holds, from /proc, and whether it becomes more."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

# What may be more at the end than in the middle: the pools of threads and connections are filled
# only as far as there was work at the same moment, and the heap has holes.
SLACK = {"memory": 8.0, "threads": 8.0, "descriptors": 16.0, "connections": 16.0}
_UNITS = {"memory": "memory, MiB", "descriptors": "file descriptors"}
_SHARE = 1.03
_WIDTH, _HEIGHT, _GAP = 640, 90, 40  # of a curve, in pixels


class Sample(NamedTuple):
    """What a process holds, after so many hours of its own time; the memory in MiB."""

    hours: float
    memory: float
    threads: float
    descriptors: float
    connections: float

    @classmethod
    def take(cls, pid: int, hours: float) -> Self:
        """Look at a process that has nothing to do."""
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        )
        links = []
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                links.append(str(link.readlink()))
            except FileNotFoundError:
                continue  # closed meanwhile
        return cls(
            hours,
            int(status["RssAnon"].split()[0]) / 1024,
            int(status["Threads"]),
            len(links),
            sum(link.startswith("socket:") for link in links),
        )


def find_growth(samples: Sequence[Sample]) -> list[str]:
    """Say what was more at the end, at its lowest, than in the middle, at its highest."""
    count = len(samples)
    middle, end = samples[count * 2 // 5 : count * 3 // 5], samples[count * 4 // 5 :]
    found = []
    for name, slack in SLACK.items():
        before = max(getattr(each, name) for each in middle)
        after = min(getattr(each, name) for each in end)
        if after > before * _SHARE + slack:
            found.append(f"{name}: {before:.0f} in the middle, {after:.0f} at the end")
    return found


def draw(samples: Sequence[Sample], title: str) -> str:
    """Return the curves as SVG, each from zero."""
    bottom = 50 + len(SLACK) * (_HEIGHT + _GAP)
    last = samples[-1].hours
    size = f'viewBox="0 0 {_WIDTH + 40} {bottom}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="13">',
        f'<rect width="100%" height="100%" fill="#fff"/><text x="20" y="24">{title}</text>',
    ]
    for number, name in enumerate(SLACK):
        top = 60 + number * (_HEIGHT + _GAP)
        values = [getattr(each, name) for each in samples]
        most = max(*values, 1)
        points = " ".join(
            f"{20 + _WIDTH * each.hours / last:.1f},{top + _HEIGHT * (1 - value / most):.1f}"
            for each, value in zip(samples, values, strict=True)
        )
        parts += [
            f'<text x="20" y="{top - 8}">{_UNITS.get(name, name)}: at most {most:.0f}</text>',
            f'<path d="M20 {top}v{_HEIGHT}h{_WIDTH}" fill="none" stroke="#999"/>',
            f'<polyline points="{points}" fill="none" stroke="#2a6" stroke-width="1.5"/>',
        ]
    parts.append(f'<text x="20" y="{bottom - 6}">0 to {last:.0f} simulated hours</text></svg>\n')
    return "\n".join(parts)
