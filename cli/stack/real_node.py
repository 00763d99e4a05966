"""A real node beside the simulated ones: containerd and a kubelet that run real pods, with GPUs that are made up.

For tests, as root on Linux. The node's mounts are its own, so it and everything else of this machine do not see each
other's; its cgroups and bridge are removed by `node_traces`, also when the test's process dies.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.stack import node_configuration, node_image, node_requirements, node_traces, toolchain
from cli.stack.failures import StackError, tail
from cli.stack.guard import guarded
from cli.stack.node_configuration import PAUSE_IMAGE, SYSCTLS, Place
from cli.stack.node_image import Image
from cli.stack.nodes import GpuNode
from cli.stack.ports import LOOPBACK, free_anywhere
from cli.stack.probe import Endpoint
from cli.stack.processes import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
MOUNTS = "mounts"
CONTAINERD = "containerd"
KUBELET = "kubelet"
PLUGIN = "deviceplugin"
READY_SECONDS_MAX = 60.0
POLL_SECONDS = 0.05
SUBNETS = range(256)
"""198.18.n.0/24: addresses that are set aside for trials, so that nothing outside has them."""
IDENTITY = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "berth-real-nodes"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:node"},
    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:nodes"}],
}
"""A kubelet has a node's rights and no more."""
HIDE = """
umask 022
echo $$ > "$1"
mount -t tmpfs -o mode=755 berth /run
mount -t tmpfs -o mode=755 berth /var/lib
cd "$2"
for file in $(find . -type f); do mount --bind "$file" "/proc/sys/$file"; done
: > "$3"
exec sleep infinity
"""
"""Holds the node's mounts: empty places instead of this machine's /run and /var/lib, where paths are built in."""
ENTER = 'umask 022; echo $$ > "$1"; mounts=$2; shift 2; exec nsenter --mount="$mounts" -- "$@"'
HIDDEN = (Path("/run"), Path("/var/lib"), Path("/var/run"))


@contextmanager
def running_real_node(cluster: Cluster, node: GpuNode = A_REAL_NODE) -> Iterator[RealNode]:
    """A real node of this cluster, ready for pods; a StackError where this machine lacks something for it."""
    node_requirements.check()
    binaries = toolchain.binaries()
    with guarded() as roster:
        place = _place(roster.folder)
        ports = free_anywhere(2)
        real = RealNode(node, cluster, roster, binaries, place, (ports[0], ports[1]))
        real.start()
        try:
            yield real
        finally:
            real.leave()


