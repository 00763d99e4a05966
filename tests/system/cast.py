"""The jobs of the test of jobs, all submitted at once: one of every kind, one for every way to fare badly, and those that wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.system.egs import Refusal
from tests.system.fates import fate, let_fates_count
from tests.system.freedom import until
from tests.system.gpuctl import MISSING, Gpuctl, a_document

if TYPE_CHECKING:
    from cli.client import Gpr
    from clusters.connection import ClusterConnection
    from tests.system.installation import Installation

Json = dict[str, Any]

NAMESPACE: Final = "system-jobs"
LIMITED: Final = "system-limited"
POOL: Final = "aside"
POOL_NODES: Final = ("worker-2-t4-1", "worker-2-t4-2")
PODS: Final = "/api/v1/pods"
STEP_SECONDS_MAX: Final = 60.0

BAD_STARTS: Final = ("ImagePullBackOff", "CrashLoopBackOff", "CreateContainerConfigError")
BAD_ENDS: Final = {"OOMKilled": "137", "Error": "3"}
KINDS: Final = {"inference": "Deployment", "notebook": "StatefulSet", "compute": "Deployment"}
"""Those that have no end of their own, and what Kubernetes makes of them."""


class Cast:
    """Jobs by name. What is asked about them is asked of a running installation."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.free = Gpuctl(installation.url, installation.key, NAMESPACE)
        self.limited = Gpuctl(installation.url, installation.key, LIMITED)

    def close(self) -> None:
        """Let go of the connections."""
        self.free.close()
        self.limited.close()

    def enter(self) -> None:
        """Make what the jobs need, and submit all of them."""
        installation = self.installation
        nodes = set(POOL_NODES)
        until(lambda: nodes <= {one.name for one in installation.native.nodes()}, "the nodes", STEP_SECONDS_MAX)
        for cluster in installation.clusters():
            let_fates_count(cluster)
        installation.egs.create_workspace(NAMESPACE, *installation.stack.clusters())
        self.limited.set_quota(1)
        self.free.ask("POST", "/pools", {"name": POOL, "nodes": list(POOL_NODES)})
        self._submit_all()

    def leave(self) -> None:
        """End what still lives, and take away what was made for it."""
        for gpuctl in (self.free, self.limited):
            for name in {row["name"] for row in gpuctl.rows()}:
                gpuctl.delete(name)
        until(lambda: not self._live(), "the end of all jobs", STEP_SECONDS_MAX)
        self.free.ask("DELETE", f"/pools/{POOL}")
        for gpuctl in (self.free, self.limited):
            gpuctl.ask("DELETE", f"/namespaces/{gpuctl.namespace}")
        until(lambda: _is_gone(self.free) and _is_gone(self.limited), "the end of the namespaces", STEP_SECONDS_MAX)

    def comes_to(self, name: str, status: str) -> Json:
        """The job's detail once this is its status."""
        return self.when(name, lambda job: job["status"] == status, status)

    def when(self, name: str, claim: Any, what: str) -> Json:
        """The job's detail once a claim about it is true."""
        last: Json = {}

        def look() -> bool:
            last.update(self.free.job(name))
            return bool(claim(last))

        try:
            until(look, f"{name} {what}", STEP_SECONDS_MAX)
        except AssertionError as error:
            error.add_note(f"it was {last['status']}, and {self.gpr(name)}")
            raise
        return last

    def gpr(self, name: str, workspace: str = NAMESPACE) -> Gpr:
        """The same job as the native API knows it; the newest of that name."""
        return next(one for one in self.installation.native.gprs(workspace=workspace) if one.name == name)

    def cluster_of(self, name: str) -> ClusterConnection:
        """The cluster that a job of ours is on."""
        lease = self.gpr(name).lease
        assert lease is not None
        return self.installation.cluster(lease.cluster)

    def objects(self, name: str, path: str) -> list[Json]:
        """What was made of one sort for a job."""
        label = f"berth.io/job={self.gpr(name).id}"
        return self.cluster_of(name).items(path, labelSelector=label)

    def let_end(self, name: str) -> None:
        """Let the containers of a job end well."""
        for pod in self.objects(name, PODS):
            path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}"
            self.cluster_of(name).merge(path, {"metadata": {"annotations": {"kwok.berth.io/run": "0s"}}})

    def _submit_all(self) -> None:
        self._submit("training", "trains", command=fate(run="2s"))
        self._submit("training", "gang", resources={"gpu": 2, "nodes": 2})
        self._submit("inference", "inference", service={"replicas": 2, "port": 8080})
        self._submit("notebook", "notebook")
        self._submit("compute", "compute")
        for reason in BAD_STARTS:
            self._submit("compute", reason.lower(), command=fate(wait_reason=reason))
        for reason, code in BAD_ENDS.items():
            command = fate(fail=reason, exit_code=code)
            self._submit("training", reason.lower(), command=command, job={"retries": 0})
        self._submit("compute", "too-big", resources={"cpu": 1000})
        self._submit("notebook", "pooled", resources={"pool": POOL})
        for name in ("first", "second", "third"):
            document = a_document("training", name, LIMITED, environment={"command": fate(run="2s")})
            self.limited.submit(document)

    def _submit(self, kind: str, name: str, *, command: list[str] | None = None, **sections: Json) -> None:
        environment = {"environment": {"command": command}} if command else {}
        self.free.submit(a_document(kind, name, NAMESPACE, **environment, **sections))

    def _live(self) -> list[str]:
        gprs = [gpr for name in (NAMESPACE, LIMITED) for gpr in self.installation.native.gprs(workspace=name)]
        return [gpr.name for gpr in gprs if not gpr.ended]


def _is_gone(gpuctl: Gpuctl) -> bool:
    try:
        gpuctl.ask("GET", f"/namespaces/{gpuctl.namespace}")
    except Refusal as refusal:
        return refusal.status == MISSING
    return False
