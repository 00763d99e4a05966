"""What a simulation is given: nodes, and requests that arrive over time and know how long they will really run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from planner.snapshot import Claim

if TYPE_CHECKING:
    from planner.snapshot import NodeView

BEGIN = datetime(2026, 6, 1, tzinfo=UTC)
"""Where second 0 of a simulation lies in the calendar."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request for GPUs. Times are seconds of the simulation."""

    name: str
    size: str
    """The class that its waits are counted in."""
    workspace: str
    submitted: int
    nodes: int
    gpus_per_node: int
    asked_seconds: int
    """How long its lease is; what a plan knows."""
    runs_seconds: int
    """When it is given back: never after its lease's end, and known to nobody before."""
    priority: int = 101
    clusters: tuple[str, ...] = ()
    wants_promise: bool = False

    @property
    def gpus(self) -> int:
        """On all its nodes."""
        return self.nodes * self.gpus_per_node

    def claim(self, sequence: int) -> Claim:
        """The request as the planner knows it."""
        return Claim(
            gpr_id=self.name,
            gpr_name=self.name,
            workspace=self.workspace,
            exclusive=False,
            sequence=sequence,
            priority=self.priority,
            nodes=self.nodes,
            gpus_per_node=self.gpus_per_node,
            duration_seconds=self.asked_seconds,
            clusters=self.clusters,
        )


@dataclass(frozen=True, slots=True)
class Workload:
    """A world, and all that will ever be asked of it."""

    name: str
    nodes: tuple[NodeView, ...]
    requests: tuple[Request, ...]
    """In order of submission."""
    turnaround_seconds: int = 5
    ticks_per_second: int = 1
    """Simulated seconds that stand for one: durations of a plan are whole seconds, those of a workload need not be."""

    @property
    def gpus(self) -> int:
        """On all nodes."""
        return sum(node.gpus for node in self.nodes)


def at(seconds: int) -> datetime:
    """A second of the simulation in the calendar."""
    return BEGIN + timedelta(seconds=seconds)


def seconds_of(instant: datetime) -> float:
    """The other way round."""
    return (instant - BEGIN).total_seconds()
