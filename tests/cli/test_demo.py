from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cli.client import BerthClient
from cli.client.answers import Event
from cli.demo.hardware import smallest, why_none
from cli.demo.stage import Stage
from cli.demo.story import play
from cli.demo.stretches import stretches
from cli.exits import ExitCode
from cli.failures import CommandFailed
from cli.narration import Narrator
from tests.builders_cli import (
    SteppingClock,
    a_gpr,
    a_gpr_document,
    a_lease,
    a_node,
    a_node_document,
    a_workspace_document,
    an_event_document,
    an_instant,
)
from tests.cli.scripted_server import Answer, Script, items, refusal, served

GPR = a_gpr_document("queued", name="demo-120000", shape="Tesla-T4", gpus_per_node=1, gpus=1)
THE_GPR = f"GET /berth/v1/gprs/{GPR['id']}"
RELEASE = f"POST /berth/v1/gprs/{GPR['id']}/release"
A_LIFE = ("queued", "provisioning", "provisioning", "active", "active", "releasing", "releasing", "expired")


def seen(phase: str, **changes: Any) -> dict[str, Any]:
    lease = None if phase == "queued" else a_lease(node="t4-1", gpus=(0,), held=phase != "expired")
    same = {name: GPR[name] for name in ("id", "name", "shape", "gpus_per_node", "gpus")}
    return a_gpr_document(phase, lease=lease) | same | changes


@dataclass
class Theatre:
    """The demonstration on a server that plays a recorded life, with a kubectl that tells of a running pod."""

    folder: Path
    life: tuple[Any, ...] = A_LIFE
    known: tuple[Any, ...] = (a_workspace_document(),)
    pod: dict[str, Any] = field(default_factory=lambda: {"spec": {"nodeName": "t4-1"}, "status": {"phase": "Running"}})
    kubectl: bool = True
    out: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        looks = [each if isinstance(each, dict) else seen(each) for each in self.life]
        self.script = Script().on("GET /berth/v1/workspaces/demo", *self.known)
        self.script.on("POST /berth/v1/workspaces", Answer(201, a_workspace_document(phase="creating")))
        self.script.on("GET /berth/v1/nodes", items(a_node_document(), a_node_document("h100-1", shape="H100", gpus=8)))
        self.script.on("POST /berth/v1/gprs", Answer(201, GPR)).on(THE_GPR, *looks).on(RELEASE, GPR)
        self.script.on(f"GET /berth/v1/gprs/{GPR['id']}/notices", items())
        self.script.on(f"GET /berth/v1/gprs/{GPR['id']}/events", items(an_event_document("releasing", 70.2)))
        issued = {"kubeconfig": "{}", "expires_at": an_instant(3600), "clusters": ["worker-1"]}
        self.script.on("GET /berth/v1/workspaces/demo/kubeconfig", issued)

    @contextmanager
    def stage(self) -> Iterator[Stage]:
        clock = SteppingClock()
        narrator = Narrator(Console(file=self.out, force_terminal=False, width=300), clock)
        with served(self.script) as url, BerthClient(url) as client:
            yield Stage(
                client, clock, narrator, self._kubectl() if self.kubectl else None, lambda part: f"tail of {part}"
            )

    def _kubectl(self) -> Path:
        answer, program = self.folder / "pod.json", self.folder / "kubectl"
        answer.write_text(json.dumps(self.pod))
        program.write_text(f'#!/bin/sh\necho "$*" >> {self.folder}/asked\nexec cat {answer}\n')
        program.chmod(0o755)
        return program

    def told(self) -> dict[str, str]:
        """The last line of each step."""
        return dict(line.split(": ", 1) for line in self.out.getvalue().splitlines() if ": " in line)


def test_a_recorded_life_is_told_step_by_step(tmp_path: Path) -> None:
    theatre = Theatre(tmp_path)
    with theatre.stage() as stage:
        assert play(stage).phase == "expired"
    told = theatre.told()
    assert list(told) == [
        "hardware",
        "workspace",
        "submitted",
        "queued",
        "provisioning",
        "pod",
        "active",
        "releasing",
        "free",
        "in all",
    ]
    assert told["hardware"].startswith("2 nodes, 9 GPUs")
    assert told["queued"].startswith("granted t4-1[0]")
    assert told["pod"].startswith("demo-120000 runs on t4-1, started with the issued kubeconfig")
    assert told["active"].startswith("the lease ended on time; release began 0.2 s after")
    assert told["free"].startswith("t4-1: 1 of 1 GPU free")


def test_the_smallest_gpu_is_asked_for_once_and_for_some_seconds(tmp_path: Path) -> None:
    theatre = Theatre(tmp_path)
    with theatre.stage() as stage:
        play(stage)
    (asked,) = (each.body for each in theatre.script.asked if each.method == "POST")
    assert (asked["shape"], asked["clusters"], asked["duration"]) == ("Tesla-T4", ["worker-1"], "15s")
    assert asked["name"] == "demo-120000"


