"""A small plot with two logarithmic axes, as SVG: one line for each series, its name beside its last point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 110, 40, 50
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
"""Told apart by everybody's eyes."""


class Series(NamedTuple):
    """Points in order of x; all above 0."""

    name: str
    points: tuple[tuple[float, float], ...]


class _Scale(NamedTuple):
    """Whole decades of one axis, laid over pixels."""

    low: int
    high: int
    begin: float
    end: float

    def place(self, value: float) -> float:
        part = (math.log10(value) - self.low) / (self.high - self.low)
        return round(self.begin + part * (self.end - self.begin), 1)

    def decades(self) -> list[float]:
        return [10.0**power for power in range(self.low, self.high + 1)]


def log_log(title: str, x_label: str, y_label: str, series: Sequence[Series]) -> str:
    """The text of an SVG file."""
    x = _scale([x for each in series for x, _ in each.points], LEFT, WIDTH - RIGHT)
    y = _scale([y for each in series for _, y in each.points], HEIGHT - BOTTOM, TOP)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(LEFT, TOP - 18, title, anchor="start", weight="bold"),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x_label),
        _text(LEFT, TOP - 4, y_label, anchor="start"),
        *(_upright(value, x) for value in x.decades()),
        *(_level(value, y) for value in y.decades()),
        *(line for number, each in enumerate(series) for line in _drawn(each, COLOURS[number % len(COLOURS)], x, y)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _scale(values: Sequence[float], begin: float, end: float) -> _Scale:
    low = math.floor(math.log10(min(values)))
    return _Scale(low, max(low + 1, math.ceil(math.log10(max(values)))), begin, end)


def _drawn(series: Series, colour: str, x: _Scale, y: _Scale) -> list[str]:
    places = [(x.place(across), y.place(up)) for across, up in series.points]
    path = " ".join(f"{across},{up}" for across, up in places)
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(f'<circle cx="{across}" cy="{up}" r="3.5" fill="{colour}"/>' for across, up in places),
        _text(places[-1][0] + 8, places[-1][1] + 4, series.name, anchor="start", colour=colour),
    ]


def _upright(value: float, x: _Scale) -> str:
    across = x.place(value)
    return _line(across, TOP, across, HEIGHT - BOTTOM) + _text(across, HEIGHT - BOTTOM + 18, f"{value:,.15g}")


def _level(value: float, y: _Scale) -> str:
    up = y.place(value)
    return _line(LEFT, up, WIDTH - RIGHT, up) + _text(LEFT - 8, up + 4, f"{value:,.15g}", anchor="end")


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#ddd"/>'


def _text(
    x: float, y: float, text: str, *, anchor: str = "middle", weight: str = "normal", colour: str = "#333"
) -> str:
    shown = escape(text)
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}" fill="{colour}">{shown}</text>'
