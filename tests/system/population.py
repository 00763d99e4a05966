"""One Gpr in every phase of its life, each kept there until it is let go; and some that are just passing through.

held      active, for an hour
queued    behind `held`, in the same workspace
stopped   provisioning: a broken webhook stands before its node
leaving   releasing: a pod of it does not go
passing   submitted a moment before the part is killed, with a lease of seconds: caught in whatever step it is

And jobs (`job_population.py`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from secrets import token_hex
from typing import TYPE_CHECKING, Final

from domain.gpr import TERMINAL, Phase
from tests.system import job_population as jobs
from tests.system.freedom import until
from tests.system.job_population import JOB_ROLES, JobPopulation
from tests.system.kubectl import a_gpu_pod
from tests.system.obstacles import Gate, let_pod_go

if TYPE_CHECKING:
    from cli.client import Gpr
    from tests.system.installation import Installation

CLUSTER: Final = "worker-1"
OTHER_CLUSTER: Final = "worker-2"
H100: Final = "NVIDIA-H100-80GB-HBM3"
A100: Final = "NVIDIA-A100-SXM4-40GB"
GATED_NODE: Final = "worker-1-a100-1"
"""The only one with A100s in its cluster."""

HELD, QUEUED, STOPPED, LEAVING = "held", "queued", "stopped", "leaving"
PASSING = ("passing-1", "passing-2")
MEANWHILE, FRESH, FAR = "meanwhile", "fresh", "far"
WORKSPACES: Final = {role: f"kill-{role}" for role in (HELD, STOPPED, LEAVING, *PASSING, MEANWHILE, FRESH, FAR)}
NAMESPACES: Final = (*WORKSPACES.values(), jobs.NAMESPACE)
HOUR: Final = "0d1h0m0s"
PASSING_LEASE: Final = "0d0h0m6s"
FILL_SECONDS_MAX: Final = 120.0
"""Kubernetes' own controllers may take a minute to come back to an API server that was away for half a minute."""
NODES_SECONDS_MAX: Final = 60.0
SEEN_MAX: Final = 100
"""Gprs that are looked at: those of the round, and many before it."""


