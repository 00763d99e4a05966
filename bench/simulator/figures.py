"""What a simulation comes to: how long requests waited, how full the nodes were, how true what was said came."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.simulator.engine import Stay
    from bench.simulator.work import Workload


class Waits(NamedTuple):
    """Of one size, in seconds."""

    mean: float
    worst: float


class Figures(NamedTuple):
    """Of one simulation, in seconds that people would count."""

    makespan: float
    """From the first submission to the last end."""
    utilisation: float
    """The share of all GPUs in use, from the first submission to the last."""
    waits: dict[str, Waits]
    """By size."""
    told: int
    """Requests that were told a start."""
    inside: float
    """The share of these whose start lay in the interval that was said."""
    promises: int
    slipped: int
    """Promises that were not kept."""
    unserved: int
    """Requests that never began."""


def figures(workload: Workload, stays: Sequence[Stay]) -> Figures:
    """All must have been simulated to the end."""
    served = [stay for stay in stays if stay.began is not None]
    told = [stay for stay in served if stay.shown]
    begin = min(stay.request.submitted for stay in stays)
    ticks = workload.ticks_per_second
    return Figures(
        makespan=(max(stay.end for stay in served) - begin) / ticks,
        utilisation=_utilisation(workload, served),
        waits={size: _waits(served, size, ticks) for size in dict.fromkeys(stay.request.size for stay in stays)},
        told=len(told),
        inside=mean(_came_true(stay) for stay in told) if told else 0.0,
        promises=sum(stay.promised is not None for stay in served),
        slipped=sum(stay.promised is not None and stay.start > stay.promised for stay in served),
        unserved=len(stays) - len(served),
    )


def _utilisation(workload: Workload, served: Sequence[Stay]) -> float:
    begin, end = workload.requests[0].submitted, workload.requests[-1].submitted
    spans = ((max(stay.start, begin), min(stay.end, end), stay.request.gpus) for stay in served)
    return sum(max(0, last - first) * gpus for first, last, gpus in spans) / (workload.gpus * (end - begin))


def _waits(served: Sequence[Stay], size: str, ticks: int) -> Waits:
    waits = [stay.waited / ticks for stay in served if stay.request.size == size]
    return Waits(mean(waits), max(waits)) if waits else Waits(0, 0)


def _came_true(stay: Stay) -> bool:
    assert stay.shown
    return stay.shown.interval.holds(stay.start - stay.shown.at)
