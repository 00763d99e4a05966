"""When would a request start if it were submitted now? The plan on a copy of the queue; nothing is written."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from arbitration.snapshot import planned_start, read_snapshot
from domain.gpr import Estimate, PlannedStart
from ledger import arbitration
from ledger.arbitration import QueuedGpr
from planner.plan import Grant, outcome_of

if TYPE_CHECKING:
    from datetime import datetime

    from domain.gpr import GprRequest
    from domain.workspace import Workspace
    from ledger.connection import Ledger

THE_WISH: Final = "the wish"
"""Stands where a queued Gpr has its id."""


async def start_of(ledger: Ledger, workspace: Workspace, request: GprRequest, now: datetime) -> PlannedStart:
    """Where and when it would start behind all that is queued already; position 0: at once."""
    async with ledger.reading() as connection:
        queue = await arbitration.queue(connection, now)
        behind_all = max((gpr.sequence for gpr in queue), default=0) + 1
        snapshot = await read_snapshot(connection, [*queue, _wish(workspace, request, behind_all)], now)
    outcome = await asyncio.to_thread(outcome_of, snapshot, THE_WISH)
    return _at_once(outcome, now) if isinstance(outcome, Grant) else planned_start(outcome)


def _wish(workspace: Workspace, request: GprRequest, sequence: int) -> QueuedGpr:
    return QueuedGpr(
        gpr_id=THE_WISH,
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
    )


def _at_once(grant: Grant, now: datetime) -> PlannedStart:
    nodes = tuple(dict.fromkeys(gpu.node for gpu in grant.gpus))
    return PlannedStart(Estimate(now, 0, "", ""), grant.cluster, nodes)
