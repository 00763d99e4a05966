"""Workloads in this API's words. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from api.dialects.runai import schemas
from api.dialects.runai.words import PHASES
from api.operations.workloads import Element, Entrance, WorkloadCategory, WorkloadPriority, WorkloadType
from domain.gpr import HOLDING
from domain.workload import Workload, WorkloadPhase

TENANT: Final = 1
"""An installation is one tenant."""
MILLIS: Final = 1000
_KINDS: Final = {"node": "Node", "pod": "Pod"}
_LIMITS: Final = frozenset({"quota_busy", "larger_than_its_quota"})
_ONE_AT_A_TIME: Final = "workspace_busy"
_WAITS: Final = frozenset({WorkloadPhase.PENDING, WorkloadPhase.UPDATING, WorkloadPhase.RESUMING})
_ORGANISATION: Final = "PROJECT"


def workload(found: Workload) -> schemas.Workload:
    """A workload as lists have it."""
    return schemas.Workload(**_fields(found))


def detailed(found: Workload) -> schemas.WorkloadDetailed:
    """A workload, and why it waits where it does."""
    return schemas.WorkloadDetailed(**_fields(found), pendingSchedulingMessages=_pending_messages(found))


def _fields(found: Workload) -> dict[str, Any]:
    told, holds = PHASES[found.phase], found.gpr_phase in HOLDING
    updated_at = max(found.phase_updated_at, found.job_observed_at or found.phase_updated_at)
    always = {
        "type": found.type,
        "name": found.name,
        "id": str(found.id),
        "source": _source(found),
        "priority": found.priority,
        "priorityClassName": found.priority_class,
        "clusterId": found.cluster_id,
        "projectName": found.workspace,
        "projectId": str(found.workspace_id),
        "departmentName": found.department,
        "departmentId": found.department_id,
        "namespace": found.namespace,
        "createdAt": found.created_at,
        "phase": told.word,
        "conditions": conditions(found),
        "k8sPhase": told.k8s_phase,
        "tenantId": TENANT,
        "runningPods": found.pods_ready if holds else 0,
        "phaseUpdatedAt": found.phase_updated_at,
        "k8sPhaseUpdatedAt": found.phase_updated_at,
        "updatedAt": updated_at,
        "deletedAt": found.deleted_at,
        "category": found.category,
        "submittedBy": found.submitter,
        "workloadRequestedResources": _requested(found),
        "actionsSupport": schemas.ActionsSupport(delete=found.may_be_ended, suspend=found.may_be_suspended),
        "requestedNodePools": [found.pool],
        "currentNodePools": [found.pool] if holds else [],
        "preemptible": found.preemptible,
        "totalPendingTimeSeconds": found.pending_seconds,
        "totalRunningTimeSeconds": found.running_seconds,
        "idleGpus": found.idle_gpus,
        "idleAllocatedGpus": float(found.idle_gpus),
    }
    return always | _present(
        phaseMessage=message(found),
        phaseReason=_phase_reason(found),
        completedAt=found.completed_at,
        allocatedResources=_allocated(found) if holds else None,
        additionalFields=_additional(found),
        **(_of_job(found) if found.is_job else {}),
    )


def _of_job(found: Workload) -> dict[str, Any]:
    return _present(
        podsRequestedResources=_requested(found, pods=found.nodes),
        requestedPods=schemas.RequestedPods(number=found.nodes),
        images=[found.image] if found.image else None,
        command=shlex.join(found.command),
        arguments=shlex.join(found.arguments),
    )


def conditions(found: Workload) -> list[schemas.Condition]:
    """What it has come through, and how it is now."""
    told = PHASES[found.phase]
    passed = [("Scheduled", found.granted_at), ("Created", found.active_at)]
    done = [
        schemas.Condition(type=name, status="True", lastTransitionTime=at)
        for name, at in passed
        if at is not None and name != told.condition
    ]
    is_over = found.phase is WorkloadPhase.STOPPED and found.deleted_at is not None
    now = _present(
        type="Deleted" if is_over else told.condition,
        status=told.status,
        lastTransitionTime=found.phase_updated_at,
        message=message(found),
        reason=(found.job_reason or found.end_cause) if found.phase is WorkloadPhase.FAILED else None,
    )
    return [*done, schemas.Condition(**now)]


def message(found: Workload) -> str:
    """In a sentence, why it is as it is; empty where there is nothing to say."""
    if found.phase in {WorkloadPhase.PENDING, WorkloadPhase.STOPPED} and found.reason:
        return found.reason
    if found.phase in {WorkloadPhase.FAILED, WorkloadPhase.UPDATING, WorkloadPhase.TERMINATING} and found.failure:
        return found.failure
    return f"{found.job_reason}: {found.job_message}".strip(": ") if found.gpr_phase in HOLDING else ""


def _pending_messages(found: Workload) -> list[schemas.PendingSchedulingMessage]:
    """The document knows two reasons, both limits, and asks for one of them: of what waits for GPUs `phaseMessage` tells."""
    reason = _limited_by(found)
    if found.phase not in _WAITS or reason is None:
        return []
    sentence = found.reason
    if found.starts_at is not None:
        sentence = f"{sentence}; expected to start at {found.starts_at:%Y-%m-%dT%H:%M:%SZ}"
    message = schemas.PendingSchedulingMessage(
        nodePool=found.pool,
        phaseReason=reason,
        reason=found.reason_code,
        orgType=_ORGANISATION,
        userMessage=sentence,
    )
    return [message]


def _phase_reason(found: Workload) -> schemas.PhaseReason | None:
    return _limited_by(found) if found.phase is WorkloadPhase.PENDING else None


def _limited_by(found: Workload) -> schemas.PhaseReason | None:
    """Which limit it waits for, if the reason that the queue gives is one."""
    if found.reason_code in _LIMITS and not found.preemptible:
        return "NonPreemptibleOverQuota"
    return "OverLimit" if found.reason_code in {*_LIMITS, _ONE_AT_A_TIME} else None


def _source(found: Workload) -> str:
    """Jobs and boxes come by commands; of others only those dialects keep something whose clients are a control plane's."""
    if found.is_job:
        return "CLI"
    return "Control-plane" if found.options else "Other"


