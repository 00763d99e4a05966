"""One Kubernetes cluster of the local stack: a real control plane whose GPU nodes are played by kwok.

Owns the cluster's folder and the order of its processes; nodes are created once and never overwritten, because
Berth's capacity tokens live in their status.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from cli.stack import storage
from cli.stack.control_plane import API_SERVER, CONTROLLERS, ETCD, KWOK, SCHEDULER, SNAPSHOTS
from cli.stack.failures import StackError
from cli.stack.nodes import NOT_READY
from cli.stack.probe import Endpoint
from cli.stack.toolchain import CRDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cli.stack.control_plane import ControlPlane
    from cli.stack.nodes import GpuNode
    from cli.stack.roster import Roster

ADMINISTRATOR = "admin"
ADMINISTRATORS = "system:masters"
USERS = (ADMINISTRATOR, CONTROLLERS, SCHEDULER, KWOK)
"""Those known by a token. The API server reads the tokens when it starts: whoever comes later is known by certificate."""
READY_SECONDS_MAX = 60.0
POLL_SECONDS = 0.05
ACCEPTED = (HTTPStatus.CREATED, HTTPStatus.CONFLICT)
WRITTEN = (HTTPStatus.OK, HTTPStatus.CREATED)
APPLY = "application/apply-patch+yaml"
NODE_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
LOG_LINE = "2026-01-01T00:00:00.000000000Z stdout F This pod is simulated by kwok: nothing runs in it.\n"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster of ours: start, stop and kill its parts as often as you like; what etcd holds stays."""

    plane: ControlPlane
    roster: Roster
    nodes: Sequence[GpuNode] = ()

    @property
    def name(self) -> str:
        """What Berth calls it."""
        return self.plane.cluster

    @property
    def url(self) -> str:
        """Where its API server answers."""
        return self.plane.url

    @property
    def kubeconfig_path(self) -> Path:
        """The administrator's kubeconfig; member of system:masters, so RBAC never says no."""
        return self.plane.kubeconfig(ADMINISTRATOR)

    @property
    def kubectl(self) -> Path:
        """The kubectl that was built with it."""
        return self.plane.binaries / "kubectl"

    @property
    def audit_log(self) -> Path:
        """Every write to the API, one JSON object a line."""
        return self.plane.audit_log

    @property
    def api(self) -> Endpoint:
        """Its API, as the administrator."""
        return Endpoint(self.url, str(self.plane.pki.authority), self._token(ADMINISTRATOR))

    def start(self) -> None:
        """Start what does not run and wait until pods could run; a second call changes nothing."""
        self._write_files()
        for component in (ETCD, API_SERVER):
            self.start_component(component)
        with ThreadPoolExecutor() as threads:
            list(threads.map(self._apply, storage.kinds(self.plane.snapshots / CRDS).items()))
            list(threads.map(self._apply, storage.objects().items()))
            list(threads.map(self.start_component, (CONTROLLERS, SCHEDULER, KWOK, SNAPSHOTS)))
            list(threads.map(self._create, self.nodes))
        self._await(self._accepts_pods, "does not accept pods")
        self._await(self._takes_snapshots, "does not take snapshots")
        self.await_nodes()

    def stop(self) -> None:
        """Stop every component; what etcd holds stays."""
        with ThreadPoolExecutor() as threads:
            list(threads.map(self._stop_component, (SNAPSHOTS, KWOK, SCHEDULER, CONTROLLERS)))
        for component in (API_SERVER, ETCD):
            self._stop_component(component)

    def start_component(self, component: str) -> None:
        """Start one component and wait until it is ready."""
        program = self.plane.program(component)
        if component == KWOK and not self.roster.runs_as(program):
            self._await(self._serves_snapshots, "does not serve snapshots")
            self._forget_leases()
        self.roster.start(program)

    def kill(self, component: str) -> None:
        """SIGKILL one component, as a crash would; `start` or `start_component` brings it back."""
        self.roster.kill(f"{self.name}.{component}")

    def is_running(self, component: str) -> bool:
        """Whether a component's process is there."""
        return self.roster.is_running(f"{self.name}.{component}")

    def add_node(self, node: GpuNode) -> None:
        """Add a simulated node and wait until it is Ready; one that exists is left as it is."""
        self._create(node)
        self.await_nodes([node])

    def await_nodes(self, nodes: Sequence[GpuNode] | None = None) -> None:
        """Wait until these nodes are Ready, by default the cluster's own; not for one that is kept NotReady."""
        names = {node.name for node in (self.nodes if nodes is None else nodes)}
        self._await(lambda: names <= self._settled_nodes(), "has nodes that do not get Ready")

    def kubeconfig_as(self, user: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig for another user, by certificate: what RBAC gives that user, and no more."""
        return self._write_kubeconfig(f"user-{user}", self._certificate(user, groups))

    def _apply(self, placed: tuple[str, object]) -> None:
        path, content = placed
        self._await(lambda: self._is_applied(path, content), f"does not take {path}")

    def _is_applied(self, path: str, content: object) -> bool:
        query = "?fieldManager=berth-devcluster&force=true"
        return self.api.request("PATCH", f"{path}{query}", content, form=APPLY).status in WRITTEN

    def _create(self, node: GpuNode) -> None:
        self._await(lambda: self._has(node), f"does not take node {node.name}")

    def _has(self, node: GpuNode) -> bool:
        return self.api.request("POST", "/api/v1/nodes", node.manifest).status in ACCEPTED

    def _forget_leases(self) -> None:
        """A kwok that died still holds its nodes' leases; without this the next one would wait for their end."""
        leases = self.api.request("GET", NODE_LEASES).json().get("items", [])
        for lease in leases:
            name = lease["metadata"]["name"]
            if lease["spec"].get("holderIdentity") != name:  # a real kubelet's lease is held by its node
                self.api.request("DELETE", f"{NODE_LEASES}/{name}")

    def _serves_snapshots(self) -> bool:
        lists = [self.api.request("GET", path).body for path in storage.LISTED]
        return all(kind in content for content in lists for kind in storage.PLAYED)

    def _takes_snapshots(self) -> bool:
        # listed is not taken: admission looks kinds up in a list of its own, which is renewed later
        return self.api.request("POST", f"{storage.COPIES}?dryRun=All", storage.A_COPY).status in WRITTEN

    def _accepts_pods(self) -> bool:
        return self.api.answers("/api/v1/namespaces/default/serviceaccounts/default")

    def _settled_nodes(self) -> set[str]:
        # from the API server's memory: asked often, and a moment old is good enough
        items = self.api.request("GET", "/api/v1/nodes?resourceVersion=0").json().get("items", [])
        return {node["metadata"]["name"] for node in items if _is_ready(node) or _is_kept_not_ready(node)}

    def _await(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not _holds(condition):
            if time.monotonic() > deadline:
                log = self.roster.log(f"{self.name}.{API_SERVER}")
                raise StackError(
                    f"{self.name} {what}, for {READY_SECONDS_MAX:.0f} s", mend=f"read {log} and those beside it"
                )
            time.sleep(POLL_SECONDS)

    def _stop_component(self, component: str) -> None:
        self.roster.stop(f"{self.name}.{component}")

    def _write_files(self) -> None:
        """Everything the processes read: made once where secret, rewritten where it follows from the settings."""
        folder = self.plane.folder
        folder.mkdir(parents=True, exist_ok=True)
        self.audit_log.parent.mkdir(parents=True, exist_ok=True)
        self.plane.pki.ensure()
        tokens = folder / "tokens.csv"
        if not tokens.exists():
            tokens.touch(mode=0o600)
            tokens.write_text("".join(f'{secrets.token_hex(16)},{user},{user},"{ADMINISTRATORS}"\n' for user in USERS))
        for user in USERS:
            self._write_kubeconfig(user, {"token": self._token(user)})
        self._write_kubeconfig(SNAPSHOTS, self._certificate(SNAPSHOTS, [ADMINISTRATORS]))
        (folder / "scheduler.yaml").write_text(json.dumps(self._scheduler_configuration()))
        (folder / "pod.log").write_text(LOG_LINE)
        documents = [json.dumps(document) for document in self._kwok_configuration()]
        (folder / "kwok.yaml").write_text("\n---\n".join(documents))

    def _token(self, user: str) -> str:
        lines = (self.plane.folder / "tokens.csv").read_text().splitlines()
        return next(token for token, name, *_ in (line.split(",") for line in lines) if name == user)

    def _certificate(self, user: str, groups: Sequence[str]) -> dict[str, str]:
        """What a kubeconfig says of a user who is known by certificate."""
        certificate, key = self.plane.pki.issue(f"user-{user}", user, groups=groups)
        return {"client-certificate-data": _base64(certificate), "client-key-data": _base64(key)}

    def _write_kubeconfig(self, user: str, identity: dict[str, str]) -> Path:
        server = {"server": self.url, "certificate-authority-data": _base64(self.plane.pki.authority)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": self.name,
            "clusters": [{"name": self.name, "cluster": server}],
            "users": [{"name": user, "user": identity}],
            "contexts": [{"name": self.name, "context": {"cluster": self.name, "user": user}}],
        }
        path = self.plane.kubeconfig(user)
        path.touch(mode=0o600)
        path.write_text(json.dumps(document, indent=2))
        return path

    def _scheduler_configuration(self) -> dict[str, Any]:
        return {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "leaderElection": {"leaderElect": False},
            "clientConnection": {"kubeconfig": str(self.plane.kubeconfig(SCHEDULER)), "qps": 1000, "burst": 2000},
        }

    def _kwok_configuration(self) -> list[dict[str, Any]]:
        """Exec stays off: kwok would run the command on this machine."""
        parallelism = dict.fromkeys(("podPlayStageParallelism", "nodePlayStageParallelism", "nodeLeaseParallelism"), 16)
        options = {
            "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
            "kind": "KwokConfiguration",
            "metadata": {"name": "kwok"},
            "options": {"enableDebuggingHandlers": True, **parallelism},
        }
        logs = {
            "apiVersion": "kwok.x-k8s.io/v1alpha1",
            "kind": "ClusterLogs",
            "metadata": {"name": "all"},
            "spec": {"logs": [{"logsFile": str(self.plane.folder / "pod.log"), "follow": False}]},
        }
        return [options, logs]


def _holds(condition: Callable[[], bool]) -> bool:
    """An API server that only just started may still refuse a request now and then."""
    try:
        return condition()
    except StackError:
        return False


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _is_kept_not_ready(node: dict[str, Any]) -> bool:
    return NOT_READY in node["metadata"].get("annotations", {})


def _base64(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
