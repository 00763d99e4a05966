"""Reads a trace in the columns of Microsoft's Philly traces (github.com/msr-fiddle/philly-traces).

`cluster_machine_list` is CSV: machine, number of GPUs, memory of each. `cluster_job_log` is JSON: per job its virtual
cluster, when it was submitted, and its attempts with begin, end and the GPUs of each machine. What the trace does not
say is settled here: nobody asked for a duration there, so each asks for the next round one; none has a priority.
"""

from __future__ import annotations

import csv
import json
from bisect import bisect_left
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.simulator.work import Request, Workload
from planner.snapshot import NodeView

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MACHINES_FILE, JOBS_FILE = "cluster_machine_list", "cluster_job_log"
HOUR = 3600
ROUND_SECONDS = tuple(hours * HOUR for hours in (1, 2, 4, 8, 12, 24, 48, 7 * 24))
"""Durations as people ask for them; the last one is the longest that there is."""
MINUTE = 60
CLUSTER = "philly"


class _Run(NamedTuple):
    submitted: datetime
    gpus: int
    seconds: int
    workspace: str
    name: str


def philly_trace(folder: Path) -> Workload:
    """From the two files in that folder; jobs that never ran, or whose times are missing, are left out."""
    with (folder / MACHINES_FILE).open(newline="") as lines:
        nodes = tuple(_node(row) for row in csv.DictReader(lines, skipinitialspace=True))
    jobs = json.loads((folder / JOBS_FILE).read_text())
    runs = sorted(run for job in jobs for run in _runs(job))
    per_node = max(node.gpus for node in nodes)
    return Workload("Philly trace", nodes, tuple(_request(run, runs[0].submitted, per_node) for run in runs))


def _node(row: dict[str, str]) -> NodeView:
    memory = int(row["single GPU mem"].removesuffix("GB"))
    return NodeView(CLUSTER, row["machineId"], "GPU", "machine", memory, int(row["number of GPUs"]))


def _runs(job: dict[str, Any]) -> Iterable[_Run]:
    """One for each job: retries are one stay, as they would be on one lease."""
    attempts = [attempt for attempt in job["attempts"] if attempt["start_time"] and attempt["end_time"]]
    gpus = max((sum(len(machine["gpus"]) for machine in attempt["detail"]) for attempt in attempts), default=0)
    seconds = sum(_seconds_between(attempt["start_time"], attempt["end_time"]) for attempt in attempts)
    if gpus and seconds > 0:
        yield _Run(_moment(job["submitted_time"]), gpus, seconds, job["vc"], job["jobid"])


def _request(run: _Run, begin: datetime, per_node: int) -> Request:
    nodes = -(-run.gpus // per_node)
    asked = ROUND_SECONDS[min(bisect_left(ROUND_SECONDS, run.seconds), len(ROUND_SECONDS) - 1)]
    return Request(
        name=run.name,
        size=_size(run.gpus, per_node),
        workspace=run.workspace,
        submitted=int((run.submitted - begin).total_seconds()),
        nodes=nodes,
        gpus_per_node=-(-run.gpus // nodes),
        asked_seconds=asked,
        runs_seconds=max(MINUTE, min(run.seconds, asked)),
        wants_promise=nodes > 1,
    )


def _size(gpus: int, per_node: int) -> str:
    if gpus == 1:
        return "one GPU"
    if gpus < per_node:
        return "part of a node"
    return "whole node" if gpus == per_node else "gang"


def _seconds_between(begin: str, end: str) -> int:
    return int((_moment(end) - _moment(begin)).total_seconds())


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - only differences are used
