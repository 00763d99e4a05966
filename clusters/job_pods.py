"""The pod that a job's controller makes copies of, and where a job is put. Pure.

GPUs are asked for together with the tokens of the job's own lease, so that its pods start where that lease holds GPUs
and nobody else's pods do. Values of variables are never written here: they come from a Secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from clusters.manifests import MANAGED_BY
from domain.identifiers import JOB_LABEL, LABEL_DOMAIN, LEASE_LABEL, lease_token_key
from domain.job import JobKind, JobSpec
from domain.slices import GPU_RESOURCE

Json = dict[str, Any]

CONTAINER: Final = "main"
RENDEZVOUS_PORT: Final = 29500
"""Where the first replica of a training job listens for the others; the custom of torch.distributed."""
STARTUP_SECONDS_MAX: Final = 1800
"""How long a replica may take to become healthy: large models load slowly."""
PROBE_SECONDS: Final = 5
ARCHITECTURE_LABEL: Final = "kubernetes.io/arch"
"""On every node, by its kubelet."""
_COMPAT: Final = "runwhere.ai"
BOX_INDEX_LABEL: Final = f"{LABEL_DOMAIN}/box-index"
"""On the pods of a box: which of them it is, from 0."""
_RANK: Final = {
    JobKind.TRAINING: "metadata.annotations['batch.kubernetes.io/job-completion-index']",
    JobKind.BOX: f"metadata.labels['{BOX_INDEX_LABEL}']",
}


@dataclass(frozen=True, slots=True)
class JobPlace:
    """Where a job's objects go, and as whose. `name` is a DNS label that begins with a letter, 52 characters at most."""

    namespace: str
    job_id: str
    name: str
    fence: int | None = None
    """The lease whose GPUs the pods use; None for a job without GPUs."""
    nodes: tuple[str, ...] = ()
    """The leased nodes; none: the scheduler chooses."""
    deadline_seconds: int | None = None
    """A safety net under the lease's own timer, so a little longer; it counts from the start of the pods."""
    priority: str = ""
    """low, medium or high: one of Berth's priority classes."""
    pool: str = ""
    volume: str = ""
    """The claim that is a box's home; empty: its home goes with it."""
    resource: str = GPU_RESOURCE
    """What Kubernetes counts the GPUs of its lease by."""


def secret_name(place: JobPlace) -> str:
    """The Secret with the job's variables."""
    return f"berth-env-{place.job_id}"


def claim_name(place: JobPlace, number: int) -> str:
    """The volume, and the claim on it, for one of the job's host paths."""
    return f"berth-path-{place.job_id}-{number}"


def service_name(spec: JobSpec, place: JobPlace) -> str:
    """Replicas that find each other do so under the job's own name; what serves is reached under svc-<name>."""
    return place.name if spec.kind in {JobKind.TRAINING, JobKind.BOX} else f"svc-{place.name}"


def labels(spec: JobSpec, place: JobPlace) -> dict[str, str]:
    """What everything of a job is known by; the second half is for readers who know jobs by gpuctl's labels."""
    compat = {"job-type": spec.kind.value, "name": place.name, "namespace": place.namespace}
    optional = {"pool": place.pool, "priority": place.priority}
    known = compat | {name: value for name, value in optional.items() if value}
    lease = {} if place.fence is None else {LEASE_LABEL: str(place.fence)}
    return {**MANAGED_BY, JOB_LABEL: place.job_id, **lease, **{f"{_COMPAT}/{name}": known[name] for name in known}}


def job_object(api_version: str, kind: str, name: str, job: tuple[JobSpec, JobPlace], content: Json) -> Json:
    """One object of a job."""
    metadata = {"name": name, "namespace": job[1].namespace, "labels": labels(*job)}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def pod_template(spec: JobSpec, place: JobPlace) -> Json:
    """The template of the job's pods."""
    pod: Json = {
        "containers": [_container(spec, place)],
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never" if spec.kind is JobKind.TRAINING else "Always",
        "volumes": _volumes(spec, place),
        **_placement(place),
    }
    if spec.image_pull_secret:
        pod["imagePullSecrets"] = [{"name": spec.image_pull_secret}]
    if place.priority:
        pod["priorityClassName"] = f"berth-{place.priority}"
    if spec.architecture:
        pod["nodeSelector"] = {ARCHITECTURE_LABEL: spec.architecture}
    if is_gang(spec):
        pod["subdomain"] = service_name(spec, place)
    return {"metadata": {"labels": labels(spec, place)}, "spec": pod}


