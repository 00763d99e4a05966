"""One stack's parts, put together from its settings: which there are, how each is run, what each is told.

Starts nothing; `stack` decides when.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from cli.stack import nodes, own, temporal, toolchain
from cli.stack.cluster import Cluster
from cli.stack.control_plane import COMPONENTS, ClusterPorts, ControlPlane
from cli.stack.own import OwnProcesses
from cli.stack.ports import LOOPBACK
from cli.stack.postgres import NAME as POSTGRES
from cli.stack.postgres import Postgres
from cli.stack.temporal import NAME as TEMPORAL
from cli.stack.temporal import Temporal, TemporalPorts

if TYPE_CHECKING:
    from cli.stack.roster import Roster
    from cli.stack.settings import Settings

BERTH = "berth"
CLUSTER_PORTS = tuple(field.name for field in fields(ClusterPorts))
TEMPORAL_PORTS = tuple(field.name for field in fields(TemporalPorts))


@dataclass(frozen=True, slots=True)
class Assembly:
    """The parts of one stack. A group is what starts and stops as one: postgres, temporal, each cluster, berth."""

    settings: Settings
    roster: Roster

    @property
    def clusters(self) -> list[str]:
        """Clusters that Berth works with, the stack's own or attached ones."""
        return list(self.settings.attached.kubeconfigs) or nodes.clusters()

    @property
    def own_groups(self) -> list[str]:
        """What is ours to start and stop, in the order of need."""
        attached = self.settings.attached
        own_postgres = [] if attached.database_url else [POSTGRES]
        own_temporal = [] if attached.temporal_address else [TEMPORAL]
        own_clusters = [] if attached.kubeconfigs else self.clusters
        return [*own_postgres, *own_temporal, *own_clusters, BERTH]

    @property
    def attached(self) -> dict[str, str]:
        """What is the user's own: the part, and where it is."""
        attached = self.settings.attached
        named = {POSTGRES: attached.database_url, TEMPORAL: attached.temporal_address, **attached.kubeconfigs}
        return {part: place for part, place in named.items() if place}

    def processes(self, group: str) -> list[str]:
        """Names of the processes of a group."""
        if group in {POSTGRES, TEMPORAL}:
            return [group]
        return list(own.commands(self.clusters)) if group == BERTH else [f"{group}.{each}" for each in COMPONENTS]

    def purposes(self, group: str) -> list[str]:
        """What a group needs ports for."""
        if group == POSTGRES:
            return [POSTGRES]
        if group == TEMPORAL:
            return [f"{TEMPORAL}.{each}" for each in TEMPORAL_PORTS]
        return own.purposes(self.clusters) if group == BERTH else [f"{group}.{each}" for each in CLUSTER_PORTS]

    @property
    def postgres(self) -> Postgres:
        """The stack's own PostgreSQL."""
        return Postgres(self.roster, self._port(POSTGRES))

    @property
    def temporal(self) -> Temporal:
        """The stack's own Temporal."""
        return Temporal(self.roster, TemporalPorts(*map(self._port, self.purposes(TEMPORAL))))

    def cluster(self, name: str) -> Cluster:
        """One of the stack's own clusters."""
        plane = ControlPlane(
            cluster=name,
            folder=self.roster.folder / name,
            binaries=toolchain.place(),
            snapshots=toolchain.SNAPSHOTS.place,
            ports=ClusterPorts(*map(self._port, self.purposes(name))),
            audit_log=self.roster.log(f"{name}.audit"),
        )
        return Cluster(plane, self.roster, nodes.fleet(name))

    @property
    def berth(self) -> OwnProcesses:
        """Berth's own processes."""
        return OwnProcesses(self.clusters, self.settings.ports, self.environment, self.roster.log("x").parent)

    def kubeconfig(self, cluster: str) -> Path:
        """The administrator's kubeconfig of a cluster, own or attached."""
        attached = self.settings.attached.kubeconfigs
        return Path(attached[cluster]) if attached else self.cluster(cluster).kubeconfig_path

    @property
    def environment(self) -> dict[str, str]:
        """What Berth's processes are told; enough to run one by hand beside them."""
        attached = self.settings.attached
        kubeconfigs = [f"{name}={self.kubeconfig(name)}" for name in self.clusters]
        return {
            "DATABASE_URL": attached.database_url or self.postgres.url,
            "TEMPORAL_ADDRESS": attached.temporal_address or self.temporal.address,
            "TEMPORAL_NAMESPACE": temporal.NAMESPACE,
            "BERTH_KUBECONFIGS": ",".join(kubeconfigs),
            "BERTH_API_HOST": LOOPBACK,
            "BERTH_API_PORT": str(self._port(own.API)),
            "BERTH_LOG_FORMAT": "json",
            "BERTH_SECRETS_KEYS": self.settings.secrets_keys,
        }

    @property
    def urls(self) -> dict[str, str]:
        """Where people go."""
        api = f"http://{LOOPBACK}:{self._port(own.API)}"
        ui = {} if self.settings.attached.temporal_address else {"Temporal UI": self.temporal.ui_url}
        return {"API": api, "API documentation": f"{api}/docs", **ui}

    def _port(self, purpose: str) -> int:
        """0 until a port was claimed: enough to name a part, never to start it."""
        return self.settings.ports.get(purpose, 0)