@dataclass(frozen=True, slots=True)
class RealNode:
    """One node: start it, kill and start its parts again, and see what its pods really run."""

    node: GpuNode
    cluster: Cluster
    roster: Roster
    binaries: Path
    place: Place
    ports: tuple[int, int]
    """The kubelet's, and that of its health."""

    @property
    def name(self) -> str:
        """What the cluster calls it."""
        return self.node.name

    def start(self) -> None:
        """Start all parts and wait until pods with GPUs can run."""
        procs = node_traces.make_cgroups(self.place.cgroup)
        _make_bridge(self.place)
        self._write_files()
        self.roster.start(self._mounts(procs))
        self.start_part(CONTAINERD)
        self._import_images()
        self._let_in()
        self.start_part(KUBELET)
        self.start_part(PLUGIN)
        self.await_ready()

    def kill(self, part: str) -> None:
        """SIGKILL one part, as a crash would; what containers run goes on."""
        self.roster.kill(f"{self.name}.{part}")

    def start_part(self, part: str) -> None:
        """Start containerd, the kubelet or the device plugin unless it runs."""
        self.roster.start(self._part(part))

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
        return node_traces.processes(self.place.cgroup, f"pod{pod_uid}")

    def leave(self) -> None:
        """Kill everything on the node, and take the node and its pods out of the cluster: nothing of them is left."""
        self.kill(KUBELET)
        node_traces.remove(self.roster.folder)
        pods = self.cluster.api.request("GET", f"/api/v1/pods?fieldSelector=spec.nodeName={self.name}")
        for pod in pods.json().get("items", []):
            path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
            self.cluster.api.request("DELETE", f"{path}?gracePeriodSeconds=0")
        self.cluster.api.request("DELETE", f"/api/v1/nodes/{self.name}")

    def _is_ready(self, since: float) -> bool:
        answer = self.cluster.api.request("GET", f"/api/v1/nodes/{self.name}")
        if answer.status != HTTPStatus.OK:
            return False
        status = answer.json()["status"]
        ready = next((each for each in status.get("conditions", []) if each["type"] == "Ready"), None)
        if ready is None or ready["status"] != "True":
            return False
        said = dt.datetime.fromisoformat(ready["lastHeartbeatTime"]).timestamp()
        return said > since and status["allocatable"].get("nvidia.com/gpu") == str(self.node.gpus)

    def _let_in(self) -> None:
        answer = self.cluster.api.request("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", IDENTITY)
        if answer.status not in {HTTPStatus.CREATED, HTTPStatus.CONFLICT}:
            raise StackError(f"{self.cluster.name} does not let a node in", detail=answer.body.decode(errors="replace"))

    def _write_files(self) -> None:
        files, pki = self.place.files, self.cluster.plane.pki
        serving = pki.issue(f"kubelet-{self.name}", self.name, names=[self.name, self.place.address])
        settings = node_configuration.kubelet(self.place, self.ports, pki.authority, serving)
        contents = {
            "containerd.toml": node_configuration.containerd(self.place),
            "network/10-berth.conflist": json.dumps(node_configuration.network(self.place)),
            "kubelet.json": json.dumps(settings),
        }
        sysctls = {f"sysctls/{name}": value for name, value in SYSCTLS.items() if Path("/proc/sys", name).exists()}
        for name, content in {**contents, **sysctls}.items():
            (files / name).parent.mkdir(parents=True, exist_ok=True)
            (files / name).write_text(content)

    def _import_images(self) -> None:
        busybox = Path(node_requirements.program("busybox") or "")
        links = {f"bin/{applet}": "busybox" for applet in APPLETS}
        for image in (
            Image(PAUSE_IMAGE, {"pause": self.binaries / "pause"}, entrypoint=["/pause"]),
            Image(BUSYBOX, {"bin/busybox": busybox}, links=links),
        ):
            archive = self.place.files / "image.tar"
            node_image.write(image, archive)
            self._ctr("--namespace", "k8s.io", "images", "import", str(archive))

    def _ctr(self, *arguments: str) -> None:
        argv = [node_requirements.program("ctr") or "", "--address", str(self.place.containerd), *arguments]
        answer = subprocess.run(argv, capture_output=True, text=True, check=False)
        if answer.returncode:
            raise StackError(f"containerd refuses {' '.join(arguments)}", detail=answer.stderr.strip())

    def _mounts(self, procs: Path) -> Program:
        done = self.place.files / "mounted"
        argv = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-euc", HIDE, "berth"]
        argv += [str(procs), str(self.place.files / "sysctls"), str(done)]
        return self._program(MOUNTS, argv, done.exists)

    def _part(self, part: str) -> Program:
        argv, ready = {CONTAINERD: self._containerd, KUBELET: self._kubelet, PLUGIN: self._plugin}[part]()
        holder = self.roster.record(f"{self.name}.{MOUNTS}")
        if holder is None:
            raise StackError(f"{self.name} has not been started")
        procs = str(node_traces.parts_entrance(self.place.cgroup))
        entered = ["/bin/sh", "-euc", ENTER, "berth", procs, f"/proc/{holder.pid}/ns/mnt", *argv]
        return self._program(part, entered, ready)

    def _program(self, part: str, argv: list[str], ready: Callable[[], bool]) -> Program:
        return Program(
            name=f"{self.name}.{part}",
            argv=argv,
            ready=ready,
            folder=self.roster.folder,
            environment={"PATH": node_requirements.SEARCHED, "HOME": str(self.place.files)},
        )

    def _containerd(self) -> tuple[list[str], Callable[[], bool]]:
        return [CONTAINERD, "--config", str(self.place.files / "containerd.toml")], self._containerd_answers

    def _containerd_answers(self) -> bool:
        try:
            self._ctr("version")
        except StackError:
            return False
        return True

    def _kubelet(self) -> tuple[list[str], Callable[[], bool]]:
        kubeconfig = self.cluster.kubeconfig_as(f"system:node:{self.name}", groups=["system:nodes"])
        labels = self.node.manifest["metadata"]["labels"]
        argv = [
            str(self.binaries / KUBELET),
            f"--config={self.place.files / 'kubelet.json'}",
            f"--kubeconfig={kubeconfig}",
            f"--root-dir={self.place.files / 'kubelet'}",
            f"--cert-dir={self.place.files / 'kubelet-pki'}",
            f"--hostname-override={self.name}",
            f"--node-ip={self.place.address}",
            f"--node-labels={','.join(f'{key}={value}' for key, value in labels.items())}",
            "--v=2",
        ]
        health = Endpoint(f"http://{LOOPBACK}:{self.ports[1]}")
        return argv, lambda: health.answers("/healthz")

    def _plugin(self) -> tuple[list[str], Callable[[], bool]]:
        return [str(self.binaries / PLUGIN), f"-count={self.node.gpus}"], lambda: True
