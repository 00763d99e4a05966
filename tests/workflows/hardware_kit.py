"""GPUs of a stage's nodes as agents would tell of them, and the workflows that look at them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from domain.identifiers import HARDWARE_SCHEDULE_ID, recovery_workflow_id
from domain.idleness import IdleRule, Source
from ledger import health, idleness
from tests.builders import now
from tests.ledger.hardware_kit import did, reported, some_gpus
from workflows.hardware_watch import WatchHardwareWorkflow
from workflows.recovery import RecoveryWorkflow

if TYPE_CHECKING:
    from collections.abc import Collection

    from temporalio.client import WorkflowHandle

    from tests.workflows.stage import Stage
    from workflows.signatures.reconciling import Repairs

NODE = "h100-b"
HOUR = timedelta(hours=1)
FATAL_XID = 95


async def watched(stage: Stage) -> Repairs:
    """One look at what the GPUs did and reported."""
    lifecycle = await stage.start_workflow(WatchHardwareWorkflow.run, "", f"{HARDWARE_SCHEDULE_ID}-{id(stage)}")
    found: Repairs = await lifecycle.result()
    return found


async def a_rule(stage: Stage, *, window_seconds: int = 600, warning_seconds: int = 0, enforced: bool = True) -> None:
    """A rule for the whole installation."""
    rule = IdleRule(Source.INSTALLATION, window_seconds, enforced, warning_seconds=warning_seconds)
    async with stage.ledger.transaction() as connection:
        await idleness.set_rule(connection, None, rule, "ada", now())


async def unused(stage: Stage, gpr_id: UUID) -> None:
    """It has been active for an hour, and none of its GPUs did anything, nor will for hours."""
    gpr = await stage.gpr(gpr_id)
    async with stage.ledger.transaction() as connection:
        await connection.execute("update gpr set active_at = active_at - interval '1 hour' where id = $1", gpr_id)
    nodes = {gpu.node for gpu in gpr.gpus}
    ids = await some_gpus(stage.ledger, *nodes, each=8, at=now())
    await sampled(stage, [ids[gpu.node, gpu.ordinal] for gpu in gpr.gpus])
    async with stage.ledger.transaction() as connection:  # no agent runs here that its teardown could ask
        await connection.execute("update node set agent_seen_at = null")


async def with_agents(stage: Stage, *nodes: str) -> None:
    """These nodes have agents, as far as the ledger knows; the caller runs those that are to answer."""
    async with stage.ledger.transaction() as connection:
        await connection.execute("update node set agent_seen_at = now() where name = any($1::text[])", list(nodes))


async def sampled(stage: Stage, gpu_ids: Collection[int]) -> None:
    """Idle readings from an hour ago until hours from now: workflows live in skipped time."""
    for gpu_id in gpu_ids:
        await did(stage.ledger, gpu_id, now() - HOUR, now() + 3 * HOUR)


async def set_aside(stage: Stage, *, node: str = NODE, is_read: bool = True) -> UUID:
    """Quarantine of the first GPU of a node, which has an agent; its recovery does not run yet."""
    ids = await some_gpus(stage.ledger, node, at=now())
    if is_read:
        await sampled(stage, [ids[node, 0]])
    await reported(stage.ledger, node, 0, now(), code=FATAL_XID)
    async with stage.ledger.transaction() as connection:
        await health.judge_faults(connection, now(), clean_seconds=600)
        (quarantine_id,) = await health.unfinished(connection)
    return quarantine_id


async def recovery(stage: Stage, quarantine_id: UUID) -> WorkflowHandle[Any, Any]:
    """Its recovery, in skipped time."""
    return await stage.start_workflow(RecoveryWorkflow.run, str(quarantine_id), recovery_workflow_id(quarantine_id))


async def lifted_by(stage: Stage, quarantine_id: UUID) -> str:
    async with stage.ledger.reading() as connection:
        who: str = await connection.fetchval("select lifted_by from gpu_quarantine where id = $1", quarantine_id)
    return who


async def waits_for(stage: Stage, quarantine_id: UUID) -> str:
    async with stage.ledger.reading() as connection:
        return (await health.recovery(connection, quarantine_id)).waits_for
