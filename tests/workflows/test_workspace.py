"""The life of a workspace on two real clusters: all or nothing, and nothing left when it goes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from activities.reconciling import RealClusterReconciling
from clusters.tenancy import apply_tenancy, namespaces_left
from domain.failures import AlreadyExists
from domain.identifiers import workspace_workflow_id
from domain.identity import Principal
from domain.workspace import WorkspacePhase
from ledger import personal, workspaces
from tests.builders import a_principal, a_workspace, now
from tests.workflows.disturbances import FOR_EVER, FailingStep
from tests.workflows.stage import Stage
from workflows.workspace import WorkspaceWorkflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from temporalio.client import WorkflowHandle
    from temporalio.testing import WorkflowEnvironment

    from clusters.connection import ClusterConnection
    from domain.workspace import Workspace
    from ledger.connection import Ledger

BOTH = ("worker-1", "worker-2")
STEPS = ["load_workspace", "apply_tenancy", "workspace_ready", "delete_tenancy", "namespaces_left", "workspace_ended"]


@pytest.fixture
def staged(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection, second_cluster: ClusterConnection
) -> Callable[..., Stage]:
    def stage(*interceptors: FailingStep) -> Stage:
        return Stage(skipping, ledger, cluster, others=[second_cluster], interceptors=interceptors)

    return stage


async def test_it_is_made_on_every_cluster_and_deleted_from_every_cluster(staged: Callable[..., Stage]) -> None:
    async with staged() as stage:
        workspace_id, lifecycle = await begun(stage)
        await until(stage, workspace_id, WorkspacePhase.READY)
        assert await left(stage, workspace_id) == [1, 1]
        await delete(stage, workspace_id, lifecycle)
        assert await lifecycle.result() == WorkspacePhase.DELETED
        assert await left(stage, workspace_id) == [0, 0]


async def test_one_cluster_that_refuses_undoes_the_other(
    staged: Callable[..., Stage], second_cluster: ClusterConnection
) -> None:
    async with staged() as stage:
        name = f"taken-{id(stage)}"
        second_cluster.create("/api/v1/namespaces", {"metadata": {"name": f"{name}-ns"}})
        workspace_id, lifecycle = await begun(stage, name)
        assert await lifecycle.result() == WorkspacePhase.FAILED
        assert await left(stage, workspace_id) == [0, 0]
        assert f"{name}-ns" in (await found(stage, workspace_id)).failure
        assert second_cluster.find(f"/api/v1/namespaces/{name}-ns") is not None


async def test_the_name_is_taken_until_the_last_namespace_is_gone(staged: Callable[..., Stage]) -> None:
    async with staged() as stage:
        workspace_id, lifecycle = await begun(stage, "used-twice")
        await until(stage, workspace_id, WorkspacePhase.READY)
        stuck = held_back_object(stage)
        await delete(stage, workspace_id, lifecycle)
        with pytest.raises(AlreadyExists):
            await a_workspace(stage.ledger, "used-twice", clusters=BOTH)
        while "used-twice-ns" not in (await found(stage, workspace_id)).failure:
            await asyncio.sleep(0.05)
        stage.cluster.merge(stuck, {"metadata": {"finalizers": None}})
        assert await lifecycle.result() == WorkspacePhase.DELETED
        assert await a_workspace(stage.ledger, "used-twice", clusters=BOTH)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_step_that_fails_once_or_runs_twice_changes_nothing(
    staged: Callable[..., Stage], step: str, when: str
) -> None:
    failing = FailingStep(step, when=when)  # type: ignore[arg-type]
    async with staged(failing) as stage:
        workspace_id, lifecycle = await begun(stage)
        await until(stage, workspace_id, WorkspacePhase.READY)
        await delete(stage, workspace_id, lifecycle)
        assert await lifecycle.result() == WorkspacePhase.DELETED
        assert await left(stage, workspace_id) == [0, 0]
    assert failing.failed == 1


async def test_making_that_fails_for_ever_leaves_nothing(staged: Callable[..., Stage]) -> None:
    failing = FailingStep("apply_tenancy", times=FOR_EVER, when="after")
    async with staged(failing) as stage:
        workspace_id, lifecycle = await begun(stage)
        assert await lifecycle.result() == WorkspacePhase.FAILED
        assert await left(stage, workspace_id) == [0, 0]


@pytest.mark.parametrize("step", ["delete_tenancy", "namespaces_left", "workspace_ended"])
async def test_deletion_goes_on_until_it_succeeds(staged: Callable[..., Stage], step: str) -> None:
    failing = FailingStep(step, times=25)
    async with staged(failing) as stage:
        workspace_id, lifecycle = await begun(stage)
        await until(stage, workspace_id, WorkspacePhase.READY)
        await delete(stage, workspace_id, lifecycle)
        assert await lifecycle.result() == WorkspacePhase.DELETED
    assert failing.failed == 25


# --- clusters that are registered later -------------------------------------------------------------------------------


async def test_ones_own_joins_a_cluster_that_comes_later_once_and_goes_from_there_too(
    staged: Callable[..., Stage], second_cluster: ClusterConnection
) -> None:
    async with staged() as stage:
        own, lifecycle = await ones_own(stage)
        await wanted_on(stage, own, second_cluster.name)
        assert (await found(stage, own.id)).request.clusters == ("worker-1",)
        said = [await joins(stage, second_cluster) for _ in range(2)]
        assert said == [[f"workspace {own.request.name} is here, too"], []]
        assert (await found(stage, own.id)).request.clusters == BOTH
        assert await left(stage, own.id) == [1, 1]
        await delete(stage, own.id, lifecycle)
        assert await lifecycle.result() == WorkspacePhase.DELETED
        assert await left(stage, own.id) == [0, 0]


@pytest.mark.parametrize("made_before", [True, False])
async def test_ones_own_that_goes_while_it_joins_leaves_nothing_on_that_cluster(
    staged: Callable[..., Stage], second_cluster: ClusterConnection, made_before: bool
) -> None:
    async with staged() as stage:
        own, lifecycle = await ones_own(stage)
        await wanted_on(stage, own, second_cluster.name)
        if made_before:  # and whoever made it died before it could be written down
            async with stage.ledger.reading() as connection:
                tenancy = await workspaces.tenancy(connection, own.id, second_cluster.name)
            await asyncio.to_thread(apply_tenancy, second_cluster, tenancy)
        await delete(stage, own.id, lifecycle)
        assert await lifecycle.result() == WorkspacePhase.DELETED
        while await still_joining(stage, own.id):
            assert await joins(stage, second_cluster) == []
        assert await left(stage, own.id) == [0, 0]


async def test_ones_own_that_began_to_go_while_its_namespace_was_made_has_not_joined(
    staged: Callable[..., Stage], second_cluster: ClusterConnection
) -> None:
    async with staged() as stage:
        own, lifecycle = await ones_own(stage)
        await wanted_on(stage, own, second_cluster.name)
        await delete(stage, own.id, lifecycle)
        async with stage.ledger.transaction() as connection:
            assert await personal.joined(connection, own.id, second_cluster.name, now()) is None
        assert (await found(stage, own.id)).request.clusters == ("worker-1",)
        await lifecycle.result()


async def test_where_somebody_else_has_its_namespace_it_does_not_join_and_does_not_try_again(
    staged: Callable[..., Stage], second_cluster: ClusterConnection
) -> None:
    async with staged() as stage:
        own, lifecycle = await ones_own(stage)
        namespace = own.request.namespaces[0]
        second_cluster.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
        await wanted_on(stage, own, second_cluster.name)
        (said,) = await joins(stage, second_cluster)
        assert said.startswith(f"workspace {own.request.name} cannot be here: namespace {namespace}")
        await wanted_on(stage, own, second_cluster.name)
        assert await joins(stage, second_cluster) == []
        await delete(stage, own.id, lifecycle)
        assert await lifecycle.result() == WorkspacePhase.DELETED
        assert second_cluster.find(f"/api/v1/namespaces/{namespace}") is not None


async def ones_own(stage: Stage) -> tuple[Workspace, WorkflowHandle[WorkspaceWorkflow, str]]:
    """Somebody's own workspace, ready on the first cluster."""
    owner = Principal(await a_principal(stage.ledger), f"ada-{uuid4().hex[:8]}", administrator=False)
    async with stage.ledger.transaction() as connection:
        own, _ = await personal.make(connection, owner, ("worker-1",), now())
    lifecycle = await stage.start_workflow(WorkspaceWorkflow.run, str(own.id), workspace_workflow_id(own.id))
    await until(stage, own.id, WorkspacePhase.READY)
    return await found(stage, own.id), lifecycle


