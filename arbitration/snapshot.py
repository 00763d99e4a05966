"""From the ledger to the planner's snapshot, and from a forecast to what the ledger shows."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

from arbitration.fairness import standings
from arbitration.limits import Limits, disk_limits, disk_operations, disk_use, in_force
from domain.gpr import Estimate, Phase, PlannedStart
from domain.handover import USUAL
from domain.hardware import NodeState, memory_gib
from domain.limits import Amounts, PoolNode
from domain.slices import Slicing
from ledger import handovers, inventory, leases, maintenance, pools, scheduling
from ledger.arbitration import QueuedGpr
from planner.snapshot import Claim, Closure, HeldGpu, LeaseView, NodeView, Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from domain.gpr import GprRequest
    from domain.handover import Handover
    from domain.hardware import Node
    from domain.scheduling import SchedulingPolicy
    from domain.workspace import Workspace
    from ledger.connection import Connection
    from ledger.leases import OpenLease
    from planner.plan import Forecast
    from planner.snapshot import Uses


async def read_snapshot(connection: Connection, queue: list[QueuedGpr], now: datetime) -> Snapshot:
    """What there is, what is held, and what waits, at one instant."""
    nodes = await inventory.bare_nodes(connection)
    open_leases = await leases.open_leases(connection)
    pools_of = await pools.of_nodes(connection)
    users: list[QueuedGpr | OpenLease] = [*queue, *open_leases]
    known = await in_force(connection, {one.workspace for one in users}, {one.submitter for one in users}, now)
    limits = Limits(known, now)
    policy, handover = await scheduling.policy(connection), await handovers.known(connection)
    wanted = [gpr.disk for gpr in queue if gpr.disk is not None]
    operations = disk_operations(wanted, {lease.disk_id for lease in open_leases})
    return Snapshot(
        now=now,
        nodes=tuple(_node(node, open_leases, pools_of) for node in nodes),
        leases=(*(_lease(lease, limits, policy, handover, now) for lease in open_leases), *operations),
        queue=tuple(_claim(gpr, limits, handover, now) for gpr in queue),
        limits=limits.all() + disk_limits(wanted),
        turnaround_seconds=handover.teardown_seconds,
        standings=await standings(connection, queue, policy, now),
        ageing_seconds=policy.ageing_seconds,
        closures=await closures(connection, now),
        notice_seconds=policy.notice_seconds,
    )


async def closures(connection: Connection, now: datetime) -> tuple[Closure, ...]:
    """Announced maintenance of each node that is not over."""
    away = await maintenance.ahead(connection, now)
    return tuple(Closure(one.node.cluster, one.node.node, one.begins_at, one.ends_at, one.name) for one in away)


def as_queued(gpr_id: str, workspace: Workspace, request: GprRequest, sequence: int, submitter: str = "") -> QueuedGpr:
    """What a request would be in the queue if it were submitted; nothing has been planned for it yet."""
    return QueuedGpr(
        gpr_id=gpr_id,
        name=request.name,
        workspace=str(workspace.id),
        workspace_name=workspace.request.name,
        exclusive=request.exclusive,
        sequence=sequence,
        priority=request.priority,
        nodes=request.nodes,
        gpus_per_node=request.gpus_per_node,
        duration_seconds=request.duration_seconds,
        shape=request.shape,
        instance_type=request.instance_type,
        memory_gib=request.memory_gib,
        clusters=request.clusters or workspace.request.clusters,
        not_before=None,
        excluded_nodes=frozenset(),
        shown=PlannedStart(Estimate(None, 0, "", ""), "", ()),
        pool=request.pool,
        spread=request.spread,
        namespace=request.namespace,
        cpu_millis=request.cpu_millis,
        memory_mib=request.memory_mib,
        preemptible=request.preemptible,
        submitter=submitter,
    )


def planned_start(forecast: Forecast) -> PlannedStart:
    """What is shown of a forecast."""
    reason = forecast.reason
    shown = Estimate(forecast.starts_at, forecast.position, reason.code, reason.text)
    return PlannedStart(shown, forecast.cluster or "", forecast.nodes)


def _node(node: Node, open_leases: list[OpenLease], pools_of: Mapping[PoolNode, frozenset[str]]) -> NodeView:
    usable = node.state is NodeState.READY
    return NodeView(
        cluster=node.cluster,
        name=node.name,
        shape=node.shape,
        instance_type=node.instance_type,
        memory_gib=memory_gib(node.memory_mib),
        gpus=node.gpus,
        usable=usable,
        unusable_reason="" if usable else f"{node.state.replace('_', ' ')}: {node.condition}".removesuffix(": "),
        blocked_ordinals=_used_by_strangers(node, open_leases) | node.set_aside,
        pools=pools_of.get(PoolNode(node.cluster, node.host), frozenset()),
        sliced=node.slicing is not Slicing.NONE,
    )


def _used_by_strangers(node: Node, open_leases: list[OpenLease]) -> frozenset[int]:
    """Kubernetes does not say which GPUs a stranger's pod has; the highest free ordinals stand for them."""
    if not node.foreign_gpus:
        return frozenset()
    held = {
        gpu.ordinal
        for lease in open_leases
        if lease.cluster == node.cluster
        for gpu in lease.gpus
        if gpu.node == node.name
    }
    free = [ordinal for ordinal in range(node.gpus) if ordinal not in held | node.set_aside]
    return frozenset(free[-node.foreign_gpus :])


