"""The jobs among a population: one in every state that a kill may find them in.

job-runs   runs, until somebody deletes it
job-ends   its containers end a moment before the part is killed
job-stops  deleted, but its pod does not go
job-waits  queued: the quota of their namespace has room for three
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from domain.gpr import Phase
from tests.system.freedom import JOB_LABEL, until
from tests.system.gpuctl import Gpuctl, a_document
from tests.system.obstacles import HOLD, let_pod_go

if TYPE_CHECKING:
    from cli.client import Gpr
    from clusters.connection import ClusterConnection
    from tests.system.installation import Installation

Json = dict[str, Any]

RUNS, ENDS, STOPS, WAITS = "job-runs", "job-ends", "job-stops", "job-waits"
JOB_ROLES: Final = (RUNS, ENDS, STOPS, WAITS)
NAMESPACE: Final = "kill-jobs"
GPUS: Final = 3
KINDS: Final = {RUNS: "compute", ENDS: "training", STOPS: "compute", WAITS: "compute"}
END: Final = "kwok.berth.io/run"
RUNNING: Final = "Running"
SECONDS_MAX: Final = 120.0


class JobPopulation:
    """The jobs of one round, by role."""

    def __init__(self, installation: Installation, cluster: str, shape: str) -> None:
        self.gpuctl = Gpuctl(installation.url, installation.key, NAMESPACE)
        self.names: dict[str, str] = {}
        self._installation = installation
        self._cluster = cluster
        self._shape = shape

    def settle_in(self) -> None:
        """Make the namespace that all rounds share."""
        self._installation.egs.create_workspace(NAMESPACE, self._cluster)
        self.gpuctl.set_quota(GPUS)

    def submit(self, role: str, name: str) -> str:
        """Queue one for this role; the id that EGS knows it by."""
        self.names[role] = name
        resources = {"resources": {"gpu-type": self._shape}}
        self.gpuctl.submit(a_document(KINDS[role], name, NAMESPACE, **resources), key=name)
        return self.gpr(role).external_id

    def gpr(self, role: str) -> Gpr:
        """The job of this role as the native API shows it."""
        mine = self._installation.native.gprs(workspace=NAMESPACE)
        return next(gpr for gpr in mine if gpr.name == self.names[role])

    def await_status(self, role: str, status: str) -> None:
        """Wait until its pods show this."""
        until(lambda: self.gpuctl.status(self.names[role]) == status, f"{role} {status}", SECONDS_MAX)

    def pin_down(self) -> None:
        """Delete the one that stops; its pod is told to go and does not."""
        (pod,) = self._pods(STOPS)
        self._annotate(pod, HOLD, "true")
        self.gpuctl.delete(self.names[STOPS])
        until(lambda: "deletionTimestamp" in self._pods(STOPS)[0]["metadata"], f"{STOPS}, told to go", SECONDS_MAX)
        until(lambda: self.gpr(STOPS).phase is Phase.RELEASING, f"{STOPS} releasing", SECONDS_MAX)

    def let_end(self) -> None:
        """Let the containers of the one that ends, end."""
        for pod in self._pods(ENDS):
            self._annotate(pod, END, "0s")

    def let_go(self) -> None:
        """Let the pod go that does not."""
        for pod in self._pods(STOPS):
            let_pod_go(self._connection, NAMESPACE, pod["metadata"]["name"])

    def move_out(self) -> None:
        """Take away what its namespace, which goes as all others, would leave."""
        self.gpuctl.ask("DELETE", f"/quotas/{NAMESPACE}")
        self.gpuctl.close()

    @property
    def _connection(self) -> ClusterConnection:
        return self._installation.cluster(self._cluster)

    def _pods(self, role: str) -> list[Json]:
        label = f"{JOB_LABEL}={self.gpr(role).id}"
        return self._connection.items(f"/api/v1/namespaces/{NAMESPACE}/pods", labelSelector=label)

    def _annotate(self, pod: Json, key: str, value: str) -> None:
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}"
        self._connection.merge(path, {"metadata": {"annotations": {key: value}}})
