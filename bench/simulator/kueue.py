"""The shape of Kueue's own scheduler benchmark (its `baseline` configuration), on nodes.

Cohorts share nothing, so each is a cluster of its own with a single node. A queue may use its own quota of 20 units and
borrow 100 from the five beside it, which together is all that its cohort has: six quotas of 20. So the cohort's 120
units are the only limit that binds, and no limit is needed beside the node.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from bench.simulator.work import Request, Workload
from planner.snapshot import NodeView

QUEUES = 6
QUOTA = 20
TICKS_PER_SECOND = 10
"""Everything in this shape is a multiple of 100 ms."""


class Size(NamedTuple):
    """How many of one size each queue gets, how often, and what one asks for. Times in milliseconds."""

    name: str
    requests: int
    every_ms: int
    units: int
    runs_ms: int
    priority: int


SIZES = (
    Size("small", 350, 100, 1, 200, 50),
    Size("medium", 100, 500, 5, 500, 100),
    Size("large", 50, 1200, 20, 1000, 200),
)


def in_bands(shape: Workload) -> Workload:
    """The same, with each size in a band of its own: Berth preempts for a stronger band only, Kueue for any priority."""
    bands = {"small": 50, "medium": 150, "large": 250}
    requests = tuple(replace(request, priority=bands[request.size]) for request in shape.requests)
    return replace(shape, name=f"{shape.name}, each size in a band of its own", requests=requests)


def kueue_baseline(cohorts: int = 5, part: float = 1.0) -> Workload:
    """All cohorts are alike, so one tells as much as five. `part`: only so much of each queue's requests, the first."""
    names = [f"cohort-{number}" for number in range(cohorts)]
    nodes = tuple(NodeView(name, f"units-of-{name}", "unit", "unit", 0, QUEUES * QUOTA) for name in names)
    requests = [request for name in names for request in _cohort(name, part)]
    in_order = sorted(requests, key=lambda request: (request.submitted, request.name))
    return Workload("Kueue baseline", nodes, tuple(in_order), 0, TICKS_PER_SECOND)


def _cohort(cohort: str, part: float) -> list[Request]:
    return [
        Request(
            name=f"{cohort}-{queue}-{size.name}-{number}",
            size=size.name,
            workspace=f"{cohort}-{queue}",
            submitted=_ticks(number * size.every_ms),
            nodes=1,
            gpus_per_node=size.units,
            asked_seconds=_ticks(size.runs_ms),
            runs_seconds=_ticks(size.runs_ms),
            priority=size.priority,
            clusters=(cohort,),
        )
        for queue in range(QUEUES)
        for size in SIZES
        for number in range(round(size.requests * part))
    ]


def _ticks(milliseconds: int) -> int:
    return milliseconds * TICKS_PER_SECOND // 1000
