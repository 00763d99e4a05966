"""Idle and sick GPUs on the whole stack, with real node agents over GPUs that the test changes while they run."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from temporalio.client import Client

from cli.client import NewGpr, NewPool, NewWorkspace
from cli.client.hardware import IdleRuleSetting
from domain.gpr import EndCause, Phase
from domain.identifiers import HARDWARE_SCHEDULE_ID, reconcile_schedule_id
from domain.workspace import WorkspacePhase
from tests.agent_kit import mock_node, running_agent
from tests.system.freedom import until
from tests.system.kubectl import a_gpu_pod

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from cli.client import Gpr
    from cli.client.hardware import GpuNow
    from tests.agent_kit import MockNode
    from tests.system.installation import Installation

pytestmark = pytest.mark.timeout(300)

CLUSTER = "worker-1"
WINDOW, WARNING = "30s", "3s"
IDLE_SECONDS_MAX = 120.0
"""From the grant to the warning: the window, and what a machine that does everything else as well takes besides."""
STEP_SECONDS_MAX = 60.0
FATAL_XID = 95


@dataclass
class Scene:
    """Nodes, each in a pool of its own that bears the name of its part, and a workspace for each."""

    installation: Installation
    nodes: dict[str, str]
    gpus: dict[str, MockNode] = field(default_factory=dict)

    def look(self) -> bool:
        """What the schedules do every minute, at the cluster and then at what is known; False: to be looked at again."""
        asyncio.run(self._trigger())
        return False

    def run_a_pod(self, part: str) -> None:
        """On the lease of its workspace, to stay there."""
        pods = f"/api/v1/namespaces/idle-{part}/pods"
        cluster = self.installation.cluster(CLUSTER)
        cluster.create(pods, a_gpu_pod("works"))
        until(
            lambda: cluster.get(f"{pods}/works")["status"].get("phase") == "Running", "its pod runs", STEP_SECONDS_MAX
        )

    def submit(self, part: str, name: str) -> UUID:
        wanted = NewGpr(workspace=f"idle-{part}", name=name, duration="2h", pool=f"idle-{part}")
        return self.installation.native.submit(wanted).id

    def gpr(self, gpr_id: UUID) -> Gpr:
        return self.installation.native.gpr(gpr_id)

    def becomes(self, gpr_id: UUID, phase: Phase, seconds_max: float = STEP_SECONDS_MAX) -> Gpr:
        until(lambda: self.gpr(gpr_id).phase is phase, f"{gpr_id} is {phase}", seconds_max)
        return self.gpr(gpr_id)

    def told(self, gpr_id: UUID) -> list[str]:
        """Kinds of what its people have been told."""
        return [one.kind for one in self.installation.native.notices(gpr_id) if one.delivered_at]

    def looks_until_told(self, gpr_id: UUID, kind: str) -> None:
        until(lambda: self.look() or kind in self.told(gpr_id), f"{kind} is told", IDLE_SECONDS_MAX)

    def gpu(self, part: str) -> GpuNow:
        """The first one of its node."""
        return self.installation.native.gpus(node=self.nodes[part])[0]

    def is_read(self, part: str) -> bool:
        found = self.installation.native.gpus(node=self.nodes[part])
        return bool(found) and all(one.reading for one in found)

    async def _trigger(self) -> None:
        client = await Client.connect(self.installation.stack.environment()["TEMPORAL_ADDRESS"])
        await client.get_schedule_handle(reconcile_schedule_id(CLUSTER)).trigger()
        await client.get_schedule_handle(HARDWARE_SCHEDULE_ID).trigger()


@pytest.fixture(scope="module")
def scene(installation: Installation) -> Iterator[Scene]:
    parts = ("sick", "quiet", "busy", "unseen", "empty")
    there = [node for node in installation.native.nodes() if node.cluster == CLUSTER and not node.holders]
    smallest = sorted(there, key=lambda node: (node.gpus, node.name))
    made = Scene(installation, {part: node.name for part, node in zip(parts, smallest, strict=False)})
    sizes = {node.name: node.gpus for node in smallest}
    assert len(made.nodes) == len(parts), sizes
    environment = installation.stack.environment()
    native = installation.native
    with ExitStack() as agents:
        for part, node in made.nodes.items():
            native.create_pool(NewPool(name=f"idle-{part}", nodes=[f"{CLUSTER}/{node}"]))
            native.create_workspace(NewWorkspace(name=f"idle-{part}", clusters=[CLUSTER], namespaces=[f"idle-{part}"]))
            if part not in {"unseen", "empty"}:
                made.gpus[part] = agents.enter_context(mock_node(node, sizes[node]))
                address = environment["TEMPORAL_ADDRESS"]
                agents.enter_context(
                    running_agent(
                        made.gpus[part], environment["DATABASE_URL"], cluster=CLUSTER, temporal_address=address
                    )
                )
        for part in parts:
            ready = WorkspacePhase.READY
            until(lambda: native.workspace(f"idle-{part}").phase is ready, f"{part} is ready", STEP_SECONDS_MAX)  # noqa: B023
        until(lambda: all(made.is_read(part) for part in made.gpus), "the agents read", STEP_SECONDS_MAX)
        yield made
        for gpus in made.gpus.values():
            gpus.change(0, util=0, used=0, pids=0)  # or else a teardown would rightly leave its node aside
        for part in parts:
            for gpr in native.gprs(workspace=f"idle-{part}"):
                native.release(gpr.id)
            until(
                lambda: all(gpr.finished_at for gpr in native.gprs(workspace=f"idle-{part}")),  # noqa: B023
                f"all of {part} has ended",
                STEP_SECONDS_MAX,
            )
            native.delete_workspace(f"idle-{part}")
            native.delete_pool(f"idle-{part}")
    # these agents are gone, and whoever comes next must not wait for them
    installation.tables._printed("update node set agent_seen_at = null")


def test_an_idle_lease_is_warned_and_released_and_the_next_one_starts_while_used_and_unseen_ones_stay(
    scene: Scene,
) -> None:
    scene.gpus["busy"].change(0, util=90, used=9000, pids=1)
    quiet, following = scene.submit("quiet", "quiet"), scene.submit("quiet", "following")
    busy, unseen = scene.submit("busy", "busy"), scene.submit("unseen", "unseen")
    for gpr_id in (quiet, busy, unseen):
        scene.becomes(gpr_id, Phase.ACTIVE)
    for part in ("quiet", "unseen"):
        scene.run_a_pod(part)
    for part in ("quiet", "busy", "unseen"):
        rule = IdleRuleSetting(workspace=f"idle-{part}", window=WINDOW, warning=WARNING)
        scene.installation.native.set_idle_rule(rule)
    scene.looks_until_told(quiet, "idle")
    assert scene.gpr(quiet).phase is Phase.ACTIVE
    scene.looks_until_told(quiet, "idle_released")
    ended = scene.becomes(quiet, Phase.RELEASED)
    assert (ended.end_cause, ended.failure.startswith("its GPUs had no process for 0h0m30s")) == (EndCause.IDLE, True)
    scene.becomes(following, Phase.ACTIVE)
    for gpr_id in (busy, unseen):
        assert (scene.gpr(gpr_id).phase, scene.told(gpr_id)) == (Phase.ACTIVE, [])


def test_use_after_the_warning_keeps_the_lease(scene: Scene) -> None:
    rule = IdleRuleSetting(workspace="idle-quiet", window=WINDOW, warning="1h")
    scene.installation.native.set_idle_rule(rule)
    (lease,) = scene.installation.native.gprs(workspace="idle-quiet", phases=[Phase.ACTIVE])
    scene.looks_until_told(lease.id, "idle")
    scene.gpus["quiet"].change(0, util=50, pids=1)
    scene.looks_until_told(lease.id, "not_idle")
    scene.gpus["quiet"].change(0, util=0, pids=0)
    assert scene.gpr(lease.id).phase is Phase.ACTIVE


def test_a_lease_without_a_pod_is_warned_and_released_where_no_agent_reads_its_gpus(scene: Scene) -> None:
    rule = IdleRuleSetting(workspace="idle-empty", window=WINDOW, warning=WARNING)
    scene.installation.native.set_idle_rule(rule)
    lease = scene.submit("empty", "empty")
    scene.becomes(lease, Phase.ACTIVE)
    scene.looks_until_told(lease, "idle_released")
    ended = scene.becomes(lease, Phase.RELEASED)
    assert ended.end_cause is EndCause.IDLE
    assert ended.failure == "nobody uses it: no pod was on its GPUs for 0h0m30s"
    assert scene.told(lease) == ["idle", "idle_released"]


def test_a_fatal_xid_sets_a_gpu_aside_until_it_is_well_and_ends_nobodys_lease(scene: Scene) -> None:
    on_it = scene.submit("sick", "on-it")
    scene.becomes(on_it, Phase.ACTIVE)
    scene.gpus["sick"].xid(0, FATAL_XID)
    until(lambda: scene.look() or scene.gpu("sick").set_aside, "it is set aside", STEP_SECONDS_MAX)
    assert any(kind.startswith("gpu_fault") for kind in scene.told(on_it))
    assert scene.gpr(on_it).phase is Phase.ACTIVE
    until(lambda: _waits_for(scene) == "a lease holds it", "its recovery waits", STEP_SECONDS_MAX)
    waiting = scene.submit("sick", "waiting")
    scene.installation.native.release(on_it)
    scene.becomes(waiting, Phase.ACTIVE)
    assert scene.gpu("sick").set_aside is None
    history = scene.installation.native.gpu_faults(scene.gpu("sick").id)
    assert FATAL_XID in {fault.code for fault in history.items}
    assert history.quarantines[0].lifted_by == "berth: health"


def _waits_for(scene: Scene) -> str:
    aside = scene.gpu("sick").set_aside
    return aside.waits_for if aside else ""
