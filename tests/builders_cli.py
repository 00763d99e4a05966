"""What the native API answers, with good defaults, and a clock that does not wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from rich.console import Console, RenderableType

from cli.client.answers import Gpr, Node
from cli.clock import Clock

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)

Json = dict[str, Any]


def seconds_after_noon(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def an_instant(seconds: float) -> str:
    return seconds_after_noon(seconds).isoformat()


def a_gpr_document(phase: str = "queued", **changes: Any) -> Json:
    """As it was seen in this phase: submitted at noon, granted at once, active from 12:00:10 for a minute."""
    was_active = phase in {"active", "releasing", "expired", "released"}
    ended = phase in {"expired", "released", "failed", "cancelled"}
    return {
        "id": str(uuid4()),
        "external_id": "gpr-1bb22a0b-9388",
        "name": "train",
        "workspace": "demo",
        "phase": phase,
        "nodes": 1,
        "gpus_per_node": 2,
        "gpus": 2,
        "shape": "H100",
        "instance_type": "",
        "memory_gib": 0,
        "clusters": [],
        "duration": "0h1m0s",
        "duration_seconds": 60,
        "priority": 101,
        "band": "medium",
        "requeue_on_failure": True,
        "submitted_by": "ann",
        "submitted_at": an_instant(0),
        "active_at": an_instant(10) if was_active else None,
        "end_at": an_instant(70) if was_active else None,
        "finished_at": an_instant(72) if ended else None,
        "end_cause": {"expired": "expired", "failed": "provisioning_failed"}.get(phase),
        "failure": "",
        "retries": 0,
        "delays": 0,
        "estimate": an_estimate() if phase == "queued" else None,
        "lease": None if phase == "queued" else a_lease(held=not ended),
        "version": 1,
        **changes,
    }


def an_estimate(**changes: Any) -> Json:
    reason = "waits for 2 x H100 on one node"
    return {"starts_at": an_instant(30), "position": 2, "reason_code": "no_free_gpus", "reason": reason, **changes}


def a_lease(*, held: bool = True, node: str = "h100-1", gpus: tuple[int, ...] = (0, 1)) -> Json:
    return {"cluster": "worker-1", "fence": 7, "held": held, "nodes": [{"node": node, "gpus": list(gpus)}]}


def a_gpr(phase: str = "queued", **changes: Any) -> Gpr:
    return Gpr.model_validate(a_gpr_document(phase, **changes))


def a_node_document(name: str = "t4-1", **changes: Any) -> Json:
    return {
        "cluster": "worker-1",
        "name": name,
        "shape": "Tesla-T4",
        "instance_type": "n1-standard-8",
        "gpus": 1,
        "free_gpus": 1,
        "held_gpus": 0,
        "foreign_gpus": 0,
        "resource": "nvidia.com/gpu",
        "slicing": "none",
        "memory_mib": 15360,
        "memory_gib": 15,
        "region": "us-east-1",
        "cloud_provider": "",
        "state": "ready",
        "condition": "",
        "holders": [],
        **changes,
    }


def a_node(name: str = "t4-1", **changes: Any) -> Node:
    return Node.model_validate(a_node_document(name, **changes))


def a_workspace_document(name: str = "demo", **changes: Any) -> Json:
    return {
        "id": str(uuid4()),
        "name": name,
        "phase": "ready",
        "failure": "",
        "clusters": ["worker-1"],
        "namespaces": [name],
        "username": "",
        "email": "",
        "description": "",
        "role": "owner",
        "created_at": an_instant(0),
        **changes,
    }


def an_event_document(kind: str, seconds: float, **changes: Any) -> Json:
    nothing: Json = {"gpr_id": None, "workspace_id": None, "fence": None, "actor": "", "detail": {}}
    return {"id": 1, "at": an_instant(seconds), "kind": kind, **nothing, **changes}


def a_key_document(name: str = "laptop", **changes: Any) -> Json:
    return {
        "id": str(uuid4()),
        "name": name,
        "prefix": "berth_ab12",
        "principal": "ann",
        "role": "owner",
        "workspace": None,
        "created_at": an_instant(0),
        "valid_until": None,
        "revoked_at": None,
        **changes,
    }


def printed(picture: RenderableType) -> str:
    """As it would be on a wide terminal, without colour."""
    console = Console(width=200, force_terminal=False, markup=False)
    with console.capture() as shown:
        console.print(picture)
    return shown.get()


class SteppingClock(Clock):
    """It is noon, and later only by what was slept."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> datetime:
        return seconds_after_noon(self.monotonic())

    def monotonic(self) -> float:
        return sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
