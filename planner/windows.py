"""What can still be given away in time: windows for reservations, more time for what runs.

Three questions about the same world: leases that run, and the windows that are kept for promises and reservations.
Claims that only wait in the queue are in nobody's way here: their forecasts make room.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from planner.axis import SECOND
from planner.nodes import Node
from planner.order import in_order
from planner.placement import stretches_of, window_at
from planner.promises import Promises
from planner.reasons import limited_by
from planner.steps import end_of
from planner.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from planner.snapshot import Claim, Closure, LeaseView, Snapshot
    from planner.world import Budget


class FreeWindow(NamedTuple):
    """A window that can be kept for a claim: `planned_cluster`, `planned_nodes` and `fixed_start` of it from now on."""

    starts_at: datetime
    cluster: str
    nodes: tuple[str, ...]
    """One for each of the claim's nodes; the same one more than once where they share it."""


class Blocker(NamedTuple):
    """What an extension ends at."""

    gpr_id: str
    """Whose kept window it is; empty: nobody's, a limit is used up or there is maintenance."""
    text: str
    """For people, without a capital or a full stop: `train-7 has node-1 from 14:20 UTC`."""


class KeptWindow(NamedTuple):
    """What is kept for a promise or a reservation."""

    gpr_id: str
    gpr_name: str
    starts_at: datetime
    is_reserved: bool
    """False: it is promised, and starts no later."""


class Extension(NamedTuple):
    """How far a running lease may be extended."""

    seconds: int
    """Beyond its present end: as wished, or less; 0 when not at all."""
    blocker: Blocker | None
    """What stands in the way of more; None: nothing, it is as long as wished."""


def fits(snapshot: Snapshot, claim: Claim) -> FreeWindow | None:
    """The window from the claim's `fixed_start` for its duration. The claim need not be queued.

    None when it would move a promise, a reservation or a running lease, lies in the past, or a limit forbids it.
    """
    world, _ = _kept_world(snapshot, claim)
    start = _wished(world, claim)
    if start < world.earliest_asked(claim):
        return None
    window = window_at(world, claim, start)
    instant = world.axis.instant(start)
    if not window or not instant:
        return None
    return FreeWindow(instant, window.cluster, tuple(node.name for node in window.nodes))


def nearest(snapshot: Snapshot, claim: Claim, count: int = 3) -> list[datetime]:
    """Starts at which `fits` would say yes, nearest to the claim's `fixed_start` first, before it and after it.

    Of each stretch of time in which it could start, the one instant that is nearest. Never before now or `not_before`;
    empty when it never fits. `fixed_start` itself where that fits.
    """
    world, _ = _kept_world(snapshot, claim)
    wished = _wished(world, claim)
    floor = world.earliest_asked(replace(claim, fixed_start=None))
    stretches = ((max(first, floor), last) for first, last in stretches_of(world, claim) if last >= floor)
    starts = sorted((min(max(wished, first), last) for first, last in stretches), key=lambda start: abs(start - wished))
    instants = (world.axis.instant(start) for start in starts)
    return [instant for instant in instants if instant][:count]


def longest_extension(snapshot: Snapshot, gpr_id: str, wished_seconds: int) -> Extension:
    """How many of the wished seconds a running lease can stay longer with no promise or reservation slipping.

    KeyError: no such lease. A lease without an end can stay.
    """
    lease = next((lease for lease in snapshot.leases if lease.gpr_id == gpr_id), None)
    if lease is None:
        raise KeyError(gpr_id)
    if lease.until is None:
        return Extension(wished_seconds, None)
    world, promises = _kept_world(snapshot)
    ends: list[tuple[int, Node | Budget]] = [*_ends_of_gpus(world, lease), *_ends_of_shares(world, lease)]
    if not ends:
        return Extension(wished_seconds, None)
    until, where = min(ends, key=lambda end: end[0])
    possible = (until - world.axis.offset(lease.until) - world.axis.turnaround) // SECOND
    if possible >= wished_seconds:
        return Extension(wished_seconds, None)
    return Extension(max(0, possible), _blocker(world, promises, until, where))


def kept_during(snapshot: Snapshot, closures: Iterable[Closure]) -> list[KeptWindow]:
    """The promises and reservations that these closures, which are not in the snapshot, would take the room from."""
    world, promises = _kept_world(snapshot)
    away = [
        (world.axis.offset(one.begins_at), world.axis.offset(one.ends_at), one.cluster, one.node) for one in closures
    ]
    found = list[KeptWindow]()
    for claim, window in promises:
        end, places = end_of(window.start, world.stay(claim)), {node.place for node in window.nodes}
        starts_at = world.axis.instant(window.start)
        if starts_at and any(
            window.start < over and begin < end and (cluster, node) in places for begin, over, cluster, node in away
        ):
            found.append(KeptWindow(claim.gpr_id, claim.gpr_name, starts_at, is_reserved=claim.fixed_start is not None))
    return found


def _kept_world(snapshot: Snapshot, newcomer: Claim | None = None) -> tuple[World, Promises]:
    """Leases that run and windows that are kept: of all but the claim that is asked about."""
    world = World(snapshot)
    others = [claim for claim in in_order(snapshot) if not newcomer or claim.gpr_id != newcomer.gpr_id]
    return world, Promises(world, others)


def _wished(world: World, claim: Claim) -> int:
    if claim.fixed_start is None:
        raise ValueError(f"{claim.gpr_name} wishes for no instant")
    return world.axis.offset(claim.fixed_start)


def _ends_of_gpus(world: World, lease: LeaseView) -> Iterator[tuple[int, Node]]:
    """Until when each node could leave the lease the GPUs that it has there."""
    freed = world.axis.freed_at(lease)
    for node in world.nodes:
        held = sum((gpu.cluster, gpu.node) == node.place and node.counts(gpu.ordinal) for gpu in lease.gpus)
        if held:
            yield node.steps.enough_until(freed, held), node


def _ends_of_shares(world: World, lease: LeaseView) -> Iterator[tuple[int, Budget]]:
    freed = world.axis.freed_at(lease)
    for share in world.shares(lease):
        yield share.budget.left.enough_until(freed, share.amount), share.budget


def _blocker(world: World, promises: Promises, until: int, where: Node | Budget) -> Blocker:
    closed = where.closed_at(until) if isinstance(where, Node) else None
    if closed and isinstance(where, Node):
        return Blocker("", f"maintenance '{closed.name}' has {where.name} from {world.axis.spoken(closed.begin)}")
    for claim, window in promises:
        budgets = [share.budget for share in world.shares(claim)]
        if window.start == until and (where in window.nodes or where in budgets):
            held = where.name if isinstance(where, Node) else limited_by(claim, where.limit)
            return Blocker(claim.gpr_id, f"{claim.gpr_name} has {held} from {world.axis.spoken(until)}")
    what = where.name if isinstance(where, Node) else where.limit.spoken
    return Blocker("", f"there is no more of {what} from {world.axis.spoken(until)}")
