"""Where lifecycles are tested: real ledger, real cluster, real Temporal with skipped time, workers in this process."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from temporalio.client import WorkflowExecutionStatus

from activities.jobs import ClusterJobs
from arbitration.arbiter_pass import grant
from clusters.capacity import read_tokens, remove_tokens
from clusters.inventory import observe_nodes
from clusters.tenancy import delete_tenancy
from delivery.courier import Courier
from delivery.temporal import TemporalAddress, TemporalDoor
from domain.gpr import Phase
from domain.identifiers import CORE_TASK_QUEUE, gpr_workflow_id, is_lease_token, job_workflow_id, token_key
from ledger import gprs, jobs, leases, workspaces
from ledger import lifecycle as lifecycle_rows
from tests.builders import a_gpr, a_job, a_workspace, now, the_inventory_of
from tests.builders_clusters import make_tenancy
from worker.parts import cluster_worker, core_worker
from workflows.gpr import GprWorkflow
from workflows.job import JobWorkflow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.client import WorkflowHandle
    from temporalio.testing import WorkflowEnvironment
    from temporalio.worker import Interceptor

    from clusters.connection import ClusterConnection
    from domain.gpr import Gpr
    from domain.job import Job
    from domain.workspace import Tenancy
    from ledger.connection import Ledger


class Stage:
    """One test's world. Interceptors may disturb the activities."""

    def __init__(
        self,
        environment: WorkflowEnvironment,
        ledger: Ledger,
        cluster: ClusterConnection,
        *,
        others: Sequence[ClusterConnection] = (),
        interceptors: Sequence[Interceptor] = (),
        patience_seconds: float = 2,
    ) -> None:
        self.environment = environment
        self.ledger = ledger
        self.cluster = cluster
        self.clusters = (cluster, *others)
        self.temporal = TemporalDoor(TemporalAddress(environment.client.service_client.config.target_host))
        self.courier = Courier(ledger, self.temporal)
        self._interceptors = interceptors
        self._patience_seconds = patience_seconds
        self._stack = AsyncExitStack()
        self._tenancies: list[Tenancy] = []
        self._started: list[WorkflowHandle[Any, Any]] = []

    async def __aenter__(self) -> Self:
        client = self.environment.client
        core = core_worker(client, self.ledger, self.courier, self.temporal, interceptors=self._interceptors)
        await self._stack.enter_async_context(core)
        for cluster in self.clusters:
            await the_inventory_of(self.ledger, cluster)
            kube = cluster_worker(
                client,
                cluster,
                self.ledger,
                self.courier,
                patience_seconds=self._patience_seconds,
                interceptors=self._interceptors,
            )
            await self._stack.enter_async_context(kube)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.courier.drain()
        for handle in [*self._started, *await self._started_by_messages()]:
            if (await handle.describe()).status is WorkflowExecutionStatus.RUNNING:
                await handle.terminate("the test is over")
        await self._stack.aclose()
        for tenancy in self._tenancies:
            delete_tenancy(self.cluster, tenancy.tenant, tenancy.namespaces)
        for node in observe_nodes(self.cluster):
            for key in node.tokens:
                remove_tokens(self.cluster, key, [node.name])

    async def _started_by_messages(self) -> list[WorkflowHandle[Any, Any]]:
        client = self.environment.client
        running = client.list_workflows("ExecutionStatus = 'Running'")
        return [client.get_workflow_handle(one.id, run_id=one.run_id) async for one in running]

    async def a_workspace(self, **changes: object) -> UUID:
        """A ready workspace that exists in the cluster too."""
        workspace_id = await a_workspace(self.ledger, **changes)  # type: ignore[arg-type]
        tenancy = await self.tenancy(workspace_id)
        await asyncio.to_thread(make_tenancy, self.cluster, tenancy)
        self._tenancies.append(tenancy)
        return workspace_id

    async def tenancy(self, workspace_id: UUID) -> Tenancy:
        async with self.ledger.reading() as connection:
            return await workspaces.tenancy(connection, workspace_id, self.cluster.name)

    async def a_granted_gpr(self, workspace_id: UUID, **changes: object) -> UUID:
        """Submitted and granted; its lifecycle does not run yet."""
        gpr_id = await a_gpr(self.ledger, workspace_id, **changes)
        await self.arbitrate()
        return gpr_id

    async def arbitrate(self) -> None:
        await grant(self.ledger, now())

    async def start(self, gpr_id: UUID) -> WorkflowHandle[GprWorkflow, str]:
        """Start its lifecycle in skipped time."""
        return await self.start_workflow(GprWorkflow.run, str(gpr_id), gpr_workflow_id(gpr_id))

    async def a_granted_job(self, workspace_id: UUID, **changes: Any) -> UUID:
        """Submitted and granted; its lifecycle does not run yet."""
        job_id = await a_job(self.ledger, workspace_id, **changes)
        await self.arbitrate()
        return job_id

    async def start_job(self, job_id: UUID) -> WorkflowHandle[JobWorkflow, str]:
        """Start a job's lifecycle in skipped time."""
        return await self.start_workflow(JobWorkflow.run, str(job_id), job_workflow_id(job_id))

    async def observe_jobs(self) -> None:
        """What the watch does when something of a job has changed."""
        observer = ClusterJobs(self.cluster, self.ledger, self.courier)
        await observer.observe(await observer.running(), now())

    async def job(self, job_id: UUID) -> Job:
        async with self.ledger.reading() as connection:
            return await jobs.find(connection, job_id)

    async def start_workflow(self, run: Any, argument: str, workflow_id: str) -> WorkflowHandle[Any, Any]:
        """Start any workflow in skipped time; it is terminated at the end if it still runs."""
        handle = await self.environment.client.start_workflow(run, argument, id=workflow_id, task_queue=CORE_TASK_QUEUE)
        self._started.append(handle)
        return handle

    async def is_over(self, lifecycle: WorkflowHandle[GprWorkflow, str]) -> bool:
        """Wait until the lifecycle is over, or waits in the queue for somebody to grant it GPUs."""
        while True:
            description = await lifecycle.describe()
            if description.status is not WorkflowExecutionStatus.RUNNING:
                return True
            if (await self.gpr(_gpr_id(lifecycle))).phase is Phase.QUEUED:
                return False
            await asyncio.sleep(0.05)

    async def grant_again(self, gpr_id: UUID, lifecycle: WorkflowHandle[GprWorkflow, str]) -> None:
        """What the arbiter and the relay do for a Gpr in the queue, long after its back-off."""
        await grant(self.ledger, now() + timedelta(days=400))
        async with self.ledger.reading() as connection:
            standing = await lifecycle_rows.standing(connection, gpr_id)
        await lifecycle.signal(GprWorkflow.granted, standing)

    async def gpr(self, gpr_id: UUID) -> Gpr:
        async with self.ledger.reading() as connection:
            return await gprs.find(connection, gpr_id)

    async def assert_nothing_left(self, *workspace_ids: UUID) -> None:
        """No open lease, no held GPU, no token, no access."""
        async with self.ledger.reading() as connection:
            assert await leases.open_leases(connection) == []
        for node in await asyncio.to_thread(observe_nodes, self.cluster):
            assert not any(is_lease_token(key) for key in node.tokens)
        for workspace_id in workspace_ids:
            tenancy = await self.tenancy(workspace_id)
            tokens = await asyncio.to_thread(read_tokens, self.cluster, token_key(tenancy.tenant), NODES)
            assert not any(tokens.values())


def _gpr_id(lifecycle: WorkflowHandle[GprWorkflow, str]) -> UUID:
    return UUID(lifecycle.id.partition("/")[2])


NODES = ["t4-a", "t4-b", "h100-a", "h100-b"]
