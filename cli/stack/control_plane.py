"""The processes of one development cluster as command lines: etcd, API server, controllers, scheduler, kwok, snapshots.

Only says how each is run and when it is ready; `cluster` decides the order.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.stack.folders import DEVCLUSTER
from cli.stack.pki import Pki
from cli.stack.ports import LOOPBACK
from cli.stack.probe import Endpoint
from cli.stack.processes import Program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ETCD = "etcd"
API_SERVER = "kube-apiserver"
CONTROLLERS = "kube-controller-manager"
SCHEDULER = "kube-scheduler"
KWOK = "kwok"
SNAPSHOTS = "snapshot-controller"
COMPONENTS = (ETCD, API_SERVER, CONTROLLERS, SCHEDULER, KWOK, SNAPSHOTS)

BINARIES = {ETCD: "server"}
"""Where the file is not called like the component: Go names a tool after its folder."""
STOP_SECONDS_MAX = 5.0
"""Nothing is lost by a kill: what counts is in etcd, on disk."""
EVERYWHERE = "0.0.0.0"  # noqa: S104 - only in a container, whose network is its own
ETCD_BYTES_MAX = 2 * 1024**3
NODE_LEASE_SECONDS = 40
SNAPSHOT_RETRY_SECONDS_MAX = 10
ENABLED_CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "node-lifecycle-controller",
    "persistentvolume-attach-detach-controller",
    "persistentvolume-binder-controller",
    "persistentvolume-protection-controller",
    "persistentvolumeclaim-protection-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "resourceclaim-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "statefulset-controller",
    "taint-eviction-controller",
    "ttl-after-finished-controller",
)


@dataclass(frozen=True, slots=True)
class ClusterPorts:
    """Loopback ports of one cluster."""

    etcd: int
    etcd_peer: int
    api: int
    controllers: int
    scheduler: int
    kwok: int
    snapshots: int


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """Everything the command lines depend on."""

    cluster: str
    folder: Path
    binaries: Path
    snapshots: Path
    """The folder of the snapshot-controller and of the kinds that it knows."""
    ports: ClusterPorts
    audit_log: Path
    durable: bool = True
    """False skips fsync in etcd: for tests."""
    host: str = LOOPBACK
    """The name under which others reach the API server; other than loopback, it listens everywhere."""

    @property
    def pki(self) -> Pki:
        """Its certificates."""
        return Pki(self.folder / "pki", self.host)

    def kubeconfig(self, user: str) -> Path:
        """The kubeconfig file of one of its users."""
        return self.folder / f"{user}.kubeconfig"

    @property
    def url(self) -> str:
        """Where the API server answers."""
        return f"https://{self.host}:{self.ports.api}"

    def program(self, component: str) -> Program:
        """How one component is run."""
        argv, ready = {
            ETCD: self._etcd,
            API_SERVER: self._api_server,
            CONTROLLERS: self._controllers,
            SCHEDULER: self._scheduler,
            KWOK: self._kwok,
            SNAPSHOTS: self._snapshots,
        }[component]()
        binaries = self.snapshots if component == SNAPSHOTS else self.binaries
        return Program(
            name=f"{self.cluster}.{component}",
            argv=[str(binaries / BINARIES.get(component, component)), *argv],
            ready=ready,
            folder=self.folder,
            environment={"PATH": os.defpath, "HOME": str(self.folder)},
            stop_seconds_max=STOP_SECONDS_MAX,
        )

    def _etcd(self) -> tuple[list[str], Callable[[], bool]]:
        client, peer = f"http://{LOOPBACK}:{self.ports.etcd}", f"http://{LOOPBACK}:{self.ports.etcd_peer}"
        argv = [
            "--name=only",
            f"--data-dir={self.folder / 'etcd'}",
            "--log-level=warn",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=only={peer}",
            f"--quota-backend-bytes={ETCD_BYTES_MAX}",
            f"--unsafe-no-fsync={'false' if self.durable else 'true'}",
        ]
        return argv, _answers(client, "/health")

    def _api_server(self) -> tuple[list[str], Callable[[], bool]]:
        server, key = self.pki.server
        public, private = self.pki.service_accounts
        issuer = "https://kubernetes.default.svc"
        argv = [
            f"--etcd-servers=http://{LOOPBACK}:{self.ports.etcd}",
            f"--bind-address={LOOPBACK if self.host == LOOPBACK else EVERYWHERE}",
            f"--advertise-address={LOOPBACK}",
            f"--secure-port={self.ports.api}",
            f"--tls-cert-file={server}",
            f"--tls-private-key-file={key}",
            f"--client-ca-file={self.pki.authority}",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            f"--service-account-issuer={issuer}",
            f"--api-audiences={issuer}",
            f"--service-account-key-file={public}",
            f"--service-account-signing-key-file={private}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--endpoint-reconciler-type=none",
            "--allow-privileged=true",
            # one user's machine: throttling would only make measurements lie
            "--enable-priority-and-fairness=false",
            "--max-requests-inflight=0",
            "--max-mutating-requests-inflight=0",
            "--profiling=false",
            "--delete-collection-workers=4",
            "--kubelet-preferred-address-types=InternalIP",
            f"--kubelet-certificate-authority={self.pki.authority}",
            f"--kubelet-client-certificate={server}",
            f"--kubelet-client-key={key}",
            f"--audit-policy-file={DEVCLUSTER / 'audit-policy.yaml'}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-maxsize=50",
            "--audit-log-maxbackup=2",
        ]
        return argv, _answers(self.url, "/readyz", self.pki.authority)

    def _controllers(self) -> tuple[list[str], Callable[[], bool]]:
        argv = [
            f"--kubeconfig={self.kubeconfig(CONTROLLERS)}",
            *self._serving(self.ports.controllers),
            f"--service-account-private-key-file={self.pki.service_accounts[1]}",
            f"--root-ca-file={self.pki.authority}",
            "--leader-elect=false",
            "--kube-api-qps=1000",
            "--kube-api-burst=2000",
            f"--node-monitor-grace-period={NODE_LEASE_SECONDS}s",
            f"--controllers={','.join(ENABLED_CONTROLLERS)}",
        ]
        return argv, _answers(f"https://{LOOPBACK}:{self.ports.controllers}", "/healthz", self.pki.authority)

    def _scheduler(self) -> tuple[list[str], Callable[[], bool]]:
        argv = [f"--config={self.folder / 'scheduler.yaml'}", *self._serving(self.ports.scheduler)]
        return argv, _answers(f"https://{LOOPBACK}:{self.ports.scheduler}", "/readyz", self.pki.authority)

    def _kwok(self) -> tuple[list[str], Callable[[], bool]]:
        server, key = self.pki.server
        stages = sorted((DEVCLUSTER / "stages").glob("*.yaml"))
        argv = [
            f"--kubeconfig={self.kubeconfig(KWOK)}",
            *(f"--config={file}" for file in (self.folder / "kwok.yaml", *stages)),
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
            f"--node-lease-duration-seconds={NODE_LEASE_SECONDS}",
            f"--node-ip={LOOPBACK}",
            f"--node-port={self.ports.kwok}",
            f"--server-address={LOOPBACK}:{self.ports.kwok}",
            "--cidr=10.64.0.0/12",
            f"--tls-cert-file={server}",
            f"--tls-private-key-file={key}",
        ]
        return argv, _answers(f"https://{LOOPBACK}:{self.ports.kwok}", "/healthz", self.pki.authority)

    def _snapshots(self) -> tuple[list[str], Callable[[], bool]]:
        place = f"{LOOPBACK}:{self.ports.snapshots}"
        argv = [
            f"--kubeconfig={self.kubeconfig(SNAPSHOTS)}",
            f"--http-endpoint={place}",
            "--kube-api-qps=1000",
            "--kube-api-burst=2000",
            # what failed for a moment is tried again in a moment
            f"--retry-interval-max={SNAPSHOT_RETRY_SECONDS_MAX}s",
        ]
        return argv, _answers(f"http://{place}", "/metrics")

    def _serving(self, port: int) -> list[str]:
        server, key = self.pki.server
        return [
            f"--bind-address={LOOPBACK}",
            f"--secure-port={port}",
            f"--tls-cert-file={server}",
            f"--tls-private-key-file={key}",
            "--profiling=false",
        ]


def _answers(url: str, path: str, authority: Path | None = None) -> Callable[[], bool]:
    endpoint = Endpoint(url, ca_file=str(authority) if authority else None)
    return lambda: endpoint.answers(path)