def test_the_first_time_the_workspace_is_made(tmp_path: Path) -> None:
    missing = refusal(404, "not_found", "no such workspace")
    theatre = Theatre(tmp_path, known=(missing, a_workspace_document(phase="creating"), a_workspace_document()))
    with theatre.stage() as stage:
        play(stage)
    made = next(each.body for each in theatre.script.asked if each.path == "/berth/v1/workspaces")
    assert made == {"name": "demo", "clusters": ["worker-1"], "namespaces": ["demo"]}


def test_while_it_queues_the_reason_is_told(tmp_path: Path) -> None:
    waiting = [seen("queued") for _ in range(30)]
    theatre = Theatre(tmp_path, life=(*waiting, *A_LIFE))
    with theatre.stage() as stage:
        play(stage)
    assert "queued: place 2: waits for 2 x H100 on one node; starts about" in theatre.out.getvalue()


def test_a_step_that_does_not_come_in_time_fails_with_the_tail_of_its_parts_log_and_lets_go(tmp_path: Path) -> None:
    theatre = Theatre(tmp_path, life=("queued",))
    with theatre.stage() as stage, pytest.raises(CommandFailed) as failed:
        play(stage)
    assert failed.value.code is ExitCode.OTHERWISE
    assert (
        failed.value.message
        == "the demonstration stopped at 'queued': the end of phase queued did not come within 90 s"
    )
    assert failed.value.detail.startswith("place 2: waits for 2 x H100")
    assert failed.value.detail.endswith("\ntail of core")
    assert "berth logs core" in failed.value.mend
    assert theatre.script.calls()[-1] == RELEASE


def test_a_gpr_that_fails_is_told_with_its_reason(tmp_path: Path) -> None:
    failed_gpr = seen("failed", failure="node t4-1 is not ready")
    theatre = Theatre(tmp_path, life=("queued", "provisioning", "provisioning", failed_gpr))
    with theatre.stage() as stage, pytest.raises(CommandFailed, match="node t4-1 is not ready") as failed:
        play(stage)
    assert failed.value.detail == "tail of cluster-worker-1"


def test_a_pod_on_a_node_that_was_not_granted_is_a_failure(tmp_path: Path) -> None:
    elsewhere = {"spec": {"nodeName": "h100-1"}, "status": {"phase": "Running"}}
    theatre = Theatre(tmp_path, pod=elsewhere)
    with theatre.stage() as stage, pytest.raises(CommandFailed, match="runs on h100-1, which was not granted"):
        play(stage)


def test_a_pod_that_does_not_run_is_told_with_the_schedulers_words(tmp_path: Path) -> None:
    condition = {"type": "PodScheduled", "status": "False", "message": "0/9 nodes are available"}
    theatre = Theatre(tmp_path, pod={"spec": {}, "status": {"phase": "Pending", "conditions": [condition]}})
    with theatre.stage() as stage, pytest.raises(CommandFailed) as failed:
        play(stage)
    assert failed.value.detail.splitlines() == ["0/9 nodes are available", "tail of worker-1.kube-scheduler"]


def test_without_kubectl_the_pod_is_left_out_and_says_so(tmp_path: Path) -> None:
    theatre = Theatre(tmp_path, kubectl=False)
    with theatre.stage() as stage:
        play(stage)
    assert theatre.told()["pod"] == "no kubectl was found: the GPU pod is left out"


def test_gpus_that_stay_held_are_a_failure(tmp_path: Path) -> None:
    theatre = Theatre(tmp_path)
    holder = {"gpr": GPR["name"], "workspace": "demo", "gpus": 1, "granted_at": an_instant(0)}
    theatre.script.answers["GET /berth/v1/nodes"].append(items(a_node_document(free_gpus=0, holders=[holder])))
    with theatre.stage() as stage, pytest.raises(CommandFailed, match="still held by demo-120000"):
        play(stage)


def test_the_most_modest_free_node_is_chosen() -> None:
    nodes = [a_node("h100-1", shape="H100", memory_mib=81559), a_node("t4-1", free_gpus=0), a_node("t4-2")]
    chosen = smallest(nodes, [])
    assert chosen is not None
    assert chosen.name == "t4-2"


def test_a_node_that_is_not_ready_or_elsewhere_is_not_chosen() -> None:
    assert smallest([a_node(state="cordoned"), a_node("t4-2", cluster="worker-2")], ["worker-1"]) is None


def test_where_no_node_serves_the_nodes_say_why() -> None:
    nodes = [
        a_node(state="not_ready", condition="kubelet stopped"),
        a_node("t4-2", state="not_ready", condition="kubelet stopped"),
    ]
    assert why_none(nodes) == "worker-1: kubelet stopped"
    assert why_none([]) == "none is known yet"


def test_each_stretch_of_a_life_is_told_by_the_servers_record() -> None:
    kinds = {"submitted": 0, "granted": 0.1, "activated": 0.6, "noticed": 3, "releasing": 15.6, "rested": 17}
    events = [Event.model_validate(an_event_document(kind, seconds)) for kind, seconds in kinds.items()]
    assert stretches(a_gpr("expired"), events) == "queued 0.1 s, provisioning 0.5 s, active 15 s, releasing 1.4 s"
