"""Records the histories that every later version must still replay: `python -m tests.replay.record VERSION [NAME…]`.

Each scenario lives through real workers, ledger and cluster. Never edit a recorded history; delete one only when the
last run of its version is past retention.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING, Any
from uuid import UUID

from temporalio.client import WorkflowFailureError

from cli.stack.testing import running_cluster, running_postgres
from clusters.connection import ClusterConnection
from clusters.registration import install
from domain.gpr import Phase
from domain.identifiers import SAMPLES_SCHEDULE_ID, arbiter_workflow_id, reconcile_schedule_id, workspace_workflow_id
from domain.workspace import WorkspacePhase
from ledger import lifecycle as moves
from ledger import workspaces
from ledger.connection import Ledger
from ledger.migrate import migrate
from tests.builders import a_gpr, a_principal, a_workspace, now
from tests.conftest import CLUSTER_NODES
from tests.replay.box_scenarios import BOX_SCENARIOS
from tests.replay.hardware_scenarios import HARDWARE_SCENARIOS
from tests.replay.moments import Lifecycle, ended, settled
from tests.replay.reservation_scenarios import RESERVATION_SCENARIOS
from tests.workflows.conftest import time_skipping_environment
from tests.workflows.disturbances import FOR_EVER, FailingStep
from tests.workflows.stage import Stage
from workflows.arbiter import ArbiterWorkflow
from workflows.gpr import GprWorkflow
from workflows.job import JobWorkflow
from workflows.reconcile import ReconcileClusterWorkflow, ReconcileLedgerWorkflow
from workflows.samples import KeepSamplesWorkflow
from workflows.workspace import WorkspaceWorkflow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


HISTORIES = Path(__file__).parent / "histories"
ROOT = Path(__file__).parents[2]


async def gpr_expired(stage: Stage) -> Lifecycle:
    gpr_id = await stage.a_granted_gpr(await stage.a_workspace(), nodes=2, gpus_per_node=2)
    lifecycle = await stage.start(gpr_id)
    await lifecycle.result()
    return lifecycle


async def gpr_open_in_the_queue(stage: Stage) -> Lifecycle:
    lifecycle = await stage.start(await a_gpr(stage.ledger, await stage.a_workspace(), gpus_per_node=64))
    return await settled(lifecycle)


async def gpr_open_in_the_lease(stage: Stage) -> Lifecycle:
    return (await active(stage))[1]


async def gpr_open_in_teardown(stage: Stage) -> Lifecycle:
    gpr_id, lifecycle = await active(stage)
    await lifecycle.signal(GprWorkflow.release, await ended(stage, gpr_id))
    return await settled(lifecycle)


async def gpr_released_early(stage: Stage) -> Lifecycle:
    gpr_id, lifecycle = await active(stage)
    await lifecycle.signal(GprWorkflow.release, await ended(stage, gpr_id))
    await lifecycle.result()
    return lifecycle


async def gpr_extended_late(stage: Stage) -> Lifecycle:
    gpr_id, lifecycle = await active(stage)
    end_at = (await stage.gpr(gpr_id)).end_at
    assert end_at is not None
    async with stage.ledger.transaction() as connection:
        later = await moves.move_end(connection, gpr_id, end_at.replace(year=end_at.year + 1), now(), "somebody")
    await lifecycle.signal(GprWorkflow.extended, later)
    return await settled(lifecycle)


async def gpr_cancelled_in_the_queue(stage: Stage) -> Lifecycle:
    gpr_id = await a_gpr(stage.ledger, await stage.a_workspace(), gpus_per_node=64)
    lifecycle = await stage.start(gpr_id)
    await lifecycle.signal(GprWorkflow.release, await ended(stage, gpr_id))
    await lifecycle.result()
    return lifecycle


async def gpr_cancelled_by_an_operator(stage: Stage) -> Lifecycle:
    gpr_id, lifecycle = await active(stage)
    await lifecycle.cancel()
    while (await stage.gpr(gpr_id)).phase is not Phase.RELEASED:
        await asyncio.sleep(0.05)
    return await settled(lifecycle)


async def gpr_failed_after_retries(stage: Stage) -> Lifecycle:
    gpr_id = await stage.a_granted_gpr(await stage.a_workspace())
    lifecycle = await stage.start(gpr_id)
    while not await stage.is_over(lifecycle):
        await stage.grant_again(gpr_id, lifecycle)
    return lifecycle


async def job_expired(stage: Stage) -> Lifecycle:
    job_id = await stage.a_granted_job(await stage.a_workspace(), replicas=2)
    lifecycle = await stage.start_job(job_id)
    await lifecycle.result()
    return lifecycle


async def job_open_in_the_lease(stage: Stage) -> Lifecycle:
    return (await active_job(stage))[1]


async def job_ended(stage: Stage) -> Lifecycle:
    job_id, lifecycle = await active_job(stage)
    await lifecycle.signal(JobWorkflow.release, await ended(stage, job_id))
    await lifecycle.result()
    return lifecycle


async def job_open_in_teardown(stage: Stage) -> Lifecycle:
    job_id, lifecycle = await active_job(stage)
    await lifecycle.signal(JobWorkflow.release, await ended(stage, job_id))
    return await settled(lifecycle)


async def workspace_open(stage: Stage) -> Lifecycle:
    return (await made(stage))[1]


async def workspace_deleted(stage: Stage) -> Lifecycle:
    workspace_id, lifecycle = await made(stage)
    async with stage.ledger.transaction() as connection:
        await workspaces.begin_delete(connection, workspace_id, now(), "somebody")
    await lifecycle.signal(WorkspaceWorkflow.delete)
    await lifecycle.result()
    return lifecycle


async def workspace_failed(stage: Stage) -> Lifecycle:
    lifecycle = await begun(stage)
    await lifecycle.result()
    return lifecycle


async def arbiter_open(stage: Stage) -> Lifecycle:
    with stage.environment.with_time_skipping_disabled():
        arbiter = await stage.start_workflow(ArbiterWorkflow.run, "test", arbiter_workflow_id("test"))
    for _ in range(5):
        await arbiter.signal(ArbiterWorkflow.kick)
        await settled(arbiter)
    return arbiter


async def reconcile_ledger_done(stage: Stage) -> Lifecycle:
    lifecycle = await stage.start_workflow(ReconcileLedgerWorkflow.run, "", reconcile_schedule_id("ledger"))
    await lifecycle.result()
    return lifecycle


async def reconcile_cluster_done(stage: Stage) -> Lifecycle:
    run = ReconcileClusterWorkflow.run
    lifecycle = await stage.start_workflow(run, "worker-1", reconcile_schedule_id("worker-1"))
    await lifecycle.result()
    return lifecycle


async def keep_samples_done(stage: Stage) -> Lifecycle:
    lifecycle = await stage.start_workflow(KeepSamplesWorkflow.run, "", SAMPLES_SCHEDULE_ID)
    await lifecycle.result()
    return lifecycle


async def keep_samples_failed(stage: Stage) -> Lifecycle:
    lifecycle = await stage.start_workflow(KeepSamplesWorkflow.run, "", SAMPLES_SCHEDULE_ID)
    with suppress(WorkflowFailureError):
        await lifecycle.result()
    return lifecycle


SCENARIOS: dict[str, tuple[Callable[[Stage], Awaitable[Lifecycle]], FailingStep | None]] = {
    "Gpr.expired": (gpr_expired, None),
    "Gpr.open_in_the_queue": (gpr_open_in_the_queue, None),
    "Gpr.open_in_the_lease": (gpr_open_in_the_lease, None),
    "Gpr.open_in_teardown": (gpr_open_in_teardown, FailingStep("clear_pods", times=FOR_EVER)),
    "Gpr.released_early": (gpr_released_early, None),
    "Gpr.extended_late": (gpr_extended_late, None),
    "Gpr.cancelled_in_the_queue": (gpr_cancelled_in_the_queue, None),
    "Gpr.cancelled_by_an_operator": (gpr_cancelled_by_an_operator, None),
    "Gpr.failed_after_retries": (gpr_failed_after_retries, FailingStep("write_tokens", times=FOR_EVER)),
    "Job.expired": (job_expired, None),
    "Job.open_in_the_lease": (job_open_in_the_lease, None),
    "Job.ended": (job_ended, None),
    "Job.open_in_teardown": (job_open_in_teardown, FailingStep("delete_job", times=FOR_EVER)),
    **BOX_SCENARIOS,
    **RESERVATION_SCENARIOS,
    **HARDWARE_SCENARIOS,
    "Workspace.open": (workspace_open, None),
    "Workspace.deleted": (workspace_deleted, None),
    "Workspace.failed": (workspace_failed, FailingStep("apply_tenancy", times=FOR_EVER)),
    "Arbiter.open": (arbiter_open, None),
    "ReconcileLedger.done": (reconcile_ledger_done, None),
    "ReconcileCluster.done": (reconcile_cluster_done, None),
    "KeepSamples.done": (keep_samples_done, None),
    "KeepSamples.failed": (keep_samples_failed, FailingStep("roll_up_samples", times=FOR_EVER)),
}


async def active(stage: Stage) -> tuple[Any, Lifecycle]:
    gpr_id = await stage.a_granted_gpr(await stage.a_workspace(), duration_seconds=86_400)
    with stage.environment.with_time_skipping_disabled():
        lifecycle = await stage.start(gpr_id)
    while (await stage.gpr(gpr_id)).phase is not Phase.ACTIVE:
        await asyncio.sleep(0.05)
    return gpr_id, await settled(lifecycle)


async def active_job(stage: Stage) -> tuple[Any, Lifecycle]:
    job_id = await stage.a_granted_job(await stage.a_workspace(), duration_seconds=None)
    with stage.environment.with_time_skipping_disabled():
        lifecycle = await stage.start_job(job_id)
    while (await stage.job(job_id)).gpr.phase is not Phase.ACTIVE:
        await asyncio.sleep(0.05)
    return job_id, await settled(lifecycle)


async def begun(stage: Stage) -> Lifecycle:
    owner = await a_principal(stage.ledger)
    workspace_id = await a_workspace(stage.ledger, owner=owner, ready=False)
    with stage.environment.with_time_skipping_disabled():  # it looks every second whether its namespaces are gone
        return await stage.start_workflow(WorkspaceWorkflow.run, str(workspace_id), workspace_workflow_id(workspace_id))


async def made(stage: Stage) -> tuple[Any, Lifecycle]:
    lifecycle = await begun(stage)
    workspace_id = UUID(lifecycle.id.partition("/")[2])
    async with stage.ledger.reading() as connection:
        while (await workspaces.find(connection, workspace_id)).phase is not WorkspacePhase.READY:
            await asyncio.sleep(0.05)
    return workspace_id, await settled(lifecycle)


def without_machine(text: str) -> str:
    """Where it was recorded is nobody's business: stack traces and worker identities name paths and hosts."""
    for private, public in (
        (sys.prefix, "venv"),
        (sys.base_prefix, "python"),
        (str(ROOT), "berth"),
        (gethostname(), "host"),
    ):
        text = text.replace(private, public)
    return text


async def record(version: str, only: list[str]) -> None:
    HISTORIES.mkdir(exist_ok=True)
    with ExitStack() as parts:
        postgres = parts.enter_context(running_postgres())
        plane = parts.enter_context(running_cluster(CLUSTER_NODES, name="worker-1"))
        cluster = ClusterConnection.from_kubeconfig("worker-1", plane.kubeconfig_path)
        install(cluster)
        async with time_skipping_environment() as environment:
            for name, (scenario, failing) in SCENARIOS.items():
                if only and name not in only:
                    continue
                ledger = Ledger(postgres.create_database())
                await migrate(ledger)
                async with Stage(environment, ledger, cluster, interceptors=[failing] if failing else []) as stage:
                    history = await (await scenario(stage)).fetch_history()
                await ledger.close()
                (HISTORIES / f"{name}.{version}.json").write_text(without_machine(history.to_json()) + "\n")
                print(name, len(history.events), "events")  # noqa: T201 - a command, not a test


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1], sys.argv[2:]))
    sys.stdout.flush()
    os._exit(0)
