"""A node that is cut, on the whole stack: an instance by its name from the request to its release; no part for a whole GPU."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from cli.client import NewGpr, NewWorkspace
from cli.stack.nodes import GpuNode
from domain.gpr import Phase
from domain.identifiers import is_token
from domain.workspace import WorkspacePhase
from tests.system.freedom import left_in_ledger, left_on_nodes, until
from tests.system.kubectl import a_gpu_pod
from tests.system.witness import tokens_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.client import Gpr
    from tests.system.installation import Installation
    from tests.system.kubectl import Kubectl

pytestmark = pytest.mark.timeout(300)

Json = dict[str, Any]

CLUSTER, NODE, TYPE, WORKSPACE, RIVAL = "worker-1", "cut-in-seven", "cut-machine", "slices", "slices-rival"
MIG = "nvidia.com/mig-1g.5gb"
PRODUCT = "NVIDIA-A100-SXM4-40GB"
SLICE = f"{PRODUCT}-MIG-1g.5gb"
STEP_SECONDS_MAX = 90.0


def the_node() -> Json:
    """One GPU, cut into seven; the mixed strategy counts no whole ones."""
    node = GpuNode(NODE, gpus=0, product=PRODUCT, gpu_memory_mib=40_960, instance_type=TYPE).manifest
    node["metadata"]["labels"] |= {
        "nvidia.com/mig.strategy": "mixed",
        "nvidia.com/gpu.count": "1",
        f"{MIG}.count": "7",
        f"{MIG}.product": SLICE,
        f"{MIG}.memory": "4864",
    }
    node["status"]["capacity"] |= {MIG: "7"}
    node["status"]["allocatable"] |= {MIG: "7"}
    return node


@pytest.fixture(scope="module")
def cut(installation: Installation) -> Iterator[Installation]:
    native, cluster = installation.native, installation.cluster(CLUSTER)
    cluster.create("/api/v1/nodes", the_node())
    for name in (WORKSPACE, RIVAL):
        native.create_workspace(NewWorkspace(name=name, clusters=[CLUSTER], namespaces=[name]))
        until(partial(_is_ready, installation, name), name, STEP_SECONDS_MAX)
    until(lambda: free(installation) == 7, "seven instances to be had", STEP_SECONDS_MAX)
    yield installation
    for name in (WORKSPACE, RIVAL):
        for gpr in native.gprs(workspace=name, phases=[Phase.QUEUED, Phase.PROVISIONING, Phase.ACTIVE]):
            native.release(gpr.id)
    until(lambda: not left_in_ledger(installation), "an empty ledger", STEP_SECONDS_MAX)
    for name in (WORKSPACE, RIVAL):
        native.delete_workspace(name)
    cluster.delete(f"/api/v1/nodes/{NODE}")


@pytest.fixture(scope="module")
def rival(cut: Installation) -> Gpr:
    """Wants a whole GPU of such a machine, before all others."""
    return cut.native.submit(NewGpr(workspace=RIVAL, name="whole", duration="10m", instance_type=TYPE, priority=300))


@pytest.fixture(scope="module")
def holder(cut: Installation, rival: Gpr) -> Gpr:
    return cut.native.submit(NewGpr(workspace=WORKSPACE, name="two", duration="10m", shape=SLICE, gpus_per_node=2))


def _is_ready(installation: Installation, workspace: str) -> bool:
    return installation.native.workspace(workspace).phase is WorkspacePhase.READY


def free(installation: Installation) -> int:
    """How many instances a new lease could take."""
    return sum(node.free_gpus for node in installation.native.nodes() if node.name == f"{NODE}/mig-1g.5gb")


def a_pod(name: str, limits: Json) -> Json:
    pod = a_gpu_pod(name)
    pod["spec"]["containers"][0]["resources"]["limits"] = limits
    return pod


def test_who_names_it_gets_as_many_instances_as_were_asked_for(cut: Installation, holder: Gpr) -> None:
    gpr = until(lambda: _in(cut, holder, Phase.ACTIVE), "the lease", STEP_SECONDS_MAX)
    assert gpr.lease is not None
    assert [(part.node, len(part.gpus)) for part in gpr.lease.nodes] == [(f"{NODE}/mig-1g.5gb", 2)]
    assert free(cut) == 5
    tokens = tokens_of(cut.cluster(CLUSTER).get(f"/api/v1/nodes/{NODE}"))
    assert [(key.partition("/")[2], count) for key, count in tokens.items()] == [("mig-1g.5gb", 2)]


def test_its_pods_run_on_them_and_on_no_more(cut: Installation, holder: Gpr) -> None:
    until(lambda: _in(cut, holder, Phase.ACTIVE), "the lease", STEP_SECONDS_MAX)
    kubectl = cut.kubectl(cut.native.kubeconfig(WORKSPACE).kubeconfig)
    for number in range(3):
        kubectl.create(a_pod(f"instance-{number}", {MIG: "1"}))
    kubectl.create(a_pod("whole", {"nvidia.com/gpu": "1"}))
    until(lambda: _phases(kubectl) == ["Pending", "Pending", "Running", "Running"], "two pods", STEP_SECONDS_MAX)
    assert kubectl.pod("whole")["status"]["phase"] == "Pending"
    asked = kubectl.pod("instance-0")["spec"]["containers"][0]["resources"]["limits"]
    assert [key.partition("/")[2] for key in asked if is_token(key)] == ["mig-1g.5gb"]


def test_a_whole_gpu_of_that_machine_is_not_to_be_had(cut: Installation, rival: Gpr, holder: Gpr) -> None:
    until(lambda: _in(cut, holder, Phase.ACTIVE), "the lease", STEP_SECONDS_MAX)
    seen = until(lambda: _in(cut, rival, Phase.QUEUED, reason=True), "a reason", STEP_SECONDS_MAX)
    assert seen.lease is None
    assert seen.estimate is not None
    assert seen.estimate.starts_at is None


def test_after_its_release_all_instances_are_free_again(cut: Installation, holder: Gpr) -> None:
    until(lambda: _in(cut, holder, Phase.ACTIVE), "the lease", STEP_SECONDS_MAX)
    cut.native.release(holder.id)
    until(lambda: _in(cut, holder, Phase.RELEASED), "the release", STEP_SECONDS_MAX)
    assert free(cut) == 7
    assert [one for one in left_on_nodes(cut) if NODE in one] == []


def _phases(kubectl: Kubectl) -> list[str]:
    return sorted(kubectl.pod(name)["status"]["phase"] for name in kubectl.pod_names())


def _in(installation: Installation, gpr: Gpr, phase: Phase, *, reason: bool = False) -> Gpr | None:
    found = installation.native.gpr(gpr.id)
    told = found.estimate is not None and found.estimate.reason
    return found if found.phase is phase and (told or not reason) else None
