"""Snapshots for planner tests, with good defaults. Times are seconds from noon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from planner.plan import plan
from planner.snapshot import Claim, HeldGpu, LeaseView, NodeView, Snapshot

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR = 3600
LOW, MEDIUM, HIGH = 50, 150, 250
"""A priority in each band."""
_sequence = count(1)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def a_node(name: str = "node-1", gpus: int = 8, **other: Any) -> NodeView:
    fields: dict[str, Any] = {
        "cluster": "west",
        "shape": "H100",
        "instance_type": "p5.48xlarge",
        "memory_gib": 80,
    } | other
    return NodeView(name=name, gpus=gpus, **fields)


def gpus_of(node: str, *ordinals: int, cluster: str = "west") -> tuple[HeldGpu, ...]:
    return tuple(HeldGpu(cluster, node, ordinal) for ordinal in ordinals)


def a_lease(name: str, gpus: tuple[HeldGpu, ...], ends: int | None, **other: Any) -> LeaseView:
    fields: dict[str, Any] = {"workspace": f"ws-{name}", "exclusive": False} | other
    return LeaseView(next(_sequence), f"id-{name}", name, until=None if ends is None else at(ends), gpus=gpus, **fields)


def a_weak_lease(name: str, gpus: tuple[HeldGpu, ...], *, worked: int = 2 * HOUR, **other: Any) -> LeaseView:
    """It may end early."""
    fields: dict[str, Any] = {"priority": LOW, "preemptible": True, "begun_at": at(-worked)} | other
    return a_lease(name, gpus, fields.pop("ends", 10 * HOUR), **fields)


def a_claim(name: str = "train", gpus: int = 1, nodes: int = 1, **other: Any) -> Claim:
    fields: dict[str, Any] = {
        "workspace": f"ws-{name}",
        "exclusive": False,
        "sequence": next(_sequence),
        "priority": 101,
        "duration_seconds": HOUR,
        "clusters": (),
    }
    return Claim(gpr_id=name, gpr_name=name, nodes=nodes, gpus_per_node=gpus, **(fields | other))


def a_snapshot(*things: NodeView | LeaseView | Claim, **other: Any) -> Snapshot:
    return Snapshot(
        now=other.pop("now", NOON),
        nodes=tuple(thing for thing in things if isinstance(thing, NodeView)),
        leases=tuple(thing for thing in things if isinstance(thing, LeaseView)),
        queue=tuple(thing for thing in things if isinstance(thing, Claim)),
        **other,
    )


def ended_for(snapshot: Snapshot) -> list[list[str]]:
    """Whose leases end early by the plan, for each claim that they do for."""
    by_fence = {lease.fence: lease.gpr_name for lease in snapshot.leases}
    return [sorted(by_fence[fence] for fence in one.fences) for one in plan(snapshot).preemptions]