def is_gang(spec: JobSpec) -> bool:
    """Whether the replicas have to find each other."""
    return spec.kind in {JobKind.TRAINING, JobKind.BOX} and spec.replicas > 1


def _container(spec: JobSpec, place: JobPlace) -> Json:
    container: Json = {
        "name": CONTAINER,
        "image": spec.image,
        "resources": {"limits": _limits(spec, place)},
        "volumeMounts": _mounts(spec),
        **_probes(spec),
    }
    lists = {"command": list(spec.command), "args": list(spec.args), "env": _gang_environment(spec, place)}
    ports = [{"containerPort": spec.port}] if spec.port else []
    source = [{"secretRef": {"name": secret_name(place)}}] if spec.environment else []
    wanted = {**lists, "ports": ports, "envFrom": source}
    return container | {name: content for name, content in wanted.items() if content}


def _limits(spec: JobSpec, place: JobPlace) -> dict[str, str]:
    """Requests are not written: Kubernetes makes them equal."""
    limits = {name: quantity for name, quantity in (("cpu", spec.cpu), ("memory", spec.memory)) if quantity}
    if not spec.gpus_per_replica:
        return limits
    count = str(spec.gpus_per_replica)
    tokens = {} if place.fence is None else {lease_token_key(place.fence, place.resource): count}
    return {**limits, place.resource: count, **tokens}


def _gang_environment(spec: JobSpec, place: JobPlace) -> list[Json]:
    """What replicas need to find each other, but for what the job's own variables say."""
    if not is_gang(spec):
        return []
    first = place.name if spec.kind is JobKind.BOX else f"{place.name}-0"
    variables: list[Json] = [
        {"name": "MASTER_ADDR", "value": f"{first}.{service_name(spec, place)}"},
        {"name": "MASTER_PORT", "value": str(RENDEZVOUS_PORT)},
        {"name": "WORLD_SIZE", "value": str(spec.replicas)},
        {"name": "RANK", "valueFrom": {"fieldRef": {"fieldPath": _RANK[spec.kind]}}},
    ]
    own = {variable.name for variable in spec.environment}
    return [variable for variable in variables if variable["name"] not in own]


def _probes(spec: JobSpec) -> Json:
    if not (spec.health_check and spec.port) or spec.kind is JobKind.TRAINING:
        return {}
    probe = {"httpGet": {"path": spec.health_check, "port": spec.port}, "periodSeconds": PROBE_SECONDS}
    return {
        "startupProbe": {**probe, "failureThreshold": STARTUP_SECONDS_MAX // PROBE_SECONDS},
        "readinessProbe": {**probe, "timeoutSeconds": 3},
        "livenessProbe": {**probe, "timeoutSeconds": 10, "failureThreshold": 6},
    }


def _volumes(spec: JobSpec, place: JobPlace) -> list[Json]:
    """Host paths come through claims: a workspace's namespace refuses pods that name the host's folders themselves."""
    claims = [claim_name(place, number) for number in range(len(spec.host_paths))]
    paths = [{"name": f"path-{n}", "persistentVolumeClaim": {"claimName": claim}} for n, claim in enumerate(claims)]
    return [*paths, *([{"name": "shm", "emptyDir": {"medium": "Memory"}}] if spec.gpus_per_replica else [])]


def _mounts(spec: JobSpec) -> list[Json]:
    paths = [{"name": f"path-{number}", "mountPath": path} for number, path in enumerate(spec.host_paths)]
    return [*paths, *([{"name": "shm", "mountPath": "/dev/shm"}] if spec.gpus_per_replica else [])]  # noqa: S108 - a mount


def _placement(place: JobPlace) -> Json:
    """By the nodes' own names: labels may say otherwise, and a term takes one name only."""
    if not place.nodes:
        return {}
    on = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]} for node in place.nodes]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": on}}
    return {"affinity": {"nodeAffinity": required}}
