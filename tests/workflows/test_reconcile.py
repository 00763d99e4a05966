"""The reconciler: what drifted apart between ledger, Temporal and cluster is put right, and nothing else is touched."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from activities.reconciling import RealClusterReconciling
from clusters.capacity import read_tokens, remove_tokens, write_tokens
from clusters.inventory import observe_nodes
from domain.disk import DiskAction, OperationStatus
from domain.gpr import EndCause, Phase
from domain.hardware import NodeState
from domain.identifiers import disk_operation_workflow_id, gpr_workflow_id, reconcile_schedule_id, token_key
from domain.limits import Amounts
from ledger import disks, inventory, leases, quotas
from ledger import lifecycle as moves
from tests.builders import a_disk, a_gpr, now
from tests.builders_clusters import a_pod, eventually
from tests.workflows.stage import Stage
from workflows.gpr import GprWorkflow
from workflows.reconcile import ReconcileClusterWorkflow, ReconcileLedgerWorkflow
from workflows.signatures.reconciling import ClusterAt

if TYPE_CHECKING:
    from temporalio.client import WorkflowHandle

    from domain.hardware import ObservedNode
    from domain.messages import Standing
    from ledger.leases import OpenLease
    from workflows.signatures.reconciling import Repairs

AN_OLD_COPY = """insert into disk_snapshot (id, disk_id, cluster, namespace, name, phase, created_at, ready_at)
                 select $1, id, 'worker-1', 'gone', 'old', 'ready', now() - interval '8 days', now() - interval '8 days'
                 from disk where id = $2"""
POD_THAT_STAYS = {
    "metadata": {"name": "stays", "annotations": {"kwok.berth.io/hold-delete": "true"}},
    "spec": {
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "main", "image": "busybox", "resources": {"limits": {"nvidia.com/gpu": "1"}}}],
    },
}


async def test_tokens_that_vanished_under_an_active_lease_are_written_again(stage: Stage) -> None:
    key, node = await active_lease(stage)
    await asyncio.to_thread(remove_tokens, stage.cluster, key, [node])
    assert "missing token" in (await reconciled(stage)).mended[0]
    assert await asyncio.to_thread(read_tokens, stage.cluster, key, [node]) == {node: 1}


async def test_tokens_that_no_lease_stands_behind_are_taken(stage: Stage) -> None:
    stray = token_key("nobody-0123456789")
    await asyncio.to_thread(write_tokens, stage.cluster, stray, {"h100-b": 2})
    assert "no open lease" in (await reconciled(stage)).mended[0]
    assert await asyncio.to_thread(read_tokens, stage.cluster, stray, ["h100-b"]) == {"h100-b": 0}


async def test_a_pod_that_was_bound_by_tokens_which_are_gone_does_not_stay(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    key = token_key((await stage.tenancy(workspace)).tenant)
    await asyncio.to_thread(write_tokens, stage.cluster, key, {"h100-b": 1})
    namespace = (await stage.tenancy(workspace)).namespaces[0]
    pod = f"/api/v1/namespaces/{namespace}/pods/worker"
    await asyncio.to_thread(stage.cluster.create, pod.rpartition("/")[0], a_pod(gpus=1))
    assert await asyncio.to_thread(eventually, lambda: "nodeName" in stage.cluster.get(pod)["spec"])
    mended = (await reconciled(stage)).mended
    assert [sentence for sentence in mended if sentence.endswith("no lease stands behind it")]
    assert await asyncio.to_thread(eventually, lambda: stage.cluster.find(pod) is None)


async def test_tokens_of_a_lease_that_ended_since_it_was_seen_are_not_written_again(stage: Stage) -> None:
    key, node = await active_lease(stage)
    [lease], observed = await truths(stage)
    await asyncio.to_thread(remove_tokens, stage.cluster, key, [node])
    observed[node].tokens.clear()
    await released(stage, UUID(lease.gpr_id))
    assert await reconciling(stage)._write_missing_tokens([lease], observed) == []
    assert await asyncio.to_thread(read_tokens, stage.cluster, key, [node]) == {node: 0}


async def test_tokens_that_were_written_since_the_node_was_seen_are_not_missing(stage: Stage) -> None:
    _, node = await active_lease(stage)
    leases_seen, observed = await truths(stage)
    observed[node].tokens.clear()
    assert await reconciling(stage)._write_missing_tokens(leases_seen, observed) == []


async def test_tokens_that_were_taken_since_the_node_was_seen_are_not_left_over(stage: Stage) -> None:
    stray = token_key("nobody-0123456789")
    await asyncio.to_thread(write_tokens, stage.cluster, stray, {"h100-b": 2})
    _, observed = await truths(stage)
    await asyncio.to_thread(remove_tokens, stage.cluster, stray, ["h100-b"])
    assert await reconciling(stage)._take_left_over_tokens(observed) == []


async def test_a_release_waits_until_the_tokens_of_its_lease_are_written(stage: Stage) -> None:
    await active_lease(stage)
    [lease], _ = await truths(stage)
    gpr_id = UUID(lease.gpr_id)
    async with asyncio.TaskGroup() as group, stage.ledger.transaction() as connection:
        assert await leases.hold_active(connection, gpr_id, lease.fence)
        release = group.create_task(released(stage, gpr_id))
        await asyncio.wait({release}, timeout=0.3)
        assert not release.done()
    assert (await release).phase is Phase.RELEASING


async def test_where_nothing_drifted_nothing_is_mended(stage: Stage) -> None:
    await active_lease(stage)
    assert (await reconciled(stage)).mended == []


async def test_each_look_notes_whether_pods_are_on_the_gpus_of_a_lease(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    gpr_id = await stage.a_granted_gpr(workspace, shape="Tesla-T4", duration_seconds=86_400)
    await start_in_real_time(stage, gpr_id)
    look = reconciling(stage).repair_cluster
    assert (await look(ClusterAt("worker-1", now()))).mended == []
    first = await pods_seen_of(stage, gpr_id)
    assert first["looked_at"] == first["since"]
    assert not first["used_at"]
    pod = await running_pod(stage, workspace)
    await look(ClusterAt("worker-1", now()))
    second = await pods_seen_of(stage, gpr_id)
    assert second["used_at"] == second["looked_at"] > first["looked_at"]
    await asyncio.to_thread(
        stage.cluster.merge, pod, {"metadata": {"annotations": {"kwok.berth.io/hold-delete": None}}}
    )


async def test_a_pod_that_does_not_end_quarantines_its_node_until_it_is_gone(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    gpr_id = await stage.a_granted_gpr(workspace, shape="Tesla-T4", duration_seconds=86_400)
    lifecycle = await start_in_real_time(stage, gpr_id)
    pod = await running_pod(stage, workspace)
    async with stage.ledger.transaction() as connection:
        released, _ = await moves.end_for_user(connection, gpr_id, EndCause.EARLY_RELEASE, now(), "somebody")
    await lifecycle.signal(GprWorkflow.release, released)
    assert await lifecycle.result() == Phase.RELEASED
    [node] = {gpu.node for gpu in (await stage.gpr(gpr_id)).gpus}
    assert await state_of(stage, node) is NodeState.QUARANTINED
    assert (await reconciled(stage)).mended == []
    await asyncio.to_thread(
        stage.cluster.merge, pod, {"metadata": {"annotations": {"kwok.berth.io/hold-delete": None}}}
    )
    while stage.cluster.find(pod):
        await asyncio.sleep(0.1)
    assert "quarantine is lifted" in (await reconciled(stage)).mended[0]
    assert await state_of(stage, node) is NodeState.READY
    await stage.assert_nothing_left(workspace)


async def test_kubernetes_ceiling_follows_the_quota_of_its_namespace(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    namespace = (await stage.tenancy(workspace)).namespaces[0]
    ceiling = f"/api/v1/namespaces/{namespace}/resourcequotas/berth-ceiling"
    now = datetime.now(UTC)
    async with stage.ledger.transaction() as connection:
        await quotas.set_quota(connection, workspace, namespace, Amounts(gpus=3), "", "ada", now)
    assert (await reconciled(stage)).mended == [f"set the ceiling of namespace {namespace}"]
    assert (await asyncio.to_thread(stage.cluster.get, ceiling))["spec"]["hard"] == {"requests.nvidia.com/gpu": "3"}
    assert (await reconciled(stage)).mended == []
    async with stage.ledger.transaction() as connection:
        await quotas.delete(connection, workspace, namespace, "ada", now)
    assert len((await reconciled(stage)).mended) == 1
    assert (await asyncio.to_thread(stage.cluster.get, ceiling))["spec"]["hard"] == {"requests.nvidia.com/gpu": "4096"}


async def test_a_lifecycle_that_does_not_run_is_started(stage: Stage) -> None:
    gpr_id = await a_gpr(stage.ledger, await stage.a_workspace(), gpus_per_node=64)
    repairs: Repairs = await (
        await stage.start_workflow(ReconcileLedgerWorkflow.run, "", reconcile_schedule_id("ledger"))
    ).result()
    assert any(str(gpr_id) in line for line in repairs.mended)
    await stage.courier.drain()
    lifecycle = stage.environment.client.get_workflow_handle(gpr_workflow_id(gpr_id))
    assert (await lifecycle.describe()).workflow_type == "Gpr"
    await lifecycle.terminate("the test is over")


async def test_an_operation_on_a_disk_that_does_not_run_is_started(stage: Stage) -> None:
    disk_id = await a_disk(stage.ledger, await stage.a_workspace())
    operation_id = await stage.an_operation(disk_id, DiskAction.CREATE)
    repairs: Repairs = await (
        await stage.start_workflow(ReconcileLedgerWorkflow.run, "", reconcile_schedule_id("ledger"))
    ).result()
    assert any(str(operation_id) in line for line in repairs.mended)
    await stage.courier.drain()
    lifecycle = stage.environment.client.get_workflow_handle(disk_operation_workflow_id(operation_id))
    assert (await lifecycle.describe()).workflow_type == "DiskOperation"
    await lifecycle.result()
    assert (await stage.operation(operation_id)).status is OperationStatus.COMPLETED


async def test_copies_that_grew_old_while_nothing_was_done_with_their_disk_are_asked_to_go(stage: Stage) -> None:
    disk_id = await a_disk(stage.ledger, await stage.a_workspace())
    async with stage.ledger.transaction() as connection:
        await connection.execute(AN_OLD_COPY, uuid4(), disk_id)
    for _ in range(2):
        await (await stage.start_workflow(ReconcileLedgerWorkflow.run, "", reconcile_schedule_id("ledger"))).result()
    async with stage.ledger.reading() as connection:
        (operation,) = await disks.operations(connection, disk_id, 10)
    assert operation.action is DiskAction.PRUNE
    await stage.courier.drain()
    await stage.environment.client.get_workflow_handle(disk_operation_workflow_id(operation.id)).result()


async def active_lease(stage: Stage) -> tuple[str, str]:
    """Token key and node of a lease that is active."""
    workspace = await stage.a_workspace()
    gpr_id = await stage.a_granted_gpr(workspace, duration_seconds=86_400)
    await start_in_real_time(stage, gpr_id)
    tenancy = await stage.tenancy(workspace)
    return token_key(tenancy.tenant), (await stage.gpr(gpr_id)).gpus[0].node


async def truths(stage: Stage) -> tuple[list[OpenLease], dict[str, ObservedNode]]:
    """What a comparison reads."""
    observed = {node.name: node for node in await asyncio.to_thread(observe_nodes, stage.cluster)}
    async with stage.ledger.reading() as connection:
        return await leases.open_leases(connection), observed


def reconciling(stage: Stage) -> RealClusterReconciling:
    return RealClusterReconciling(stage.cluster, stage.ledger, stage.courier)


async def released(stage: Stage, gpr_id: UUID) -> Standing:
    async with stage.ledger.transaction() as connection:
        return await moves.begin_release(connection, gpr_id, EndCause.EARLY_RELEASE, now(), actor="somebody")


async def start_in_real_time(stage: Stage, gpr_id: UUID) -> WorkflowHandle[GprWorkflow, str]:
    with stage.environment.with_time_skipping_disabled():
        lifecycle = await stage.start(gpr_id)
    while (await stage.gpr(gpr_id)).phase is not Phase.ACTIVE:
        await asyncio.sleep(0.05)
    return lifecycle


async def reconciled(stage: Stage) -> Repairs:
    lifecycle = await stage.start_workflow(
        ReconcileClusterWorkflow.run, stage.cluster.name, reconcile_schedule_id(f"{stage.cluster.name}-{id(stage)}")
    )
    repairs: Repairs = await lifecycle.result()
    return repairs


async def state_of(stage: Stage, node: str) -> NodeState:
    async with stage.ledger.reading() as connection:
        [found] = [one for one in await inventory.nodes(connection) if one.name == node]
    return found.state


async def pods_seen_of(stage: Stage, gpr_id: UUID) -> dict[str, datetime]:
    async with stage.ledger.reading() as connection:
        (row,) = await connection.fetch(
            "select p.* from pods_seen p join gpr g on g.fence = p.fence where g.id = $1", gpr_id
        )
    return dict(row)


async def running_pod(stage: Stage, workspace: UUID) -> str:
    namespace = (await stage.tenancy(workspace)).namespaces[0]
    pods = f"/api/v1/namespaces/{namespace}/pods"
    await asyncio.to_thread(stage.cluster.create, pods, POD_THAT_STAYS)
    while (await asyncio.to_thread(stage.cluster.get, f"{pods}/stays"))["status"].get("phase") != "Running":
        await asyncio.sleep(0.1)
    return f"{pods}/stays"
