"""Jobs in gpuctl's words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal

from api.dialects.gpuctl import schemas
from api.dialects.gpuctl.default_namespace import outward
from api.dialects.gpuctl.job_document import DEFAULT_POOL
from api.dialects.gpuctl.job_translation import KIND_WORD, NOTEBOOK_PORT, PRIORITY_WORD, JobOrder, yaml_content_of
from api.dialects.gpuctl.quantities import cpu_millis, memory_bytes
from api.dialects.gpuctl.translation import age
from api.operations.jobs import JobSubmission, PodLog
from domain.gpr import PlannedStart
from domain.hardware import MEBIBYTES_PER_GIBIBYTE
from domain.job import SERVICE_KINDS, Job, JobEvent, JobKind, JobSpec, JobStatus, ObservedPod
from domain.priority import band_of

NOT_KNOWN: Final = "N/A"
SUBMITTED: Final = "Job submitted to resource pool"
BYTES_PER_MEBIBYTE: Final = MEBIBYTES_PER_GIBIBYTE**2

_LISTEN: Final = frozenset(KIND_WORD[kind] for kind in SERVICE_KINDS)
JUPYTER: Final = "jupyter"
"""A box's port for that, by its name."""

ResourceType = Literal["Pod", "Job", "Deployment", "StatefulSet"]
RESOURCE_TYPE: Final[MappingProxyType[JobKind, ResourceType]] = MappingProxyType(
    {
        JobKind.TRAINING: "Job",
        JobKind.INFERENCE: "Deployment",
        JobKind.NOTEBOOK: "StatefulSet",
        JobKind.COMPUTE: "Deployment",
        JobKind.BOX: "Pod",
    }
)


