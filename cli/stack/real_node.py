"""A real node beside the simulated ones: containerd and a kubelet that run real pods, with GPUs that are made up.

For tests, as root on Linux. What it mounts only it can see; what else it makes in the kernel `node_traces` removes,
also when the test's process dies.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from cli.stack import node_configuration, node_image, node_requirements, node_traces, toolchain
from cli.stack.failures import StackError, tail
from cli.stack.guard import guarded
from cli.stack.node_configuration import PAUSE_IMAGE, SYSCTLS, Place
from cli.stack.node_image import Image
from cli.stack.node_programs import CONTAINERD, KUBELET, MOUNTS, PLUGIN, NodePrograms, require_visible
from cli.stack.nodes import GpuNode
from cli.stack.ports import free_anywhere

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.stack.cluster import Cluster
    from cli.stack.roster import Roster

A_REAL_NODE = GpuNode(
    "real-1",
    gpus=4,
    product="NVIDIA-A100-SXM4-40GB",
    gpu_memory_mib=40_960,
    instance_type="berth-real-4",
    family="ampere",
    compute="8.0",
)
BUSYBOX = "localhost/berth/busybox:1"
"""The image that pods on a real node can use; there is no registry to pull others from."""
APPLETS = ("cat", "echo", "env", "ls", "nc", "ps", "sh", "sleep", "wget")
READY_SECONDS_MAX = 60.0
POLL_SECONDS = 0.05
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
NODES_RIGHTS = {
    "metadata": {"name": "berth-real-nodes"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:node"},
    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:nodes"}],
}


@contextmanager
def running_real_node(cluster: Cluster, node: GpuNode = A_REAL_NODE) -> Iterator[RealNode]:
    """A real node of this cluster, ready for pods; a StackError where this machine lacks something for it."""
    node_requirements.check()
    binaries = toolchain.binaries()
    with guarded() as roster:
        require_visible(roster.folder, cluster.plane.folder, binaries)
        place = Place(roster.folder / node_traces.FILES, node_traces.name_of(roster.folder))
        # a node's rights and no more
        kubeconfig = cluster.kubeconfig_as(f"system:node:{node.name}", groups=["system:nodes"])
        port, health_port = free_anywhere(2)
        real = RealNode(cluster, roster, NodePrograms(node, place, binaries, kubeconfig, health_port), port)
        real.start()
        try:
            yield real
        finally:
            real.leave()


@dataclass(frozen=True, slots=True)
class RealNode:
    """One node: kill its parts and start them again, and see what its pods really run."""

    cluster: Cluster
    roster: Roster
    programs: NodePrograms
    port: int
    """The kubelet's, on the node's own address."""

    @property
    def name(self) -> str:
        """What the cluster calls it."""
        return self.programs.node.name

    def start(self) -> None:
        """Start all parts and wait until pods with GPUs can run."""
        place = self.programs.place
        place.files.mkdir()
        node_traces.make_cgroups(self.roster.folder)
        node_traces.make_bridge(place.name, f"{place.address}/24")
        self._write_files()
        self.roster.start(self.programs.mounts())
        self.start_part(CONTAINERD)
        self._import_images()
        self._let_in()
        self.start_part(KUBELET)
        self.start_part(PLUGIN)
        self.await_ready()

    def kill(self, part: str) -> None:
        """SIGKILL one part, as a crash would; what its pods run goes on."""
        self.roster.kill(f"{self.name}.{part}")

    def start_part(self, part: str) -> None:
        """Start containerd, the kubelet or the device plugin unless it runs."""
        mounts = self.roster.record(f"{self.name}.{MOUNTS}")
        if mounts is None:
            raise StackError(f"{self.name} has not been started")
        self.roster.start(self.programs.part(part, mounts.pid))

    def await_ready(self, since: float = 0.0) -> None:
        """Wait until the kubelet says, later than `since` (seconds since the epoch), that it is ready with all GPUs."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not self._is_ready(since):
            if time.monotonic() > deadline:
                log = self.roster.log(f"{self.name}.{KUBELET}")
                raise StackError(f"{self.name} is not ready after {READY_SECONDS_MAX:.0f} s", detail=tail(log))
            time.sleep(POLL_SECONDS)

    def processes_of(self, pod_uid: str) -> set[int]:
        """The processes of a pod on this machine, whatever Kubernetes says about it."""
        return node_traces.processes(self.programs.place.name, f"pod{pod_uid}")

    def leave(self) -> None:
        """Kill everything on the node, and take the node and its pods out of the cluster: nothing of them is left."""
        self.kill(KUBELET)
        node_traces.remove(self.roster.folder)
        api = self.cluster.api
        for pod in api.request("GET", f"/api/v1/pods?fieldSelector=spec.nodeName={self.name}").json()["items"]:
            path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
            api.request("DELETE", f"{path}?gracePeriodSeconds=0")
        api.request("DELETE", f"/api/v1/nodes/{self.name}")

    def _is_ready(self, since: float) -> bool:
        answer = self.cluster.api.request("GET", f"/api/v1/nodes/{self.name}")
        if answer.status != HTTPStatus.OK:
            return False
        status = answer.json()["status"]
        ready = next((each for each in status.get("conditions", []) if each["type"] == "Ready"), None)
        if ready is None or ready["status"] != "True":
            return False
        said_at = dt.datetime.fromisoformat(ready["lastHeartbeatTime"]).timestamp()
        return said_at > since and status["allocatable"].get("nvidia.com/gpu") == str(self.programs.node.gpus)

    def _let_in(self) -> None:
        answer = self.cluster.api.request("POST", BINDINGS, NODES_RIGHTS)
        if answer.status not in {HTTPStatus.CREATED, HTTPStatus.CONFLICT}:
            raise StackError(f"{self.cluster.name} lets no node in", detail=answer.body.decode(errors="replace"))

    def _write_files(self) -> None:
        place, pki = self.programs.place, self.cluster.plane.pki
        serving = pki.issue(f"kubelet-{self.name}", self.name, names=[self.name, place.address])
        ports = (self.port, self.programs.health_port)
        contents = {
            "containerd.toml": node_configuration.containerd(place, node_requirements.plugins()),
            "network/10-berth.conflist": json.dumps(node_configuration.network(place)),
            "kubelet.json": json.dumps(node_configuration.kubelet(place, ports, pki.authority, serving)),
        }
        sysctls = {f"sysctls/{name}": value for name, value in SYSCTLS.items() if Path("/proc/sys", name).exists()}
        for name, content in {**contents, **sysctls}.items():
            file = place.files / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)

    def _import_images(self) -> None:
        pause, busybox = self.programs.binaries / "pause", Path(node_traces.program("busybox") or "busybox")
        links = {f"bin/{applet}": "busybox" for applet in APPLETS}
        for image in (
            Image(PAUSE_IMAGE, {"pause": pause}, entrypoint=["/pause"]),
            Image(BUSYBOX, {"bin/busybox": busybox}, links=links),
        ):
            archive = self.programs.place.files / "image.tar"
            node_image.write(image, archive)
            self.programs.import_image(archive)
