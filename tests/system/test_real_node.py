"""Capacity tokens on a real kubelet with real processes, where the other tests' nodes are simulated."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from cli.stack import node_requirements
from cli.stack.node_programs import KUBELET
from cli.stack.real_node import running_real_node
from cli.stack.testing import running_cluster, running_temporal
from clusters.capacity import remove_tokens
from clusters.connection import ClusterConnection
from clusters.registration import install
from delivery.temporal import TemporalAddress, TemporalDoor
from domain.gpr import EndCause, Phase
from tests.builders_clusters import GPU
from tests.system.real_pods import SETTLED_SECONDS, LeaseOnRealNode, comes_true, kubelet_dies, kubelet_returns
from tests.workflows.stage import Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from cli.stack.real_node import RealNode
    from ledger.connection import Ledger

PATIENCE_SECONDS = 60
"""A kubelet that comes back within this is waited for, and its node is not set aside."""


@pytest.fixture(scope="module")
def node() -> Iterator[RealNode]:
    if lack := node_requirements.lack():
        pytest.skip(lack)
    with running_cluster([]) as cluster, running_real_node(cluster) as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def environment() -> AsyncIterator[WorkflowEnvironment]:
    """Temporal on the clock of the wall: containers cannot be told to hurry."""
    with running_temporal() as server:
        client = await TemporalDoor(TemporalAddress(server.address)).client()
        yield WorkflowEnvironment.from_client(client)


@pytest.fixture(scope="module")
def real_cluster(node: RealNode) -> Iterator[ClusterConnection]:
    connection = ClusterConnection.from_kubeconfig(node.cluster.name, node.cluster.kubeconfig_path)
    install(connection)
    yield connection
    connection.close()


@pytest_asyncio.fixture
async def stage(
    environment: WorkflowEnvironment, ledger: Ledger, real_cluster: ClusterConnection
) -> AsyncIterator[Stage]:
    async with Stage(environment, ledger, real_cluster, patience_seconds=PATIENCE_SECONDS) as opened:
        yield opened


@pytest_asyncio.fixture
async def lease(stage: Stage, node: RealNode) -> AsyncIterator[LeaseOnRealNode]:
    """Two of the node's four GPUs, active; over at the end, whatever the test did to it."""
    held = await a_tenant(stage, node)
    await held.begin(gpus=2)
    while await held.phase() is not Phase.ACTIVE:
        await asyncio.sleep(0.05)
    yield held
    if await held.phase() is Phase.ACTIVE:
        await (await held.end(EndCause.EARLY_RELEASE)).result()


def test_the_kubelet_finds_its_folder_shared_and_does_not_share_it_while_it_starts(node: RealNode) -> None:
    said = node.roster.log(f"{node.name}.{KUBELET}").read_text()
    assert "Started kubelet" in said
    assert "Bind-mounting" not in said


async def a_tenant(stage: Stage, node: RealNode) -> LeaseOnRealNode:
    """A workspace, without a lease yet."""
    workspace = await stage.a_workspace()
    return LeaseOnRealNode(stage, node, workspace, await stage.tenancy(workspace))


async def test_a_pod_of_the_lease_runs_with_gpus_of_the_nodes_device_plugin(lease: LeaseOnRealNode) -> None:
    pod = await lease.a_running_pod("training", gpus=2)
    assert pod.seen["spec"]["containers"][0]["resources"]["limits"] == {GPU: "2", lease.key: "2"}
    assert len(set(pod.log.strip().split(","))) == 2
    assert len(pod.processes) == 2  # the pod's first process, and sleep


async def test_a_pod_of_a_lease_outlives_a_killed_kubelet_and_so_do_the_tokens(lease: LeaseOnRealNode) -> None:
    pod = await lease.a_running_pod("training", gpus=2)
    before = pod.identity
    await kubelet_dies(lease.node)
    assert pod.processes == before["processes"]
    await kubelet_returns(lease.node, pod)
    assert pod.identity == before
    assert lease.resources == {GPU: ("4", "4"), lease.key: ("2", "2")}


async def test_a_pod_whose_tokens_were_taken_outlives_a_killed_kubelet(lease: LeaseOnRealNode) -> None:
    pod = await lease.a_running_pod("training", gpus=2)
    before = pod.identity
    await asyncio.to_thread(remove_tokens, lease.stage.cluster, lease.key, [lease.node.name])
    await kubelet_dies(lease.node)
    await kubelet_returns(lease.node, pod)
    assert pod.identity == before
    assert lease.tokens == 0


async def test_a_count_below_its_use_and_a_restart_would_cost_a_pod_its_life(lease: LeaseOnRealNode) -> None:
    """Why counts are never lowered; and the tests above would have seen it."""
    pod = await lease.a_running_pod("training", gpus=2)
    before = pod.identity
    await kubelet_dies(lease.node)
    too_few = {part: {lease.key: "1"} for part in ("capacity", "allocatable")}
    await asyncio.to_thread(lease.stage.cluster.merge, f"/api/v1/nodes/{lease.node.name}/status", {"status": too_few})
    await asyncio.to_thread(lease.node.start_part, KUBELET)
    assert await comes_true(lambda: pod.seen["status"]["phase"] == "Failed")
    assert pod.seen["status"]["reason"] == f"OutOf{lease.key}"
    assert await comes_true(lambda: not lease.node.processes_of(before["uid"]))


async def test_a_pod_of_another_workspace_waits_though_gpus_are_free(lease: LeaseOnRealNode) -> None:
    foreign = await a_tenant(lease.stage, lease.node)
    pod = await foreign.a_pod("intruder")
    assert await comes_true(lambda: f"Insufficient {foreign.key}" in pod.why_pending)
    await asyncio.sleep(SETTLED_SECONDS)
    assert pod.why_pending
    assert not pod.processes


async def test_after_teardown_the_pod_and_its_processes_are_gone_and_a_new_pod_waits(lease: LeaseOnRealNode) -> None:
    pod = await lease.a_running_pod("training", gpus=2)
    uid = pod.identity["uid"]
    assert lease.node.processes_of(uid)
    assert await (await lease.end(EndCause.EARLY_RELEASE)).result() == Phase.RELEASED
    assert lease.node.processes_of(uid) == set()
    assert await comes_true(lambda: pod.found is None)
    assert lease.resources == {GPU: ("4", "4"), lease.key: (None, None)}
    late = await lease.a_pod("late")
    assert await comes_true(lambda: f"Insufficient {lease.key}" in late.why_pending)
    await asyncio.sleep(SETTLED_SECONDS)
    assert late.why_pending


async def test_nothing_is_released_while_the_kubelet_is_dead_and_the_process_lives(lease: LeaseOnRealNode) -> None:
    pod = await lease.a_running_pod("training", gpus=2)
    uid = pod.identity["uid"]
    await kubelet_dies(lease.node)
    ending = await lease.end(EndCause.EARLY_RELEASE)
    assert await comes_true(lambda: "deletionTimestamp" in pod.seen["metadata"])
    await asyncio.sleep(SETTLED_SECONDS)
    assert await lease.phase() is Phase.RELEASING
    assert lease.node.processes_of(uid)
    await asyncio.to_thread(lease.node.start_part, KUBELET)
    assert await ending.result() == Phase.RELEASED
    assert lease.node.processes_of(uid) == set()
