"""Curves as an SVG, each beside the others with a scale of its own."""

from collections.abc import Mapping, Sequence
from html import escape

_SIDE, _GAP, _TOP = 220, 90, 40
_COLOURS = ("#1f5fbf", "#35a365", "#d99a1c")


def draw(across: str, places: Sequence[float], curves: Mapping[str, Sequence[float]]) -> str:
    """Return a picture of each curve over `places`; `across` says what these are."""
    width = len(curves) * (_SIDE + _GAP) + 20
    height = _SIDE + _TOP + 50
    charts = [
        _chart(number, name, across, (places, values))
        for number, (name, values) in enumerate(curves.items())
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' font-family="sans-serif" font-size="13" fill="#56616d">\n'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
        + "\n".join(charts)
        + "\n</svg>\n"
    )


def _chart(number: int, name: str, across: str, points: tuple[Sequence[float], ...]) -> str:
    places, values = points
    left, bottom = number * (_SIDE + _GAP) + 60, _TOP + _SIDE
    spots = [
        (left + _SIDE * place / max(places), bottom - _SIDE * value / max(values))
        for place, value in zip(places, values, strict=True)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    colour = _COLOURS[number % len(_COLOURS)]
    end = f"{max(places):,} {escape(across)}"
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>' for x, y in spots)
    return "\n".join(
        [
            f'<text x="{left}" y="{_TOP - 15}" fill="#1b2129">{escape(name)}</text>',
            f'<path d="M{left} {_TOP}V{bottom}H{left + _SIDE}" fill="none" stroke="#9ba7b4"/>',
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}',
            f'<text x="{left - 6}" y="{_TOP + 8}" text-anchor="end">{max(values):,.0f}</text>',
            f'<text x="{left - 6}" y="{bottom + 4}" text-anchor="end">0</text>',
            f'<text x="{left + _SIDE}" y="{bottom + 20}" text-anchor="end">{end}</text>',
        ]
    )
