"""The plan as plain text: a line for each node, time from left to right, as wide as the terminal. Pure: the time is given.

    worker-1-h100-1   8  88888888333.........
                            train until 14:20, 5 GPUs

A cell says how many GPUs of the node are in use at most during its time: `.` none, a digit, `#` all of them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cli.phrases import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.client.foresight import NodePlan, Plan, Span

WIDTH_MIN = 60
WIDTH_MAX = 160
TICK_WIDTH = 12
"""Between two times of day above the cells, at least."""
NICE_MINUTES = (5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440, 2880)
DIGITS = "123456789"
MANY = "+"
"""More than a digit can say, and not all."""
OUT_OF_USE = "x"
HOLDS = {"lease": "has", "promise": "is promised", "reservation": "has reserved", "forecast": "is planned for"}


def plan_lines(plan: Plan, width: int) -> Iterator[str]:
    """The whole plan, line by line, none wider than `width` where that is possible."""
    label = max((len(name) for node in plan.nodes for name in (node.cluster, node.node)), default=0)
    cells = max(WIDTH_MIN, min(width, WIDTH_MAX)) - label - len("  999  ")
    scale = _Scale(plan.at, plan.until, max(cells, TICK_WIDTH))
    cluster = shape = None
    for node in plan.nodes:
        if node.cluster != cluster:
            yield from ([""] if cluster is not None else [])
            yield f"{node.cluster:<{label}}  {'':>3}  {scale.header()}"
            cluster, shape = node.cluster, None
        if node.shape != shape:
            shape = node.shape
            yield f"  {shape}"
        yield f"{node.node:<{label}}  {node.gpus:>3}  {scale.cells(node)}"
        yield from (f"{'':<{label}}       {line}" for line in (*_named(node, plan.at), *_away(node, plan.at)))
        if not node.usable:
            yield f"{'':<{label}}       out of use: {node.unusable_reason}"
    yield ""
    yield "cells: . free   1-9 GPUs in use   # all of them   + most of them   x out of use"


class _Scale:
    """Which time each cell stands for."""

    def __init__(self, begin: datetime, end: datetime, cells: int) -> None:
        self._begin = begin.astimezone()
        self._count = cells
        self._step = (end - begin) / cells

    def cells(self, node: NodePlan) -> str:
        if not node.usable and not node.spans:
            return OUT_OF_USE * self._count
        return "".join(self._cell(node, number) for number in range(self._count)).rstrip()

    def header(self) -> str:
        """Times of day above the cells at which they come, in the time of the terminal."""
        line = [" "] * self._count
        free_from = 0
        for instant in self._ticks():
            at = round((instant - self._begin) / self._step)
            text = f"{instant:%H:%M}"
            if free_from <= at <= self._count - len(text):
                line[at : at + len(text)] = text
                free_from = at + len(text) + 1
        return "".join(line).rstrip()

    def _ticks(self) -> Iterator[datetime]:
        least = self._step * TICK_WIDTH
        every = next((timedelta(minutes=each) for each in NICE_MINUTES if timedelta(minutes=each) >= least), least)
        midnight = self._begin.replace(hour=0, minute=0, second=0, microsecond=0)
        instant = midnight + every * ((self._begin - midnight) // every)
        while instant <= self._begin + self._step * self._count:
            if instant >= self._begin:
                yield instant
            instant += every

    def _cell(self, node: NodePlan, number: int) -> str:
        begin = self._begin + self._step * number
        used = _most(node.spans, begin, begin + self._step)
        if used >= node.gpus > 0:
            return "#"
        if not used:
            return OUT_OF_USE if _is_away(node, begin, begin + self._step) else "."
        return DIGITS[used - 1] if used <= len(DIGITS) else MANY


def _most(spans: list[Span], begin: datetime, end: datetime) -> int:
    """GPUs in use at the same moment, at most, from `begin` until `end`."""
    meant = [span for span in spans if span.begins_at < end and (span.ends_at is None or span.ends_at > begin)]
    moments = {max(begin, span.begins_at) for span in meant}
    return max((sum(span.gpus for span in meant if _covers(span, moment)) for moment in moments), default=0)


def _covers(span: Span, moment: datetime) -> bool:
    return span.begins_at <= moment and (span.ends_at is None or span.ends_at > moment)


def _named(node: NodePlan, now: datetime) -> Iterator[str]:
    """A line for each span that the caller may know by name."""
    for span in node.spans:
        if span.gpr is not None:
            begin = "" if span.kind == "lease" else f" from {_time(span.begins_at, now)}"
            end = f" until {_time(span.ends_at, now)}" if span.ends_at else ", no known end"
            yield f"{span.name} ({span.workspace}) {HOLDS.get(span.kind, span.kind)} {counted(span.gpus, 'GPU')}{begin}{end}"


def _is_away(node: NodePlan, begin: datetime, end: datetime) -> bool:
    """Through maintenance, for some part of that time."""
    return any(one.begins_at < end and one.ends_at > begin for one in node.maintenance)


def _away(node: NodePlan, now: datetime) -> Iterator[str]:
    """A line for each announcement."""
    for one in node.maintenance:
        begin = f" from {_time(one.begins_at, now)}" if one.begins_at > now else ""
        yield f"maintenance '{one.name}'{begin} until {_time(one.ends_at, now)}"


def _time(instant: datetime, now: datetime) -> str:
    here = instant.astimezone()
    return f"{here:%H:%M}" if here.date() == now.astimezone().date() else f"{here:%Y-%m-%d %H:%M}"
