"""Five Gprs of two workspaces contend for one node of four GPUs, through the EGS dialect, and everything seen is kept.

    r1  red   2 GPUs  101  starts at once
    b1  blue  4 GPUs  101  needs the whole node
    r2  red   2 GPUs  150  goes before b1; two GPUs are free, but red has a lease
    r3  red   2 GPUs  101  came after b1
    b2  blue  2 GPUs  250  goes before everybody; fits beside r1

So they start in the order r1, b2, r2, b1, r3. The first four expire, r3 is released early.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.system.freedom import until
from tests.system.kubectl import Kubectl, a_gpu_pod, why_it_waits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.client import Gpr
    from tests.system.installation import Installation

Json = dict[str, Any]

CLUSTER = "worker-1"
SHAPE = "NVIDIA-A100-SXM4-40GB"
NODE = "worker-1-a100-1"
NODE_GPUS = 4
RED, BLUE = "contention-red", "contention-blue"
WISHES = {
    "r1": (RED, 2, 101, "0d0h0m14s"),
    "b1": (BLUE, 4, 101, "0d0h0m8s"),
    "r2": (RED, 2, 150, "0d0h0m8s"),
    "r3": (RED, 2, 101, "0d1h0m0s"),
    "b2": (BLUE, 2, 250, "0d0h0m6s"),
}
EXPECTED_ORDER = ["r1", "b2", "r2", "b1", "r3"]
LOOK_SECONDS = 0.2
NODES_SECONDS_MAX = 60.0
STEP_SECONDS_MAX = 60.0
ENTRY_SECONDS_MAX = 12.0
"""How long a credential of an ended lease may still be let in."""


@dataclass(slots=True)
class Sight:
    """A GPR as the EGS dialect showed it at one moment."""

    at: datetime
    gpr: Json

    @property
    def status(self) -> str:
        return str(self.gpr["status"]["provisioningStatus"])

    @property
    def waits(self) -> bool:
        """Whether it has been given nothing yet."""
        return self.status == "Queued" and self.gpr["status"]["internalState"] == "Queued"

    @property
    def starts_at(self) -> datetime | None:
        """The estimate that was shown."""
        text = self.gpr["estimatedStartTime"]
        return datetime.fromisoformat(text) if text else None


@dataclass(slots=True)
class Record:
    """All that was seen."""

    ids: dict[str, str] = field(default_factory=dict)
    sights: dict[str, list[Sight]] = field(default_factory=lambda: defaultdict(list))
    gprs: dict[str, Gpr] = field(default_factory=dict)
    """As the native API shows them when all is over: instants to the microsecond."""
    release_began: dict[str, datetime] = field(default_factory=dict)
    pod_before: str = ""
    why_pod_waited: str = ""
    pod_during: str = ""
    pod_node: str = ""
    let_in_during: bool = False
    refused_after_seconds: float = 0.0
    pods_after: list[str] = field(default_factory=list)
    early_release_at: datetime | None = None
    allocations: list[Json] = field(default_factory=list)
    """What the inventory showed of the node while two leases shared it."""


class Scene:
    """Plays it once."""

    def __init__(self, installation: Installation) -> None:
        self.record = Record()
        self._installation = installation
        self._egs = installation.egs
        self._over = threading.Event()

    def play(self) -> Record:
        """From two new workspaces to the last Gpr's rest."""
        self._await_node()
        for workspace in (RED, BLUE):
            self._egs.create_workspace(workspace, CLUSTER)
        watching = threading.Thread(target=self._watch, name="scene", daemon=True)
        watching.start()
        try:
            self._act()
        finally:
            self._over.set()
            watching.join()
        self._read_books()
        return self.record

    def _act(self) -> None:
        tenant = self._tenant(RED)
        self._try_before(tenant)
        for name, (workspace, gpus, priority, duration) in WISHES.items():
            self._submit(name, workspace, numberOfGPUs=gpus, priority=priority, exitDuration=duration)
            if name == "r1":
                self._await_status("r1", "Provisioned")
        during = self._tenant(RED)
        self._try_during(tenant, during)
        self._await_status("b2", "Provisioned")
        self.record.allocations = self._allocations()
        self._await_status("r1", "Complete")
        self._try_after(tenant, during)
        self._await_status("r3", "Provisioned")
        self.record.early_release_at = datetime.now(UTC)
        self._egs.release_early(self.record.ids["r3"])
        self._await_status("r3", "Complete")

    # --- the pod ------------------------------------------------------------------------------------------------------

    def _try_before(self, tenant: Kubectl) -> None:
        """A pod that nobody has GPUs for, yet."""
        tenant.create(a_gpu_pod("early"))
        pod = until(lambda: _when(tenant.pod("early"), why_it_waits), "the scheduler's word", STEP_SECONDS_MAX)
        self.record.pod_before, self.record.why_pod_waited = pod["status"]["phase"], why_it_waits(pod)

    def _try_during(self, tenant: Kubectl, during: Kubectl) -> None:
        """The pod starts by itself; a credential that was issued now counts."""
        pod = until(lambda: _when(tenant.pod("early"), _runs), "the running pod", STEP_SECONDS_MAX)
        self.record.pod_during, self.record.pod_node = pod["status"]["phase"], pod["spec"]["nodeName"]
        self.record.let_in_during = during.is_let_in()

    def _try_after(self, tenant: Kubectl, during: Kubectl) -> None:
        """The pod is gone, and what was issued during the lease counts no more."""
        self.record.pods_after = tenant.pod_names()
        until(lambda: not during.is_let_in(), "the refusal of an old kubeconfig", ENTRY_SECONDS_MAX + STEP_SECONDS_MAX)
        self.record.refused_after_seconds = time.time() - self._end_of("r1").timestamp()

    # --- how ----------------------------------------------------------------------------------------------------------

    def _await_node(self) -> None:
        """A new installation sees its nodes at its first look at each cluster."""
        until(
            lambda: [one for one in self._egs.inventory() if one["gpuNodeName"] == NODE],
            f"node {NODE} in the inventory",
            NODES_SECONDS_MAX,
        )

    def _tenant(self, workspace: str) -> Kubectl:
        return self._installation.kubectl(self._egs.kubeconfig(workspace))

    def _submit(self, name: str, workspace: str, **wish: Any) -> None:
        self.record.ids[name] = self._egs.submit(workspace, name, gpuShape=SHAPE, clusterName=CLUSTER, **wish)

    def _await_status(self, name: str, status: str) -> None:
        gpr_id = self.record.ids[name]
        until(
            lambda: self._egs.gpr(gpr_id)["status"]["provisioningStatus"] == status,
            f"{name} {status}",
            STEP_SECONDS_MAX,
        )

    def _allocations(self) -> list[Json]:
        return next(one["allocation"] for one in self._egs.inventory() if one["gpuNodeName"] == NODE)

    def _end_of(self, name: str) -> datetime:
        end_at = self._installation.native.gpr(self.record.ids[name]).end_at
        assert end_at is not None
        return end_at

    def _watch(self) -> None:
        """What a user sees who asks five times a second."""
        while not self._over.wait(LOOK_SECONDS):
            for workspace in (RED, BLUE):
                asked_at = datetime.now(UTC)
                for gpr in self._egs.gprs(workspace):
                    self.record.sights[gpr["gprName"]].append(Sight(asked_at, gpr))

    def _read_books(self) -> None:
        native = self._installation.native
        for name, gpr_id in self.record.ids.items():
            self.record.gprs[name] = native.gpr(gpr_id)
            began = [event.at for event in native.events(gpr_id) if event.kind == "releasing"]
            self.record.release_began[name] = began[-1]


def waiting_sights(record: Record) -> Iterator[tuple[str, Sight]]:
    """Every sight of a Gpr that waited."""
    return ((name, sight) for name, sights in record.sights.items() for sight in sights if sight.waits)


def _when(pod: Json, claim: Any) -> Json | None:
    return pod if claim(pod) else None


def _runs(pod: Json) -> bool:
    return bool(pod["status"]["phase"] == "Running")
