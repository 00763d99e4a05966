"""Pods with GPUs as a tenant would create them, and what is true of them: in Kubernetes, and on the machine itself."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from cli.stack.node_programs import KUBELET
from cli.stack.real_node import BUSYBOX
from clusters.capacity import read_tokens
from domain.identifiers import token_key
from ledger import lifecycle as moves
from tests.builders import now
from tests.builders_clusters import GPU, eventually
from workflows.gpr import GprWorkflow

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from temporalio.client import WorkflowHandle

    from cli.stack.real_node import RealNode
    from clusters.connection import ClusterConnection
    from domain.gpr import EndCause, Phase
    from domain.workspace import Tenancy
    from tests.workflows.stage import Stage

Json = dict[str, Any]

SETTLED_SECONDS = 2.0
"""In which a kubelet that restarted, or a scheduler that was told of something, would have done what it should not."""
SHOWS_ITS_GPUS = ["sh", "-c", "echo $NVIDIA_VISIBLE_DEVICES; exec sleep 3600"]


class RealPod:
    """One pod; asks the cluster and the machine each time."""

    def __init__(self, node: RealNode, cluster: ClusterConnection, namespace: str, name: str) -> None:
        self._node = node
        self._cluster = cluster
        self._path = f"/api/v1/namespaces/{namespace}/pods/{name}"

    def create(self, gpus: int) -> None:
        resources = {"limits": {GPU: str(gpus)}}
        container = {"name": "main", "image": BUSYBOX, "command": SHOWS_ITS_GPUS, "resources": resources}
        collection, _, name = self._path.rpartition("/")
        spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
        self._cluster.create(collection, {"metadata": {"name": name}, "spec": spec})

    @property
    def found(self) -> Json | None:
        return self._cluster.find(self._path)

    @property
    def seen(self) -> Json:
        return self._cluster.get(self._path)

    @property
    def runs(self) -> bool:
        return bool(self.seen["status"].get("phase") == "Running")

    @property
    def processes(self) -> set[int]:
        """What of it runs on this machine; the pod must still be known by name."""
        return self._node.processes_of(self.seen["metadata"]["uid"])

    @property
    def identity(self) -> Json:
        """What changes when the pod, or anything in it, was started anew."""
        pod = self.seen
        (container,) = pod["status"]["containerStatuses"]
        return {
            "uid": pod["metadata"]["uid"],
            "node": pod["spec"]["nodeName"],
            "phase": pod["status"]["phase"],
            "container": container["containerID"],
            "state": container["state"],
            "restarts": container["restartCount"],
            "processes": self.processes,
        }

    @property
    def why_pending(self) -> str:
        """The scheduler's words; "" while the pod is not waiting for a node."""
        said = [each for each in self.seen["status"].get("conditions", []) if each["type"] == "PodScheduled"]
        return "".join(each.get("message", "") for each in said if each["status"] == "False")

    @property
    def is_known_to_its_kubelet(self) -> bool:
        return self._node.cluster.api.request("GET", f"{self._path}/log").status == 200

    @property
    def log(self) -> str:
        return self._node.cluster.api.request("GET", f"{self._path}/log").body.decode()


class LeaseOnRealNode:
    """A workspace with an active lease, and its pods."""

    def __init__(self, stage: Stage, node: RealNode, workspace: UUID, tenancy: Tenancy) -> None:
        self.stage = stage
        self.node = node
        self.workspace = workspace
        self.tenancy = tenancy
        self.key = token_key(tenancy.tenant)
        self._gpr: UUID | None = None
        self._lifecycle: WorkflowHandle[GprWorkflow, str] | None = None

    async def begin(self, gpus: int) -> None:
        self._gpr = await self.stage.a_granted_gpr(self.workspace, gpus_per_node=gpus)
        self._lifecycle = await self.stage.start(self._gpr)

    async def phase(self) -> Phase:
        assert self._gpr is not None
        return (await self.stage.gpr(self._gpr)).phase

    async def end(self, cause: EndCause) -> WorkflowHandle[GprWorkflow, str]:
        """Decide that it ends, and tell its lifecycle."""
        assert self._gpr is not None
        assert self._lifecycle is not None
        async with self.stage.ledger.transaction() as connection:
            standing, _ = await moves.end_for_user(connection, self._gpr, cause, now(), "somebody")
        await self._lifecycle.signal(GprWorkflow.release, standing)
        return self._lifecycle

    async def a_pod(self, name: str, gpus: int = 1) -> RealPod:
        pod = RealPod(self.node, self.stage.cluster, self.tenancy.namespaces[0], name)
        await asyncio.to_thread(pod.create, gpus)
        return pod

    async def a_running_pod(self, name: str, gpus: int = 1) -> RealPod:
        pod = await self.a_pod(name, gpus)
        assert await comes_true(lambda: pod.runs), pod.seen["status"]
        return pod

    @property
    def tokens(self) -> int:
        return read_tokens(self.stage.cluster, self.key, [self.node.name])[self.node.name]

    @property
    def resources(self) -> Json:
        """What the node says it has of GPUs and of the lease's tokens: (capacity, allocatable) of each."""
        status = self.stage.cluster.get(f"/api/v1/nodes/{self.node.name}")["status"]
        return {key: (status["capacity"].get(key), status["allocatable"].get(key)) for key in (GPU, self.key)}


async def comes_true(claim: Callable[[], bool], seconds: float = 20) -> bool:
    return await asyncio.to_thread(eventually, claim, seconds)


async def kubelet_dies(node: RealNode) -> None:
    await asyncio.to_thread(node.kill, KUBELET)


async def kubelet_returns(node: RealNode, pod: RealPod) -> None:
    """It is back, has all its GPUs, knows the pod, and had time to do whatever it would do about it."""
    since = time.time()
    await asyncio.to_thread(node.start_part, KUBELET)
    await asyncio.to_thread(node.await_ready, since)
    assert await comes_true(lambda: pod.is_known_to_its_kubelet)
    await asyncio.sleep(SETTLED_SECONDS)
