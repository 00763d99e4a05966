"""A synthetic day of a busy research cluster: office hours, mostly small requests, a few gangs, early ends."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from bench.simulator.work import Request, Workload
from planner.snapshot import NodeView

HOUR = 3600
GPUS_PER_NODE = 8
WORKSPACES = 12
BUSY_HOURS = range(8, 20)
BUSY = 2.0
"""How many more requests come in a busy hour than in a quiet one."""
ENDS_ON_TIME = 0.25
"""The share of leases that are used to their end; the others are given back after a part of it."""
PRIORITIES = (50, 101, 101, 101, 150, 250)


class Size(NamedTuple):
    """What requests of a size ask for, and how many of a hundred requests are of it."""

    name: str
    percent: int
    shapes: tuple[tuple[int, int], ...]
    """(nodes, GPUs on each)."""
    hours: tuple[float, ...]


SIZES = (
    Size("one GPU", 52, ((1, 1),), (0.5, 1, 2, 4, 8)),
    Size("part of a node", 30, ((1, 2), (1, 4)), (1, 2, 4, 8)),
    Size("whole node", 14, ((1, 8),), (1, 2, 4, 8)),
    Size("gang", 4, ((4, 8), (8, 8)), (1, 2, 4)),
)
LARGEST = SIZES[-1].name


def synthetic_day(nodes: int = 48, load: float = 0.95, seed: int = 1) -> Workload:
    """`load`: GPU hours that will really be used, as a share of what the nodes have in a day."""
    random = Random(seed)
    views = tuple(NodeView("west", f"node-{number:03}", "H100", "p5", 80, GPUS_PER_NODE) for number in range(nodes))
    wanted = load * nodes * GPUS_PER_NODE * 24 * HOUR
    requests: list[Request] = []
    while wanted > 0:
        request = _request(random, len(requests), nodes)
        requests.append(request)
        wanted -= request.gpus * request.runs_seconds
    in_order = sorted(requests, key=lambda request: (request.submitted, request.name))
    return Workload("synthetic day", views, tuple(in_order))


def _request(random: Random, number: int, nodes_max: int) -> Request:
    size = random.choices(SIZES, weights=[size.percent for size in SIZES])[0]
    nodes, gpus = random.choice(size.shapes)
    asked = int(random.choice(size.hours) * HOUR)
    used = 1.0 if random.random() < ENDS_ON_TIME else random.uniform(0.2, 1.0)
    return Request(
        name=f"gpr-{number:05}",
        size=size.name,
        workspace=f"team-{random.randrange(WORKSPACES)}",
        submitted=_moment(random),
        nodes=min(nodes, nodes_max),
        gpus_per_node=gpus,
        asked_seconds=asked,
        runs_seconds=int(asked * used),
        priority=random.choice(PRIORITIES),
        wants_promise=size.name == LARGEST,
    )


def _moment(random: Random) -> int:
    weights = [BUSY if hour in BUSY_HOURS else 1.0 for hour in range(24)]
    return random.choices(range(24), weights=weights)[0] * HOUR + random.randrange(HOUR)