def _lease(lease: OpenLease, limits: Limits, policy: SchedulingPolicy, handover: Handover, now: datetime) -> LeaseView:
    return LeaseView(
        fence=lease.fence,
        gpr_id=lease.gpr_id,
        gpr_name=lease.gpr_name,
        workspace=lease.workspace,
        exclusive=lease.exclusive,
        until=_expected_end(lease, handover, now),
        gpus=tuple(HeldGpu(lease.cluster, gpu.node, gpu.ordinal) for gpu in lease.gpus),
        uses=_uses(limits, lease, len(lease.gpus)) + disk_use(lease.disk_id),
        preemptible=lease.preemptible,
        priority=lease.priority,
        begun_at=lease.active_at,
        guaranteed_until=lease.active_at + policy.guaranteed if lease.active_at else None,
        preempted=lease.preempted,
        taken_back=lease.taken_back,
        guarantees=limits.guarantees(lease.workspace),
        pool=lease.pool,
    )


def _expected_end(lease: OpenLease, handover: Handover, now: datetime) -> datetime | None:
    """What takes longer than is allowed for may be over any moment: as soon as it usually is, from now on."""
    if lease.phase is Phase.PROVISIONING:
        if lease.duration_seconds is None:
            return None
        begins = lease.fixed_start or max(
            lease.granted_at + timedelta(seconds=handover.provisioning_seconds),
            now + timedelta(seconds=USUAL.provisioning_seconds),
        )
        return begins + timedelta(seconds=lease.duration_seconds)
    if lease.phase is Phase.ACTIVE:
        return lease.end_at
    soon = now + timedelta(seconds=USUAL.teardown_seconds - handover.teardown_seconds)  # a teardown is added to it
    return max(lease.stopped_at or now, soon)


def _claim(gpr: QueuedGpr, limits: Limits, handover: Handover, now: datetime) -> Claim:
    # a promise is kept at the place where it was made, wherever the last forecast would have it sooner
    promised = gpr.promise if gpr.promise and gpr.promise.starts_at else None
    return Claim(
        gpr_id=gpr.gpr_id,
        gpr_name=gpr.name,
        workspace=gpr.workspace,
        workspace_name=gpr.workspace_name,
        exclusive=gpr.exclusive,
        sequence=gpr.sequence,
        priority=gpr.priority,
        nodes=gpr.nodes,
        gpus_per_node=gpr.gpus_per_node,
        duration_seconds=_duration_seconds(gpr, handover, now),
        clusters=_clusters(gpr),
        shape=gpr.shape,
        instance_type=gpr.instance_type,
        memory_gib=gpr.memory_gib,
        not_before=_not_before(gpr),
        fixed_start=gpr.fixed_start,
        excluded_nodes=gpr.excluded_nodes,
        planned_cluster=promised.cluster if promised else gpr.shown.cluster,
        planned_nodes=promised.nodes if promised else gpr.shown.nodes,
        pinned_start=_pinned_start(gpr, now),
        submitted_at=gpr.submitted_at,
        pool=gpr.pool,
        spread=gpr.spread,
        uses=_uses(limits, gpr, gpr.nodes * gpr.gpus_per_node) + disk_use(gpr.disk.id if gpr.disk else None),
        preemptible=gpr.preemptible,
        was_preempted=gpr.was_preempted,
        was_taken_back=gpr.was_taken_back,
        guarantees=limits.guarantees(gpr.workspace),
        has_preempted=gpr.has_preempted,
    )


def _uses(limits: Limits, user: QueuedGpr | OpenLease, gpus: int) -> Uses:
    amounts = Amounts(gpus, user.cpu_millis, user.memory_mib)
    return limits.uses(user.workspace, user.namespace, amounts, user.submitter, preemptible=user.preemptible)


def _duration_seconds(gpr: QueuedGpr, handover: Handover, now: datetime) -> int | None:
    """From its grant on; of what was reserved and starts late, what is left of its time."""
    if gpr.duration_seconds is None:
        return None
    if gpr.fixed_start is None:  # its time runs once it is provisioned, and it must be gone before what is promised
        return gpr.duration_seconds + handover.provisioning_seconds
    late = max(timedelta(), now - gpr.fixed_start)
    return max(1, gpr.duration_seconds - math.floor(late.total_seconds()))


def _not_before(gpr: QueuedGpr) -> datetime | None:
    if gpr.not_before is None or gpr.fixed_start is None:
        return gpr.not_before or gpr.fixed_start
    return max(gpr.not_before, gpr.fixed_start)


def _pinned_start(gpr: QueuedGpr, now: datetime) -> datetime | None:
    """Of what lost the hardware of its promise, as soon as there is other."""
    return (gpr.promise.starts_at or now) if gpr.promise else None


def _clusters(gpr: QueuedGpr) -> tuple[str, ...]:
    """A disk with data pins what needs it to where the data is."""
    return (gpr.disk.cluster,) if gpr.disk and gpr.disk.cluster else gpr.clusters