def _requested(found: Workload, *, pods: int = 1) -> schemas.RequestedResources:
    gpus = 0 if found.counted_by else found.gpus / pods
    memory = found.memory_gib * gpus
    cores, mebibytes = found.cpu_millis / MILLIS / pods, found.memory_mib // pods
    parts = _present(
        gpuRequestType="portion" if gpus else None,
        gpu=schemas.Cores(request=gpus, limit=gpus) if gpus else None,
        gpuMemory=schemas.Amounts(request=f"{memory:g}Gi") if memory else None,
        cpu=schemas.Cores(request=cores, limit=cores) if cores else None,
        cpuMemory=schemas.Amounts(request=f"{mebibytes}Mi", limit=f"{mebibytes}Mi") if mebibytes else None,
        extendedResources=_extended(found, found.gpus // pods),
    )
    return schemas.RequestedResources(**parts)


def _allocated(found: Workload) -> schemas.AllocatedResources:
    parts = _present(
        gpu=None if found.counted_by else float(found.allocated_gpus),
        cpu=found.cpu_millis / MILLIS or None,
        cpuMemory=f"{found.memory_mib}Mi" if found.memory_mib else None,
        extendedResources=_extended(found, found.allocated_gpus),
    )
    return schemas.AllocatedResources(**parts)


def _extended(found: Workload, count: int) -> list[schemas.ExtendedResource] | None:
    """MIG instances and shared GPUs are no portions of a GPU that could be told: they are what Kubernetes counts them by."""
    if not found.counted_by:
        return None
    return [schemas.ExtendedResource(resource=found.counted_by, quantity=str(count))]


def _additional(found: Workload) -> dict[str, Any] | None:
    """What this API has no word for, and people want to know first."""
    if found.phase is not WorkloadPhase.PENDING or found.starts_at is None:
        return None
    return {"estimatedStartAt": f"{found.starts_at:%Y-%m-%dT%H:%M:%SZ}"}


def _present(**fields: Any) -> dict[str, Any]:
    """Without what is not there: this API leaves out what is not known."""
    return {name: value for name, value in fields.items() if value is not None and value != ""}


# --- what a workload is made of, and where it is reached --------------------------------------------------------------


def elements(found: Sequence[Element], offset: int, limit: int) -> schemas.Elements:
    """One part of them."""
    part = [_element(one) for one in found[offset : offset + limit]]
    following = offset + limit
    if following < len(found):
        return schemas.Elements(elements=part, next=following)
    return schemas.Elements(elements=part)


def _element(one: Element) -> schemas.Element:
    kind = _KINDS.get(one.kind)
    reference = (
        schemas.KubernetesRef(name=one.name, gvk=schemas.Gvk(group="", version="v1", kind=kind)) if kind else None
    )
    parts = _present(
        id=str(one.id),
        name=one.name,
        hierarchyLevel=one.level,
        parentId=str(one.parent_id) if one.parent_id else None,
        createdAt=one.created_at,
        kubernetesRef=reference,
    )
    return schemas.Element(**parts)


def endpoint(one: Entrance) -> schemas.Endpoint:
    """A port by which people come. No token is part of the URL: whoever may only look has none."""
    host = f"[{one.host}]" if ":" in one.host else one.host
    if one.name == "ssh":
        return schemas.Endpoint(
            host=one.host, port=one.port, protocol="SSH", tlsEnabled=False, url=f"ssh://{host}:{one.port}"
        )
    path = "/lab" if one.name == "jupyter" else "/"
    url = f"http://{host}:{one.port}{path}"
    return schemas.Endpoint(host=one.host, port=one.port, path=path, protocol="HTTP", tlsEnabled=False, url=url)


# --- types ------------------------------------------------------------------------------------------------------------


def category(found: WorkloadCategory) -> schemas.Category:
    """A category."""
    return schemas.Category(id=found.id, name=found.name, description=found.description)


def priority(found: WorkloadPriority) -> schemas.Priority:
    """A class of priorities."""
    return schemas.Priority(id=found.id, name=found.name, value=found.value)


def workload_type(found: WorkloadType) -> schemas.WorkloadType:
    """A type."""
    parts = _present(
        id=found.id,
        name=found.name,
        group="berth.io",
        categoryId=found.category_id,
        categoryName=found.category,
        priorityId=found.priority_id,
        priorityName=found.priority,
        updatedAt=found.updated_at,
        updatedBy=found.updated_by,
    )
    return schemas.WorkloadType(**parts)


def spoken(at: datetime) -> str:
    """An instant as tables have it."""
    return at.isoformat().replace("+00:00", "Z")
