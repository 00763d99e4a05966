"""A list of steps that are under way: what the live view of `berth up` and of its demonstration shows.

Data and its picture only; `narration` decides whether a terminal redraws it or plain lines tell it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import StrEnum

from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from cli.phrases import elapsed, span


class StepState(StrEnum):
    """Where a step is."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    NOTE = "note"
    """Not a step: something to know."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step at one moment. `began` and `ended` are seconds on the clock's monotonic scale."""

    title: str
    state: StepState
    text: str
    began: float
    ended: float | None = None
    usually_seconds: float | None = None

    def took(self, now: float) -> str:
        """How long it took, or has taken until now; nothing where it took no time at all."""
        seconds = (now if self.ended is None else self.ended) - self.began
        return "" if self.ended is not None and not seconds else elapsed(seconds)


SPINNER = Spinner("dots")
"""One for all, so that it turns: a new one would begin at its first frame at every redraw."""
MARKS = {
    StepState.DONE: Text("✓", "green"),
    StepState.FAILED: Text("✗", "bold red"),
    StepState.NOTE: Text("·", "yellow"),
}


class Steps:
    """The steps in the order in which they began. Written by any thread, drawn by another."""

    def __init__(self) -> None:
        self._steps: dict[str, Step] = {}
        self._lock = threading.Lock()

    def put(self, key: str, step: Step) -> None:
        """Begin the step, or say what is new about it."""
        with self._lock:
            self._steps[key] = step

    def get(self, key: str) -> Step | None:
        """The step as it was last put."""
        with self._lock:
            return self._steps.get(key)

    def all(self) -> list[Step]:
        """Every step, oldest first."""
        with self._lock:
            return list(self._steps.values())

    def running(self) -> list[str]:
        """Keys of the steps that have not ended."""
        with self._lock:
            return [key for key, step in self._steps.items() if step.state is StepState.RUNNING]


def picture(steps: Steps, now: float) -> Table:
    """Mark, title, time and text of each step."""
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(no_wrap=True, justify="right", style="cyan")
    table.add_column()
    for step in steps.all():
        mark = MARKS.get(step.state, SPINNER)
        table.add_row(mark, step.title, step.took(now), Text(_text(step)))
    return table


def plain(step: Step, now: float) -> str:
    """The same as one line without colour, for logs and pipes."""
    took = "" if step.state is StepState.RUNNING else step.took(now)
    mark = "FAILED: " if step.state is StepState.FAILED else ""
    return f"{step.title}: {mark}{_text(step) or 'begins'}{f' ({took})' if took else ''}"


def _text(step: Step) -> str:
    if step.state is StepState.RUNNING and step.usually_seconds:
        return f"{step.text} (usually {span(step.usually_seconds)})".strip()
    return step.text
