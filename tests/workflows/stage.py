"""Where lifecycles are tested: real ledger, real cluster, real Temporal with skipped time, workers in this process."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID, uuid4

from temporalio.client import WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError

from activities.jobs import ClusterJobs
from arbitration.arbiter_pass import grant
from clusters.capacity import read_tokens, remove_tokens
from clusters.disks import make_volume
from clusters.inventory import observe_nodes
from clusters.tenancy import delete_tenancy
from delivery.courier import Courier
from delivery.temporal import TemporalAddress, TemporalDoor
from domain.disk import VolumeOrder, volume_name
from domain.gpr import Phase
from domain.identifiers import (
    CORE_TASK_QUEUE,
    disk_operation_workflow_id,
    gpr_workflow_id,
    is_lease_token,
    job_workflow_id,
    token_key,
)
from domain.messages import GRANTED_SIGNAL
from ledger import boxes, disks, gprs, jobs, leases, workspaces
from ledger import lifecycle as lifecycle_rows
from tests.builders import a_box, a_disk, a_gpr, a_job, a_workspace, now, the_inventory_of
from tests.builders_clusters import make_tenancy
from worker.parts import ClusterOptions, cluster_worker, core_worker
from workflows.box import BoxWorkflow
from workflows.disk_operation import DiskOperationWorkflow
from workflows.gpr import GprWorkflow
from workflows.job import JobWorkflow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.client import WorkflowHandle
    from temporalio.testing import WorkflowEnvironment
    from temporalio.worker import Interceptor

    from clusters.connection import ClusterConnection
    from domain.box import Box
    from domain.disk import Disk, DiskAction, DiskOperation, Snapshot
    from domain.gpr import Gpr
    from domain.job import Job
    from domain.workspace import Tenancy
    from ledger.connection import Ledger


NODES = ["t4-a", "t4-b", "h100-a", "h100-b"]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK0wmN/Cr3JXqmLW7u+g9pTh+wyqDHpSQEIQczXkVx9q"
NOWHERE = "http://127.0.0.1:9"
"""Where nobody answers."""
USED = """update disk set cluster = $2, namespace = $3, volume = $4, volume_seen = true, volumes_made = 1, last_used_at = now()
          where id = $1"""


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
        github_url: str = NOWHERE,
    ) -> None:
        self.environment = environment
        self.ledger = ledger
        self.cluster = cluster
        self.clusters = (cluster, *others)
        self.temporal = TemporalDoor(TemporalAddress(environment.client.service_client.config.target_host))
        self.courier = Courier(ledger, self.temporal)
        self._interceptors = interceptors
        self._patience_seconds = patience_seconds
        self._github_url = github_url
        self._stack = AsyncExitStack()
        self._tenancies: list[Tenancy] = []
        self._started: list[WorkflowHandle[Any, Any]] = []

    async def __aenter__(self) -> Self:
        client = self.environment.client
        doors = (self.ledger, self.courier, self.temporal)
        core = core_worker(client, *doors, github_url=self._github_url, interceptors=self._interceptors)
        await self._stack.enter_async_context(core)
        for cluster in self.clusters:
            await the_inventory_of(self.ledger, cluster)
            kube = cluster_worker(
                client,
                cluster,
                self.ledger,
                self.courier,
                options=ClusterOptions(self._patience_seconds, self._patience_seconds),
                interceptors=self._interceptors,
            )
            await self._stack.enter_async_context(kube)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.courier.drain()
        for handle in [*self._started, *await self._started_by_messages()]:
            if (await handle.describe()).status is WorkflowExecutionStatus.RUNNING:
                with suppress(RPCError):  # it has ended by itself since
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

    async def start_granted(self, gpr_id: UUID) -> WorkflowHandle[GprWorkflow, str]:
        """The same by the message that tells it its grant."""
        async with self.ledger.reading() as connection:
            standing = await lifecycle_rows.standing(connection, gpr_id)
        handle = await self.environment.client.start_workflow(
            GprWorkflow.run,
            str(gpr_id),
            id=gpr_workflow_id(gpr_id),
            task_queue=CORE_TASK_QUEUE,
            start_signal=GRANTED_SIGNAL,
            start_signal_args=[standing],
        )
        self._started.append(handle)
        return handle

    async def a_granted_job(self, workspace_id: UUID, **changes: Any) -> UUID:
        """Submitted and granted; its lifecycle does not run yet."""
        job_id = await a_job(self.ledger, workspace_id, **changes)
        await self.arbitrate()
        return job_id

    async def start_job(self, job_id: UUID) -> WorkflowHandle[JobWorkflow, str]:
        """Start a job's lifecycle in skipped time."""
        return await self.start_workflow(JobWorkflow.run, str(job_id), job_workflow_id(job_id))

    async def a_granted_box(self, workspace_id: UUID, **changes: Any) -> UUID:
        """Submitted, by somebody who brought a key, and granted; its lifecycle does not run yet."""
        box_id = await a_box(self.ledger, workspace_id, **{"github_user": "", "keys": (KEY,), **changes})
        await self.arbitrate()
        return box_id

    async def start_box(self, box_id: UUID) -> WorkflowHandle[BoxWorkflow, str]:
        """Start a box's lifecycle in skipped time."""
        return await self.start_workflow(BoxWorkflow.run, str(box_id), job_workflow_id(box_id))

    async def box(self, box_id: UUID) -> Box:
        async with self.ledger.reading() as connection:
            return await boxes.find(connection, box_id)

    async def observe_jobs(self) -> None:
        """What the watch does when something of a job has changed."""
        observer = ClusterJobs(self.cluster, self.ledger, self.courier)
        await observer.observe(await observer.running(), now())

    async def job(self, job_id: UUID) -> Job:
        async with self.ledger.reading() as connection:
            return await jobs.find(connection, job_id)

    async def a_used_disk(self, workspace_id: UUID, name: str = "", *, size_gb: int = 20) -> UUID:
        """A disk whose data is in a volume, as when its box has gone and no copy was made yet."""
        disk_id = await a_disk(self.ledger, workspace_id, name, size_gb=size_gb)
        namespace = (await self.tenancy(workspace_id)).namespaces[0]
        async with self.ledger.transaction() as connection:
            await connection.execute(USED, disk_id, self.cluster.name, namespace, volume_name(disk_id, 1))
            disk = await disks.find(connection, disk_id)
        order = VolumeOrder(disk_id, disk.name, disk.volume, disk.size_gb, "", is_new=True)
        await asyncio.to_thread(make_volume, self.cluster, order, namespace=namespace)
        return disk_id

    async def disk(self, disk_id: UUID) -> Disk:
        async with self.ledger.reading() as connection:
            return await disks.find(connection, disk_id)

    async def snapshots(self, disk_id: UUID) -> list[Snapshot]:
        """Those that are not gone, newest first."""
        async with self.ledger.reading() as connection:
            return await disks.all_snapshots(connection, disk_id)

    async def an_operation(self, disk_id: UUID, action: DiskAction, **argument: object) -> UUID:
        """Accepted; its lifecycle does not run yet."""
        operation_id = uuid4()
        async with self.ledger.transaction() as connection:
            await disks.request(connection, disk_id, operation_id, action, argument, None, now())
        return operation_id

    async def operation(self, operation_id: UUID) -> DiskOperation:
        async with self.ledger.reading() as connection:
            return await disks.operation(connection, operation_id)

    async def start_operation(self, operation_id: UUID) -> WorkflowHandle[DiskOperationWorkflow, str]:
        """Start a disk operation in skipped time."""
        run, workflow_id = DiskOperationWorkflow.run, disk_operation_workflow_id(operation_id)
        return await self.start_workflow(run, str(operation_id), workflow_id)

    async def done(self, disk_id: UUID, action: DiskAction, **argument: object) -> DiskOperation:
        """An operation, carried out."""
        operation_id = await self.an_operation(disk_id, action, **argument)
        await (await self.start_operation(operation_id)).result()
        return await self.operation(operation_id)

    async def start_workflow(self, run: Any, argument: str, workflow_id: str) -> WorkflowHandle[Any, Any]:
        """Start any workflow in skipped time, unless a message did; it is terminated at the end if it still runs."""
        handle = await self.environment.client.start_workflow(
            run,
            argument,
            id=workflow_id,
            task_queue=CORE_TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
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
