"""Every route of every dialect with a request that would be understood, so that a new route cannot be forgotten."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from fastapi.routing import APIRoute

from api.app import DIALECTS

SOME_ID = UUID(int=1)


@dataclass(frozen=True)
class Asked:
    """A request. `{workspace}` and `{gpr}` in path and body are filled in by the test."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    query: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


EGS_GPR = {
    "gprName": "gpr1",
    "sliceName": "{workspace}",
    "numberOfGPUs": 1,
    "exitDuration": "0d0h5m",
}
NATIVE_GPR = {"workspace": "{workspace}", "name": "gpr1", "duration": "5m"}
IN_TWO_DAYS = (datetime.now(UTC) + timedelta(days=2)).replace(microsecond=0).isoformat()
RESERVATION = {**NATIVE_GPR, "start": IN_TWO_DAYS}
MAINTENANCE = {
    "name": "{new}",
    "begin": "2190-01-01T00:00:00Z",
    "end": "2190-01-02T00:00:00Z",
    "nodes": ["worker-1-t4-38"],
}
QUOTA_OVERRIDE = {"scope": "workspace", "name": "{workspace}", "gpus": 800, "end": "2190-01-01T00:00:00Z"}

EGS_ROUTES = (
    Asked(
        "POST", "/api/v1/slice-workspace", {"workspaceName": "{new}", "clusters": ["worker-1"], "namespaces": ["{new}"]}
    ),
    Asked("DELETE", "/api/v1/slice-workspace", {"workspaceName": "{workspace}"}),
    Asked("GET", "/api/v1/slice-workspace/list"),
    Asked("GET", "/api/v1/slice-workspace/kube-config", query={"workspaceName": "{workspace}"}),
    Asked("POST", "/api/v1/slice-workspace/kube-config", {"workspaceName": "{workspace}"}),
    Asked("GET", "/api/v1/inventory/list"),
    Asked("GET", "/api/v1/inventory", query={"sliceName": "{workspace}"}),
    Asked("POST", "/api/v1/gpr", EGS_GPR),
    Asked("POST", "/api/v1/gpr/waittime", {**EGS_GPR}),
    Asked("GET", "/api/v1/gpr", query={"gprId": "{gpr}"}),
    Asked("GET", "/api/v1/gpr/list", query={"sliceName": "{workspace}"}),
    Asked("PUT", "/api/v1/gpr", {"gprId": "{gpr}", "priority": 102}),
    Asked("DELETE", "/api/v1/gpr", {"gprId": "{gpr}"}),
    Asked("POST", "/api/v1/api-key", {"name": "one-more"}),
    Asked("GET", "/api/v1/api-key/list"),
    Asked("DELETE", "/api/v1/api-key", {"apiKey": "berth_" + "0" * 64}),
)
NATIVE_ROUTES = (
    Asked("POST", "/berth/v1/gprs", NATIVE_GPR),
    Asked("GET", "/berth/v1/gprs", query={"workspace": "{workspace}"}),
    Asked("GET", "/berth/v1/gprs/{gpr}"),
    Asked("PATCH", "/berth/v1/gprs/{gpr}", {"priority": 102}),
    Asked("POST", "/berth/v1/gprs/{gpr}/release"),
    Asked("POST", "/berth/v1/jobs/{gpr}/suspend"),
    Asked("POST", "/berth/v1/jobs/{gpr}/resume"),
    Asked("GET", "/berth/v1/gprs/{gpr}/events"),
    Asked("GET", "/berth/v1/gprs/{gpr}/notices"),
    Asked("POST", "/berth/v1/gprs/{gpr}/promise"),
    Asked("DELETE", "/berth/v1/gprs/{gpr}/promise"),
    Asked("POST", "/berth/v1/gprs/{gpr}/extend", {"seconds": 60}),
    Asked("GET", "/berth/v1/gprs/{gpr}/why"),
    Asked("POST", "/berth/v1/what-if", {"requests": [{"workspace": "{workspace}", "duration": "5m"}]}),
    Asked("GET", "/berth/v1/openings", query={"gpus": "1"}),
    Asked("GET", "/berth/v1/plan"),
    Asked("GET", "/berth/v1/honesty"),
    Asked("POST", "/berth/v1/reservations", RESERVATION),
    Asked("GET", "/berth/v1/reservations", query={"workspace": "{workspace}"}),
    Asked("GET", "/berth/v1/reservations/{reservation}"),
    Asked("DELETE", "/berth/v1/reservations/{reservation}"),
    Asked("GET", "/berth/v1/maintenance"),
    Asked("POST", "/berth/v1/maintenance", MAINTENANCE),
    Asked("DELETE", "/berth/v1/maintenance/{maintenance}"),
    Asked("GET", "/berth/v1/scheduling"),
    Asked("PATCH", "/berth/v1/scheduling", {"ageing_seconds": 0}),
    Asked("GET", "/berth/v1/workspaces/{workspace}/weight"),
    Asked("PUT", "/berth/v1/workspaces/{workspace}/weight", {"weight": 1}),
    Asked("POST", "/berth/v1/workspaces", {"name": "{new}", "clusters": ["worker-1"], "namespaces": ["{new}"]}),
    Asked("GET", "/berth/v1/workspaces"),
    Asked("GET", "/berth/v1/workspaces/{workspace}"),
    Asked("DELETE", "/berth/v1/workspaces/{workspace}"),
    Asked("GET", "/berth/v1/workspaces/{workspace}/kubeconfig"),
    Asked("GET", "/berth/v1/nodes"),
    Asked("GET", "/berth/v1/clusters"),
    Asked("GET", "/berth/v1/pools"),
    Asked("POST", "/berth/v1/pools", {"name": "{new}"}),
    Asked("GET", "/berth/v1/pools/{pool}"),
    Asked("PATCH", "/berth/v1/pools/{pool}", {"description": "for tests"}),
    Asked("DELETE", "/berth/v1/pools/{pool}"),
    Asked("GET", "/berth/v1/pools/{pool}/weights"),
    Asked("PUT", "/berth/v1/pools/{pool}/weights/{workspace}", {"weight": 2}),
    Asked("DELETE", "/berth/v1/pools/{pool}/weights/{workspace}"),
    Asked("GET", "/berth/v1/quotas"),
    Asked("GET", "/berth/v1/quotas/{namespace}"),
    Asked("PUT", "/berth/v1/quotas/{namespace}", {"gpus": 8}),
    Asked("DELETE", "/berth/v1/quotas/{namespace}"),
    Asked("GET", "/berth/v1/departments"),
    Asked("POST", "/berth/v1/departments", {"name": "{new}"}),
    Asked("GET", "/berth/v1/departments/{department}"),
    Asked("PUT", "/berth/v1/departments/{department}", {"gpus": 8}),
    Asked("DELETE", "/berth/v1/departments/{department}"),
    Asked("PUT", "/berth/v1/workspaces/{workspace}/department", {"department": "default"}),
    Asked("GET", "/berth/v1/workspace-quotas"),
    Asked("GET", "/berth/v1/workspaces/{workspace}/quota"),
    Asked("PUT", "/berth/v1/workspaces/{workspace}/quota", {"gpus": 800}),
    Asked("GET", "/berth/v1/quota-overrides"),
    Asked("POST", "/berth/v1/quota-overrides", QUOTA_OVERRIDE),
    Asked("DELETE", "/berth/v1/quota-overrides/{override}"),
    Asked("GET", "/berth/v1/user-ceilings"),
    Asked("PUT", "/berth/v1/user-ceilings", {"gpus": None}),
    Asked("PUT", "/berth/v1/user-ceilings/{user}", {"gpus": 800}),
    Asked("DELETE", "/berth/v1/user-ceilings/{user}"),
    Asked("GET", "/berth/v1/prices"),
    Asked("PUT", "/berth/v1/prices", {"shape": "Tesla-T4", "per_gpu_hour": "1"}),
    Asked("GET", "/berth/v1/gpus"),
    Asked("GET", "/berth/v1/gpus/{gpu}/faults"),
    Asked("POST", "/berth/v1/gpus/{gpu}/quarantine", {"reason": "for tests"}),
    Asked("POST", "/berth/v1/gpus/{gpu}/release"),
    Asked("GET", "/berth/v1/idle-rules"),
    Asked("PUT", "/berth/v1/idle-rules", {"window": "30m", "workspace": "{workspace}"}),
    Asked("DELETE", "/berth/v1/idle-rules", query={"workspace": "{workspace}"}),
    Asked("GET", "/berth/v1/costs"),
    Asked("GET", "/berth/v1/whoami"),
    Asked("POST", "/berth/v1/keys", {"name": "one-more"}),
    Asked("GET", "/berth/v1/keys"),
    Asked("DELETE", f"/berth/v1/keys/{SOME_ID}"),
    Asked("GET", "/berth/v1/events"),
)
LABEL = "example.com/rack"
QUOTA_YAML = "kind: quota\nquota: {name: q}\nnamespace: {'{namespace}': {gpu: 8}}"
JOB_YAML = "kind: training\njob: {name: '{new}', namespace: '{namespace}'}\nenvironment: {image: pytorch}"
GPUCTL_ROUTES = (
    Asked("POST", "/api/v1/jobs", {"yamlContent": JOB_YAML}),
    Asked("POST", "/api/v1/jobs/batch", {"yamlContents": [JOB_YAML]}),
    Asked("GET", "/api/v1/jobs"),
    Asked("GET", "/api/v1/jobs/{jobId}"),
    Asked("DELETE", "/api/v1/jobs/{jobId}"),
    Asked("GET", "/api/v1/jobs/{jobId}/logs"),
    Asked("GET", "/api/v1/pools"),
    Asked("POST", "/api/v1/pools", {"name": "{new}"}),
    Asked("GET", "/api/v1/pools/{poolName}"),
    Asked("PUT", "/api/v1/pools/{poolName}", {"description": "for tests"}),
    Asked("DELETE", "/api/v1/pools/{poolName}"),
    Asked("GET", "/api/v1/nodes"),
    Asked("GET", "/api/v1/nodes/gpu-detail"),
    Asked("GET", "/api/v1/nodes/{nodeName}"),
    Asked("POST", "/api/v1/nodes/{nodeName}/pools", {"pool": "{poolName}"}),
    Asked("DELETE", "/api/v1/nodes/{nodeName}/pools/{poolName}"),
    Asked("GET", "/api/v1/labels"),
    Asked("GET", "/api/v1/nodes/labels", query={"key": LABEL}),
    Asked("GET", "/api/v1/nodes/labels/all"),
    Asked(
        "POST",
        "/api/v1/nodes/labels/batch",
        query={"nodeNames": "{nodeName}", "key": LABEL, "value": "7", "overwrite": "true"},
    ),
    Asked("GET", "/api/v1/nodes/{nodeName}/labels"),
    Asked("POST", "/api/v1/nodes/{nodeName}/labels", {"key": LABEL, "value": "7", "overwrite": True}),
    Asked("GET", "/api/v1/nodes/{nodeName}/labels/{key}"),
    Asked("PUT", "/api/v1/nodes/{nodeName}/labels/{key}", {"value": "7"}),
    Asked("DELETE", "/api/v1/nodes/{nodeName}/labels/{key}"),
    Asked("POST", "/api/v1/quotas", {"yamlContent": QUOTA_YAML}),
    Asked("GET", "/api/v1/quotas"),
    Asked("GET", "/api/v1/quotas/{namespaceName}"),
    Asked("DELETE", "/api/v1/quotas/{namespaceName}"),
    Asked("GET", "/api/v1/namespaces"),
    Asked("GET", "/api/v1/namespaces/{namespaceName}"),
    Asked("DELETE", "/api/v1/namespaces/{namespaceName}"),
)
GPUDEV_ROUTES = (
    Asked("POST", "/v1/jobs/submit", {"disk_name": "{new}", "env_vars": {"GPU_TYPE": "cpu-x86"}}),
    Asked("GET", "/v1/jobs", query={"status": "queued,preparing"}),
    Asked("GET", "/v1/jobs/{job_id}"),
    Asked("POST", "/v1/jobs/{job_id}/cancel"),
    Asked("POST", "/v1/jobs/{job_id}/extend", {"extension_hours": 1}),
    Asked("POST", "/v1/jobs/{job_id}/jupyter/enable"),
    Asked("POST", "/v1/jobs/{job_id}/jupyter/disable"),
    Asked("POST", "/v1/jobs/{job_id}/users", {"github_username": "ada"}),
    Asked("GET", "/v1/gpu/availability"),
    Asked("GET", "/v1/cluster/status"),
    Asked("POST", "/v1/disks", {"disk_name": "{new}", "size_gb": 10}),
    Asked("GET", "/v1/disks"),
    Asked("GET", "/v1/disks/{disk_name}"),
    Asked("DELETE", "/v1/disks/{disk_name}"),
    Asked("POST", "/v1/disks/{disk_name}/undelete"),
    Asked("POST", "/v1/disks/{disk_name}/rename", {"new_name": "{new}"}),
    Asked("POST", "/v1/disks/{disk_name}/resize", {"size_gb": 20}),
    Asked("POST", "/v1/disks/{disk_name}/clone", {"new_name": "{new}"}),
    Asked("GET", "/v1/disks/{disk_name}/content"),
    Asked("GET", "/v1/disks/{disk_name}/operations"),
    Asked("GET", "/v1/disks/{disk_name}/operations/{operation_id}"),
    Asked("POST", "/v1/keys/rotate"),
)
RUNAI_SPAN = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}
RUNAI_ROUTES = (
    Asked("GET", "/api/v1/workloads", query={"sortBy": "name", "filterBy": "projectName=={workspace}"}),
    Asked("GET", "/api/v1/workloads/count"),
    Asked("GET", "/api/v1/workloads/telemetry", query={"telemetryType": "WORKLOADS_COUNT", "groupBy": "Type"}),
    Asked("GET", "/api/v1/workloads/{workloadId}"),
    Asked("GET", "/api/v1/workloads/{workloadId}/metrics", query={"metricType": "GPU_ALLOCATION", **RUNAI_SPAN}),
    Asked("GET", "/api/v1/workloads/{workloadId}/endpoints"),
    Asked("GET", "/api/v1/workloads/{workloadId}/elements"),
    Asked("GET", "/api/v1/workloads/{workloadId}/elements/count"),
    Asked("GET", "/api/v1/workload-categories"),
    Asked("GET", "/api/v1/workload-categories/{categoryId}"),
    Asked("GET", "/api/v1/workload-types"),
    Asked("GET", "/api/v1/workload-types/{workloadTypeId}"),
    Asked("PUT", "/api/v1/workload-types/{workloadTypeId}", {"categoryId": "{categoryId}"}),
    Asked("GET", "/api/v1/workload-priorities"),
)
ROUTES = EGS_ROUTES + NATIVE_ROUTES + GPUCTL_ROUTES + GPUDEV_ROUTES + RUNAI_ROUTES


def served() -> set[tuple[str, str]]:
    """Method and path of everything that needs a login."""
    return {
        (method, route.path_format)
        for dialect in DIALECTS
        for route in dialect.router.routes
        if isinstance(route, APIRoute) and dialect.needs_login(route.path)
        for method in route.methods or ()
    }


def filled(part: Any, **words: str) -> Any:
    """With its `{words}` filled in."""
    if isinstance(part, str):
        for name, word in words.items():
            part = part.replace(f"{{{name}}}", word)
        return part
    if isinstance(part, dict):
        return {name: filled(value, **words) for name, value in part.items()}
    if isinstance(part, list):
        return [filled(value, **words) for value in part]
    return part