@dataclass(slots=True)
class Population:
    """The Gprs of one round, by role. `known` keeps the ids of every round."""

    installation: Installation
    run: str = field(default_factory=lambda: token_hex(3))
    """Sets the names apart from those of an earlier run on the same stack."""
    number: int = 0
    ids: dict[str, str] = field(default_factory=dict)
    known: list[str] = field(default_factory=list)
    jobs: JobPopulation = field(init=False)

    def __post_init__(self) -> None:
        self.jobs = JobPopulation(self.installation, CLUSTER, H100)

    @property
    def pod(self) -> str:
        """The pod that keeps `leaving`. A new name each time: a scheduler that missed the old one's end stumbles over it."""
        return f"stays-{self.number}"

    @property
    def gate(self) -> Gate:
        """What keeps `stopped` from its node."""
        return Gate(self.installation.cluster(CLUSTER), GATED_NODE)

    def settle_in(self) -> None:
        """Make the workspaces that all rounds share."""
        egs = self.installation.egs
        shapes = {H100, A100}
        until(lambda: shapes <= {one["gpuModelName"] for one in egs.inventory()}, "the nodes", NODES_SECONDS_MAX)
        for role, name in WORKSPACES.items():
            egs.create_workspace(name, OTHER_CLUSTER if role == FAR else CLUSTER)
        self.jobs.settle_in()

    def fill(self) -> None:
        """A Gpr in every phase."""
        self.number += 1
        self.ids = {}
        self.gate.shut()
        self.submit(HELD, numberOfGPUs=2)
        self.submit(LEAVING)
        for role in JOB_ROLES:
            if role != jobs.WAITS:
                self._submit_job(role)
        self._await_phase(HELD, Phase.ACTIVE)
        self.submit(QUEUED, workspace=WORKSPACES[HELD])
        self._await_phase(LEAVING, Phase.ACTIVE)
        self._pin_down_leaving()
        self._await_phase(LEAVING, Phase.RELEASING)
        self.submit(STOPPED, gpuShape=A100)
        self._fill_jobs()
        self._await_phase(STOPPED, Phase.PROVISIONING)
        self._await_phase(QUEUED, Phase.QUEUED)

    def pass_through(self) -> None:
        """Two more, that nothing keeps; and the job that ends, ends."""
        for role in PASSING:
            self.submit(role, exitDuration=PASSING_LEASE)
        self.jobs.let_end()

    def submit(self, role: str, *, workspace: str = "", **wish: object) -> str:
        """Queue one for this role; asked again under the same key it is the same one. Its id."""
        name = self._name(role)
        wish = {"exitDuration": HOUR, "gpuShape": H100, **wish}
        return self._know(role, self.installation.egs.submit(workspace or WORKSPACES[role], name, key=name, **wish))

    def let_go(self) -> None:
        """Take every obstacle away."""
        let_pod_go(self.installation.cluster(CLUSTER), WORKSPACES[LEAVING], self.pod)
        self.jobs.let_go()
        self.gate.open()

    def seen(self) -> dict[str, Gpr]:
        """The Gprs of this round as the native API shows them, by role."""
        newest = {gpr.external_id: gpr for gpr in itertools.islice(self.installation.native.gprs(), SEEN_MAX)}
        return {role: newest[gpr_id] for role, gpr_id in self.ids.items() if gpr_id in newest}

    def described(self) -> str:
        """Where each stands, for whoever finds out why a round went wrong."""
        return "; ".join(
            f"{role} {gpr.phase}, retries {gpr.retries} {gpr.failure} {gpr.estimate or ''}"
            for role, gpr in self.seen().items()
        )

    def release_all(self) -> None:
        """End whatever of this round still lives."""
        for gpr in self.seen().values():
            if gpr.phase not in TERMINAL:
                self.installation.native.release(gpr.external_id)

    def move_out(self) -> None:
        """Delete the workspaces, and wait until they are gone."""
        egs = self.installation.egs
        self.jobs.move_out()
        for name in NAMESPACES:
            egs.delete_workspace(name)
        until(lambda: not set(NAMESPACES) & set(egs.workspaces()), "the end of the workspaces", FILL_SECONDS_MAX)

    def _name(self, role: str) -> str:
        return f"{role}-{self.run}-{self.number}"

    def _know(self, role: str, gpr_id: str) -> str:
        if gpr_id not in self.known:
            self.known.append(gpr_id)
        self.ids[role] = gpr_id
        return gpr_id

    def _submit_job(self, role: str) -> None:
        self._know(role, self.jobs.submit(role, self._name(role)))

    def _fill_jobs(self) -> None:
        for role in (jobs.RUNS, jobs.ENDS, jobs.STOPS):
            self.jobs.await_status(role, jobs.RUNNING)
        self._submit_job(jobs.WAITS)
        self.jobs.pin_down()

    def _pin_down_leaving(self) -> None:
        """Released, but one of its pods is told to go and does not."""
        egs, workspace = self.installation.egs, WORKSPACES[LEAVING]
        tenant = self.installation.kubectl(egs.kubeconfig(workspace))
        tenant.create(a_gpu_pod(self.pod, **{"hold-delete": "true"}))
        until(lambda: tenant.pod(self.pod)["status"]["phase"] == "Running", "the pod that stays", FILL_SECONDS_MAX)
        egs.release_early(self.ids[LEAVING])
        until(lambda: "deletionTimestamp" in tenant.pod(self.pod)["metadata"], "its deletion", FILL_SECONDS_MAX)

    def _await_phase(self, role: str, phase: Phase) -> None:
        gpr_id = self.ids[role]
        until(lambda: self.installation.native.gpr(gpr_id).phase is phase, f"{role} {phase}", FILL_SECONDS_MAX)
