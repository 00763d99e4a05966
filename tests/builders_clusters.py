"""Kubernetes objects and workspaces for tests, with good defaults."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from clusters.connection import ClusterConnection
from clusters.tenancy import apply_tenancy
from domain.failures import NotReadyYet
from domain.identifiers import tenant_label
from domain.workspace import Tenancy

Json = dict[str, Any]

GPU = "nvidia.com/gpu"
TOKEN = "alpha-0123456789.berth.io/gpu"


def a_tenancy(name: str = "alpha", *, namespaces: int = 1) -> Tenancy:
    workspace_id = uuid4()
    tenant = tenant_label(name, workspace_id)
    names = tuple(f"{tenant}-{number}" for number in range(namespaces))
    return Tenancy(str(workspace_id), name, tenant, names)


def a_pod(name: str = "worker", *, gpus: int = 1, annotations: Json | None = None, **spec: Any) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": annotations or {}},
        "spec": {"containers": [a_container(gpus=gpus)], "terminationGracePeriodSeconds": 1, **spec},
    }


def a_container(name: str = "main", *, gpus: int = 1, **more: Any) -> Json:
    limits = {GPU: str(gpus)} if gpus else {}
    return {"name": name, "image": "busybox", "resources": {"limits": limits}, **more}


def a_template(*, gpus: int = 1, restart: str = "Always") -> Json:
    spec = {"containers": [a_container(gpus=gpus)], "restartPolicy": restart, "terminationGracePeriodSeconds": 1}
    return {"metadata": {"labels": {"app": "it"}}, "spec": spec}


def a_node_object(*, gpus: int = 8, labels: Json | None = None, taints: list[Json] | None = None) -> Json:
    product = {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3", "nvidia.com/gpu.memory": "81559"}
    counts = {GPU: str(gpus)}
    return {
        "metadata": {"name": "gpu-1", "labels": {**product, **(labels or {})}, "resourceVersion": "1"},
        "spec": {"taints": taints or []},
        "status": {
            "capacity": dict(counts),
            "allocatable": dict(counts),
            "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T00:00:00Z"}],
        },
    }


def a_bound_pod(*, key: str = TOKEN, count: int = 1, phase: str = "Running", **metadata: Any) -> Json:
    state = {"running": {}} if phase == "Running" else {"terminated": {"exitCode": 0}}
    return {
        "metadata": {"namespace": "alpha-0", "name": "worker", "uid": "u", **metadata},
        "spec": {
            "nodeName": "gpu-1",
            "containers": [{"name": "main", "resources": {"limits": {GPU: str(count), key: str(count)}}}],
        },
        "status": {
            "phase": phase,
            "containerStatuses": [{"name": "main", "state": state}] if phase != "Pending" else [],
        },
    }


def a_daemon_set(name: str, **pod_spec: Any) -> Json:
    return {"metadata": {"namespace": "system", "name": name}, "spec": {"template": {"spec": pod_spec}}}


def make_tenancy(connection: ClusterConnection, tenancy: Tenancy, seconds: float = 60.0) -> None:
    """Make the workspace on the cluster, as patient with a slow controller as the workflow's retries are."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return apply_tenancy(connection, tenancy)
        except NotReadyYet:
            if time.monotonic() > deadline:
                raise


def eventually(claim: Callable[[], bool], seconds: float = 15.0) -> bool:
    """Whether the claim comes true in time. Asks often, so that a test takes no longer than the thing itself."""
    deadline = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
