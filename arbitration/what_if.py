"""When would a request start if it were submitted now? The plan on a copy of the queue; nothing is written."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from arbitration.snapshot import planned_start, read_snapshot
from domain.gpr import Estimate, PlannedStart
from ledger import arbitration
from planner.plan import Grant, outcome_of
from planner.snapshot import Claim

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
        snapshot = await read_snapshot(connection, queue, now)
    wish = _claim(workspace, request, sequence=max((claim.sequence for claim in snapshot.queue), default=0) + 1)
    with_wish = replace(snapshot, queue=(*snapshot.queue, wish))
    outcome = await asyncio.to_thread(outcome_of, with_wish, THE_WISH)
    return _at_once(outcome, now) if isinstance(outcome, Grant) else planned_start(outcome)


def _claim(workspace: Workspace, request: GprRequest, *, sequence: int) -> Claim:
    return Claim(
        gpr_id=THE_WISH,
        gpr_name=request.name,
        workspace=str(workspace.id),
        workspace_name=workspace.request.name,
        exclusive=request.exclusive,
        sequence=sequence,
        priority=request.priority,
        nodes=request.nodes,
        gpus_per_node=request.gpus_per_node,
        duration_seconds=request.duration_seconds,
        clusters=request.clusters or workspace.request.clusters,
        shape=request.shape,
        instance_type=request.instance_type,
        memory_gib=request.memory_gib,
    )


def _at_once(grant: Grant, now: datetime) -> PlannedStart:
    nodes = tuple(dict.fromkeys(gpu.node for gpu in grant.gpus))
    return PlannedStart(Estimate(now, 0, "", ""), grant.cluster, nodes)
