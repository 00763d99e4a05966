"""Jobs, their objects and pods for tests, with good defaults."""

from __future__ import annotations

import itertools
from typing import Any
from uuid import uuid4

from clusters.job_pods import JobPlace
from domain.job import JobKind, JobSpec

Json = dict[str, Any]

_fences = itertools.count(100)


def a_job(kind: JobKind = JobKind.TRAINING, **more: Any) -> JobSpec:
    return JobSpec(**{"name": "it", "kind": kind, "namespace": "alpha-0", "image": "busybox", **more})


def a_place(namespace: str = "alpha-0", **more: Any) -> JobPlace:
    """A place of its own: every call is another job on another lease."""
    return JobPlace(**{"namespace": namespace, "job_id": str(uuid4()), "name": "it", "fence": next(_fences), **more})


def a_workload(spec: Json, *, conditions: list[Json] | None = None, **status: Any) -> Json:
    known = [{"status": "True", **condition} for condition in conditions or []]
    return {"metadata": {"name": "it"}, "spec": spec, "status": {**status, "conditions": known}}


def a_pod_of_it(name: str = "it-0", *, phase: str = "Running", ready: bool = True, **more: Any) -> Json:
    """A pod that runs, unless said otherwise; `state` is its container's, `metadata` and `status` what is added."""
    metadata, status = more.get("metadata", {}), more.get("status", {})
    container = {"name": "main", "restartCount": 0, "state": more.get("state", {"running": {}}), **more.get("was", {})}
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    return {
        "metadata": {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z", **metadata},
        "spec": {"nodeName": "gpu-1"},
        "status": {"phase": phase, "conditions": [condition], "containerStatuses": [container], **status},
    }


def waiting(reason: str, message: str = "", **more: Any) -> Json:
    """A pod whose container waits for this reason."""
    state = {"waiting": {"reason": reason, "message": message}}
    return a_pod_of_it(phase="Pending", ready=False, state=state, **more)


def failed(reason: str = "Error", code: int = 1, name: str = "it-0") -> Json:
    """A pod whose container ended badly."""
    state = {"terminated": {"reason": reason, "exitCode": code}}
    return a_pod_of_it(name, phase="Failed", ready=False, state=state)
