"""What the benches print and keep: percentiles, tables, and ratios against a floor that the same run measured."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench._conditions import conditions, load_average

Cell = str | int | float


@dataclass(slots=True)
class Samples:
    """Durations of one kind, in seconds."""

    seconds: list[float] = field(default_factory=list)

    @property
    def p50(self) -> float:
        """Half took no longer than this."""
        return statistics.median(self.seconds)

    @property
    def p99(self) -> float:
        """One in a hundred took longer; with fewer than a hundred, the longest."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]

    async def time(self, step: Callable[[], Awaitable[object]]) -> None:
        """Add how long this takes."""
        began = time.perf_counter()
        await step()
        self.seconds.append(time.perf_counter() - began)


@dataclass(slots=True)
class Report:
    """One run of one bench: printed as it comes, written as JSON at its end."""

    name: str
    sizes: dict[str, Cell]
    conditions: dict[str, Cell] = field(default_factory=conditions)
    tables: list[dict[str, object]] = field(default_factory=list)
    ratios: dict[str, float] = field(default_factory=dict)

    def begin(self, **further: Cell) -> None:
        """Print under which conditions this run takes place."""
        self.conditions |= further
        print(f"bench.{self.name}")
        for key, value in (self.conditions | self.sizes).items():
            print(f"  {key}: {value}")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Print a table; the first column names the row."""
        self.tables.append({"title": title, "columns": list(columns), "rows": [list(row) for row in rows]})
        lines = [list(columns), *([_shown(cell) for cell in row] for row in rows)]
        widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
        print(f"\n{title}")
        for line in lines:
            first, *others = (cell.rjust(width) for cell, width in zip(line, widths, strict=True))
            print("  " + "  ".join([line[0].ljust(len(first)), *others]))

    def ratio(self, claim: str, value: float, wanted: str) -> None:
        """Print a ratio beside what it should be."""
        self.ratios[claim] = value
        print(f"  {claim}: {value:.2f} ({wanted})")

    def end(self, file: Path | None) -> None:
        """Print how busy the machine was by the end, and keep everything where a file is named."""
        self.conditions["load average at the end"] = load_average()
        print(f"\nload average at the end: {load_average()}")
        if file is not None:
            kept = {field_name: getattr(self, field_name) for field_name in self.__slots__}
            file.write_text(json.dumps(kept, indent=2) + "\n")


def milliseconds(seconds: float) -> float:
    """Seconds as tables show them."""
    return round(seconds * 1000, 2)


def _shown(cell: Cell) -> str:
    if isinstance(cell, float):
        return f"{cell:.1f}" if cell >= 10 else f"{cell:.2f}"
    return str(cell)