def submission_of(order: JobOrder) -> JobSubmission:
    """The job that is asked for, with amounts of all its replicas together."""
    spec = order.spec
    mebibytes = -(-memory_bytes(spec.memory) // BYTES_PER_MEBIBYTE) if spec.memory else 0
    return JobSubmission(
        spec=spec,
        priority=order.priority,
        names_priority=order.names_priority,
        pool="" if order.pool == DEFAULT_POOL else order.pool,
        shape=order.gpu_type,
        duration_seconds=order.duration_seconds,
        cpu_millis=spec.replicas * (cpu_millis(spec.cpu) if spec.cpu else 0),
        memory_mib=spec.replicas * mebibytes,
        options=order.options,
    )


def created(job: Job) -> schemas.JobCreated:
    """A job that was taken."""
    spec = job.spec
    return schemas.JobCreated(
        jobId=spec.name, name=spec.name, kind=KIND_WORD[spec.kind], createdAt=job.gpr.submitted_at, message=SUBMITTED
    )


def tried_out(spec: JobSpec, start: PlannedStart, now: datetime) -> schemas.JobCreated:
    """A job that would be taken, and when it would start."""
    starts_at = start.estimate.starts_at
    when = f"would start at {starts_at:%Y-%m-%d %H:%M:%S} UTC" if starts_at else "nobody can know when it would start"
    message = f"Dry run, nothing was made: {when}. {start.estimate.reason}".strip()
    return schemas.JobCreated(
        jobId=spec.name, name=spec.name, kind=KIND_WORD[spec.kind], createdAt=now, message=message
    )


def item(job: Job, pod_name: str, now: datetime) -> schemas.JobItem:
    """A pod of a job, or the job itself while it has none."""
    pod = _pod(job, pod_name)
    return schemas.JobItem(
        jobId=pod_name or job.spec.name,
        name=job.spec.name,
        namespace=outward(job.spec.namespace),
        kind=KIND_WORD[job.spec.kind],
        status=_status_of_pod(job, pod),
        ready=_ready(job, pod),
        node=(pod.node if pod else "") or NOT_KNOWN,
        ip=(pod.ip if pod else "") or NOT_KNOWN,
        age=age((pod.created_at if pod else None) or job.gpr.submitted_at, now),
    )


def detail(job: Job, asked: str, happenings: Sequence[JobEvent], now: datetime) -> schemas.JobDetail:
    """A job with all that is known of it."""
    spec, request, pod = job.spec, job.gpr.request, _pod(job, asked)
    return schemas.JobDetail(
        job_id=pod.name if pod else spec.name,
        name=pod.name if pod else spec.name,
        namespace=outward(spec.namespace),
        kind=KIND_WORD[spec.kind],
        resource_type=RESOURCE_TYPE[spec.kind],
        status=spoken(job),
        age=age(job.gpr.submitted_at, now),
        started=job.gpr.active_at,
        completed=job.gpr.finished_at,
        priority=PRIORITY_WORD[band_of(request.priority)],
        pool=request.pool or DEFAULT_POOL,
        resources=schemas.JobResources(cpu=spec.cpu, memory=spec.memory, gpu=spec.gpus_per_replica),
        metrics={},
        yaml_content=yaml_content_of(_order(job)),
        events=[_event(one, now) for one in happenings],
        access_methods=_access(job) if KIND_WORD[spec.kind] in _LISTEN else None,
    )


def deleted(job: Job) -> schemas.JobDeleted:
    """A job that ends."""
    return schemas.JobDeleted(jobId=job.spec.name, message=f"Job {job.spec.name!r} is being deleted")


def logs(log: PodLog, *, timestamps: bool) -> schemas.Logs:
    """The last lines of a log."""
    parts = [line.partition(" ") for line in log.lines]
    last = parts[-1][0] if parts else ""
    shown = list(log.lines) if timestamps else [text for _, _, text in parts]
    return schemas.Logs(logs=shown, lastTimestamp=datetime.fromisoformat(last) if last else None)


def spoken(job: Job) -> str:
    """Its status as gpuctl's people know it, with the reason where something is in the way."""
    word = job.status.capitalize()
    if job.observed and job.observed.reason and job.status not in {JobStatus.RUNNING, JobStatus.SUCCEEDED}:
        return f"{word} ({job.observed.reason})"
    return word


def _pod(job: Job, name: str) -> ObservedPod | None:
    pods = job.observed.pods if job.observed else ()
    return next((pod for pod in pods if pod.name == name), None)


def _status_of_pod(job: Job, pod: ObservedPod | None) -> str:
    if pod is None or job.status in {JobStatus.TERMINATING, JobStatus.CANCELLED}:
        return spoken(job)
    return pod.reason or pod.phase


def _ready(job: Job, pod: ObservedPod | None) -> str:
    if pod is not None:
        return f"{int(pod.is_ready)}/1"
    return f"0/{job.spec.replicas}"


def _order(job: Job) -> JobOrder:
    request = job.gpr.request
    return JobOrder(
        spec=replace(job.spec, namespace=outward(job.spec.namespace)),
        pool=request.pool or DEFAULT_POOL,
        gpu_type=request.shape,
        priority=request.priority,
        duration_seconds=request.duration_seconds,
        options={name: str(value) for name, value in job.gpr.options.items()},
    )


def _event(one: JobEvent, now: datetime) -> schemas.JobEvent:
    return schemas.JobEvent(
        age=age(one.at, now) if one.at else NOT_KNOWN,
        type="Warning" if one.is_warning else "Normal",
        reason=one.reason,
        source="kubernetes",
        object=f"{one.kind}/{one.name}",
        message=one.message,
    )


def _node_port(job: Job) -> int | None:
    if job.observed is None:
        return None
    entrance = job.observed.entrance
    return job.observed.service_node_port or (entrance.node_ports.get(JUPYTER) if entrance else None) or None


def _access(job: Job) -> schemas.AccessMethods:
    pods = job.observed.pods if job.observed else ()
    pod = next((one for one in pods if one.ip), None)
    port, node_port = job.spec.port or NOTEBOOK_PORT, _node_port(job)
    node = pod.node if pod and node_port else None
    return schemas.AccessMethods(
        pod_ip_access=schemas.PodAccess(
            pod_ip=pod.ip if pod else None,
            port=port if pod else None,
            url=f"http://{pod.ip}:{port}" if pod else None,
        ),
        node_port_access=schemas.NodePortAccess(
            node_ip=node, node_port=node_port, url=f"http://{node}:{node_port}" if node else None
        ),
    )