async def wanted_on(stage: Stage, own: Workspace, cluster: str) -> None:
    async with stage.ledger.transaction() as connection:
        await personal.join(connection, own, [cluster])


async def joins(stage: Stage, cluster: ClusterConnection) -> list[str]:
    """What one round of the cluster's reconciler says of it."""
    reconciling = RealClusterReconciling(cluster, stage.ledger, stage.courier)
    return await reconciling._let_workspaces_join(now())


async def still_joining(stage: Stage, workspace_id: UUID) -> bool:
    query = "select exists (select 1 from workspace_namespace where workspace_id = $1 and joining)"
    async with stage.ledger.reading() as connection:
        return bool(await connection.fetchval(query, workspace_id))


# --- helpers ----------------------------------------------------------------------------------------------------------


async def begun(stage: Stage, name: str = "") -> tuple[UUID, WorkflowHandle[WorkspaceWorkflow, str]]:
    workspace_id = await a_workspace(
        stage.ledger, name, owner=await a_principal(stage.ledger), clusters=BOTH, ready=False
    )
    lifecycle = await stage.start_workflow(
        WorkspaceWorkflow.run, str(workspace_id), workspace_workflow_id(workspace_id)
    )
    return workspace_id, lifecycle


async def delete(stage: Stage, workspace_id: UUID, lifecycle: WorkflowHandle[WorkspaceWorkflow, str]) -> None:
    async with stage.ledger.transaction() as connection:
        await workspaces.begin_delete(connection, workspace_id, now(), "somebody")
    await lifecycle.signal(WorkspaceWorkflow.delete)


async def found(stage: Stage, workspace_id: UUID) -> Workspace:
    async with stage.ledger.reading() as connection:
        return await workspaces.find(connection, workspace_id)


async def until(stage: Stage, workspace_id: UUID, phase: WorkspacePhase) -> None:
    while (await found(stage, workspace_id)).phase is not phase:
        await asyncio.sleep(0.05)


async def left(stage: Stage, workspace_id: UUID) -> list[int]:
    tenant = (await found(stage, workspace_id)).tenant
    return [len(await asyncio.to_thread(namespaces_left, cluster, tenant)) for cluster in stage.clusters]


def held_back_object(stage: Stage) -> str:
    """Something in the namespace that does not go, because somebody else's finalizer is on it."""
    objects = "/api/v1/namespaces/used-twice-ns/configmaps"
    stage.cluster.create(objects, {"metadata": {"name": "held", "finalizers": ["example.com/held"]}})
    return f"{objects}/held"
