"""The objects that a job is made of, in the order in which they are made: what pods need comes before what makes them.

Pure. The pods themselves are in `job_pods.py`, a box's in `box_pods.py`; making, finding and deleting in `jobs.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from clusters.box_pods import box_manifests
from clusters.job_pods import (
    STARTUP_SECONDS_MAX,
    JobPlace,
    claim_name,
    is_gang,
    job_object,
    pod_template,
    secret_name,
    service_name,
)
from domain.failures import InvalidRequest
from domain.identifiers import JOB_LABEL
from domain.job import RESERVED_VARIABLES, SERVICE_KINDS, JobKind, JobSpec

Json = dict[str, Any]

_NOMINAL_SIZE: Final = "1Gi"
"""Kubernetes wants a size; a folder of the host has none."""


def manifests(spec: JobSpec, place: JobPlace) -> list[Json]:
    """Everything that this job is made of. InvalidRequest where a variable may not be set."""
    _check_environment(spec)
    return [
        *_secrets(spec, place),
        *_host_paths(spec, place),
        *_services(spec, place),
        *(box_manifests(spec, place) if spec.kind is JobKind.BOX else [_WORKLOADS[spec.kind](spec, place)]),
    ]


def _check_environment(spec: JobSpec) -> None:
    names = [variable.name for variable in spec.environment]
    if reserved := sorted(RESERVED_VARIABLES.intersection(names)):
        raise InvalidRequest(f"{reserved[0]} may not be set; a job's GPUs are those that it asks for")
    if twice := sorted(name for name in set(names) if names.count(name) > 1):
        raise InvalidRequest(f"variable {twice[0]} is given twice")


def _secrets(spec: JobSpec, place: JobPlace) -> list[Json]:
    if not spec.environment:
        return []
    values = {variable.name: variable.value for variable in spec.environment}
    return [job_object("v1", "Secret", secret_name(place), (spec, place), {"type": "Opaque", "stringData": values})]


def _host_paths(spec: JobSpec, place: JobPlace) -> list[Json]:
    pairs = [_host_path(spec, place, number, path) for number, path in enumerate(spec.host_paths)]
    return [manifest for pair in pairs for manifest in pair]


def _host_path(spec: JobSpec, place: JobPlace, number: int, path: str) -> tuple[Json, Json]:
    """A volume that is the folder, and the only claim on it; what is in the folder stays when both go."""
    name = claim_name(place, number)
    form = {"accessModes": ["ReadWriteMany"], "storageClassName": "", "volumeMode": "Filesystem"}
    volume = {
        **form,
        "capacity": {"storage": _NOMINAL_SIZE},
        "persistentVolumeReclaimPolicy": "Retain",
        "claimRef": {"namespace": place.namespace, "name": name},
        "hostPath": {"path": path, "type": "DirectoryOrCreate"},
    }
    claim = {**form, "volumeName": name, "resources": {"requests": {"storage": _NOMINAL_SIZE}}}
    made = job_object("v1", "PersistentVolume", name, (spec, place), {"spec": volume})
    del made["metadata"]["namespace"]
    return made, job_object("v1", "PersistentVolumeClaim", name, (spec, place), {"spec": claim})


def _services(spec: JobSpec, place: JobPlace) -> list[Json]:
    content: Json
    if is_gang(spec):
        content = {"clusterIP": "None", "publishNotReadyAddresses": True}  # replicas meet before any of them is ready
    elif spec.kind in SERVICE_KINDS and spec.port:
        content = {"type": "NodePort", "ports": [{"name": "main", "port": spec.port, "targetPort": spec.port}]}
    else:
        return []
    content["selector"] = {JOB_LABEL: place.job_id}
    return [job_object("v1", "Service", service_name(spec, place), (spec, place), {"spec": content})]


def _training(spec: JobSpec, place: JobPlace) -> Json:
    content = {
        "completionMode": "Indexed",
        "completions": spec.replicas,
        "parallelism": spec.replicas,
        "podReplacementPolicy": "Failed",
        "backoffLimit": spec.retries,
        # a pod that was taken away is no failure of the job's own
        "podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]},
        "template": pod_template(spec, place),
    }
    if place.deadline_seconds is not None:
        content["activeDeadlineSeconds"] = place.deadline_seconds
    return job_object("batch/v1", "Job", place.name, (spec, place), {"spec": content})


def _serving(spec: JobSpec, place: JobPlace) -> Json:
    content = {
        **_scaled(spec, place),
        # there is no spare GPU for one replica more
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        "progressDeadlineSeconds": STARTUP_SECONDS_MAX,
        "revisionHistoryLimit": 0,
    }
    return job_object("apps/v1", "Deployment", place.name, (spec, place), {"spec": content})


def _notebook(spec: JobSpec, place: JobPlace) -> Json:
    content = {**_scaled(spec, place), "replicas": 1, "serviceName": service_name(spec, place)}
    return job_object("apps/v1", "StatefulSet", place.name, (spec, place), {"spec": content})


def _scaled(spec: JobSpec, place: JobPlace) -> Json:
    selector = {"matchLabels": {JOB_LABEL: place.job_id}}
    return {"replicas": spec.replicas, "selector": selector, "template": pod_template(spec, place)}


_WORKLOADS: Final[dict[JobKind, Callable[[JobSpec, JobPlace], Json]]] = {
    JobKind.TRAINING: _training,
    JobKind.INFERENCE: _serving,
    JobKind.NOTEBOOK: _notebook,
    JobKind.COMPUTE: _serving,
}
