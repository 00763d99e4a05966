"""How long a pass takes: `python -m bench.planner`, and how that grows: `python -m bench.planner --growth --svg FILE`.

Every time is printed beside the time of a fixed loop measured in the same run, since machines differ and share
their cores; `python -m bench.planner --instructions` counts instead, which no other process disturbs (it needs Valgrind).
The world is crowded: mixed shapes, gangs, two clusters, half of the claims exclusive.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
import tracemalloc
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

from bench._plot import Series, log_log
from planner.plan import decide, plan
from planner.snapshot import Claim, HeldGpu, LeaseView, NodeView, Snapshot
from worker.garbage import look_seldom

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR = 3600
SIZES = ((1_000, 100), (10_000, 1_000))
GROWTH_QUEUES = (1_000, 10_000, 100_000)
GROWTH_NODES = (100, 1_000, 10_000)
SHAPES = ("T4", "A100", "H100")
GPUS_PER_NODE = 8
WORKSPACES = 300
DURATIONS = (HOUR // 2, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 12 * HOUR, 24 * HOUR, 72 * HOUR)


def main() -> None:
    """Prints one line for each measurement."""
    asked = _arguments()
    look_seldom()  # as the worker that plans
    if asked.instructions:
        for queue, nodes in SIZES:
            _print_instructions(queue, nodes)
        return
    unit = _best_of(5, _calibration)
    print(f"calibration loop: {unit * 1000:.0f} ms (1x below)")
    if asked.growth:
        grown = _growth(asked, unit)
        if asked.svg:
            asked.svg.write_text(log_log("A whole plan", "queued", "times the calibration loop", grown))
    else:
        _print_sizes(unit)


def _arguments() -> Namespace:
    parser = ArgumentParser(prog="bench.planner", description=__doc__)
    parser.add_argument("--growth", action="store_true", help="from 1,000 to 100,000 queued over 100 to 10,000 nodes")
    parser.add_argument("--instructions", action="store_true", help="counts them, under Valgrind")
    parser.add_argument("--queued-max", type=int, default=max(GROWTH_QUEUES), help="no more in a growth")
    parser.add_argument("--nodes-max", type=int, default=max(GROWTH_NODES), help="no more in a growth")
    parser.add_argument("--svg", type=Path, help="draws a growth into this file")
    return parser.parse_args()


def _print_sizes(unit: float) -> None:
    for queue, nodes in SIZES:
        crowded = a_world(queue, nodes)
        event = replace(crowded, leases=crowded.leases[1:])
        label = f"{queue:>6} queued, {nodes:>5} nodes"
        _print(f"{label}: whole plan", _best_of(3, partial(plan, crowded)), unit)
        _print(f"{label}: grants after one lease ended", _best_of(3, partial(decide, event)), unit)
        print(f"{label}: peak memory of a plan {_peak_mib(crowded):.0f} MiB")


def _print_instructions(queue: int, nodes: int) -> None:
    world = f"from bench.planner import *; look_seldom(); world = a_world({queue}, {nodes})"
    event = f"{world}; world = replace(world, leases=world.leases[1:])"
    base, whole, grants, loop = (
        _instructions(code) for code in (world, f"{world}; plan(world)", f"{event}; decide(world)", _LOOP)
    )
    unit = loop - _instructions("from bench import planner")
    for label, count in (("whole plan", whole - base), ("grants after one lease ended", grants - base)):
        print(
            f"{queue:>6} queued, {nodes:>5} nodes: {label}: {count / 1e6:.0f} M instructions, {count / unit:.2f}x",
            flush=True,
        )


_LOOP = "from bench import planner; planner._calibration()"


def _instructions(code: str) -> int:
    """Of a whole run of Python."""
    count = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
    told = subprocess.run([*count, sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr
    refs = re.search(r"I +refs: +([\d,]+)", told)
    if not refs:
        raise RuntimeError(f"Valgrind did not count: {told}")
    return int(refs[1].replace(",", ""))


def _growth(asked: Namespace, unit: float) -> list[Series]:
    """For each number of nodes: how long a whole plan takes by how many are queued."""
    queues = [queue for queue in GROWTH_QUEUES if queue <= asked.queued_max]
    counts = [nodes for nodes in GROWTH_NODES if nodes <= asked.nodes_max]
    return [
        Series(f"{nodes:,} nodes", tuple((queue, _growing(queue, nodes, unit)) for queue in queues)) for nodes in counts
    ]


def _growing(queue: int, nodes: int, unit: float) -> float:
    crowded = a_world(queue, nodes)
    event = replace(crowded, leases=crowded.leases[1:])
    label = f"{queue:>6} queued, {nodes:>5} nodes"
    whole = _best_of(1, partial(plan, crowded))
    _print(f"{label}: whole plan", whole, unit)
    _print(f"{label}: grants after one lease ended", _best_of(1, partial(decide, event)), unit)
    return whole / unit


def a_world(queue: int, nodes: int, seed: int = 1) -> Snapshot:
    """Every GPU is held, for up to a day."""
    random = Random(seed)
    views = tuple(_node(number, nodes) for number in range(nodes))
    leases = tuple(lease for number, view in enumerate(views) for lease in _leases(random, view, number))
    return Snapshot(NOON, views, leases, tuple(_claim(random, number) for number in range(queue)))


def _node(number: int, nodes: int) -> NodeView:
    shape = SHAPES[number % len(SHAPES)]
    return NodeView(f"cluster-{number * 2 // nodes}", f"node-{number:04}", shape, f"type-{shape}", 80, GPUS_PER_NODE)


def _leases(random: Random, node: NodeView, number: int) -> list[LeaseView]:
    leases: list[LeaseView] = []
    first = 0
    while first < node.gpus:
        count = min(node.gpus - first, random.choice((1, 1, 2, 4, 8)))
        gpus = tuple(HeldGpu(node.cluster, node.name, ordinal) for ordinal in range(first, first + count))
        until = NOON + timedelta(seconds=random.randrange(1, 24 * HOUR))
        name, workspace = f"run-{number}-{first}", f"team-{random.randrange(WORKSPACES)}"
        leases.append(
            LeaseView(number * GPUS_PER_NODE + first, name, name, workspace, random.random() < 0.1, until, gpus)
        )
        first += count
    return leases


def _claim(random: Random, number: int) -> Claim:
    gang = random.random() < 0.1
    return Claim(
        gpr_id=f"gpr-{number}",
        gpr_name=f"gpr-{number}",
        workspace=f"team-{random.randrange(WORKSPACES)}",
        exclusive=random.random() < 0.5,
        sequence=number,
        priority=random.choice((50, 101, 150, 250)),
        nodes=random.choice((2, 4, 8, 16)) if gang else 1,
        gpus_per_node=GPUS_PER_NODE if gang else random.choice((1, 1, 2, 4, 8)),
        duration_seconds=random.choice(DURATIONS),
        clusters=random.choice(((), ("cluster-0",), ("cluster-1", "cluster-0"))),
        shape=random.choice((*SHAPES, *SHAPES, *SHAPES, "")),
    )


def _calibration() -> None:
    table = dict.fromkeys(range(1_000), 0)
    for number in range(2_000_000):
        table[number % 1_000] += number


def _best_of(times: int, work: Callable[[], object]) -> float:
    """Seconds of processor time, the least of a few runs: the one that others disturbed least."""
    return min(_seconds(work) for _ in range(times))


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _peak_mib(world: Snapshot) -> float:
    tracemalloc.start()
    plan(world)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 2**20


def _print(label: str, seconds: float, unit: float) -> None:
    print(f"{label}: {seconds * 1000:.0f} ms, {seconds / unit:.2f}x", flush=True)


if __name__ == "__main__":
    main()
