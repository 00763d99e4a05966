"""A job's objects on a cluster: made, found again, stopped, started and taken away whole.

Which GPUs they may use is decided before, and freed after (`capacity.py`, `teardown.py`); what they show is read in
`job_views.py`. Everything is found by the job's label, so nothing has to be remembered between steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from clusters.connection import ClusterConnection
from clusters.failures import ObjectConflict, ObjectMissing
from clusters.holders import grace_of
from clusters.manifests import path_of
from clusters.parallel import for_each
from clusters.suspension import start_workload, stop_workload
from domain.failures import AlreadyExists, NotReadyYet
from domain.identifiers import JOB_LABEL, LEASE_LABEL

Json = dict[str, Any]

FORCED_GRACE_SECONDS: Final = 1
"""Never 0: that would drop a pod's record while its processes keep the GPU."""

WORKLOADS: Final = ("apis/batch/v1/jobs", "apis/apps/v1/deployments", "apis/apps/v1/statefulsets")
PODS: Final = "api/v1/pods"
_MADE_BY_CONTROLLERS: Final = ("apis/apps/v1/replicasets", PODS)
"""And pods of a box, which nothing makes again."""
_BESIDE: Final = (
    "api/v1/services",
    "api/v1/secrets",
    "api/v1/persistentvolumeclaims",
    "api/v1/persistentvolumes",
    "apis/networking.k8s.io/v1/networkpolicies",
)
"""A disk's claim is not among them: it is labelled as the disk's, and outlives the boxes that use it."""
_CLUSTER_WIDE: Final = frozenset({"api/v1/persistentvolumes"})


@dataclass(frozen=True, slots=True)
class JobObjectLeft:
    """Something of a job that is still there."""

    kind: str
    """Its collection: jobs, pods, services, …"""
    name: str
    is_going: bool
    """Whether its deletion has begun."""
    finalizers: tuple[str, ...] = ()

    def __str__(self) -> str:
        held = f"held by {', '.join(self.finalizers)}" if self.finalizers else "is going" if self.is_going else "stands"
        return f"{self.kind}/{self.name} {held}"


def create_job_objects(connection: ClusterConnection, manifests: Sequence[Json]) -> None:
    """Make what is not there yet, in order. AlreadyExists where a name belongs to something else in the namespace."""
    for manifest in manifests:
        _create(connection, manifest)


def delete_job_objects(connection: ClusterConnection, namespace: str, job_id: str, *, force: bool = False) -> None:
    """Begin to delete all that is the job's. Pods have their own grace, or hardly any where forced; never none."""
    for paths in (WORKLOADS, _MADE_BY_CONTROLLERS, _BESIDE):
        found = [(path, thing) for path in paths for thing in _found(connection, path, namespace, job_id)]
        due = [(path, thing) for path, thing in found if _is_due(thing, force=force and path == PODS)]
        for_each(lambda one: _delete(connection, *one, force=force), due)


def job_objects_left(connection: ClusterConnection, namespace: str, job_id: str) -> list[JobObjectLeft]:
    """What is still there of the job; empty when it is gone whole."""
    paths = (*WORKLOADS, *_MADE_BY_CONTROLLERS, *_BESIDE)
    found = for_each(lambda path: (path, _found(connection, path, namespace, job_id)), paths)
    return [_left(path, thing) for path, things in found for thing in things]


def suspend_job(connection: ClusterConnection, namespace: str, job_id: str) -> None:
    """Let the job have no pods, and remember how many it had. Twice is once; a job that is over stays as it is."""
    for path, workload in _workloads(connection, namespace, job_id):
        stop_workload(connection, path, workload)


def resume_job(connection: ClusterConnection, namespace: str, job_id: str) -> None:
    """Give a suspended job its pods again, on the same lease; for another lease its objects are made anew."""
    for path, workload in _workloads(connection, namespace, job_id):
        start_workload(connection, path, workload)


def move_job_deadline(connection: ClusterConnection, namespace: str, job_id: str, at: datetime) -> None:
    """Let the safety net under the lease's timer end at this instant. Jobs without one are left as they are."""
    for path, workload in _workloads(connection, namespace, job_id):
        started = (workload.get("status") or {}).get("startTime")
        if started and "activeDeadlineSeconds" in workload["spec"]:
            seconds = max(1, round((at - datetime.fromisoformat(started)).total_seconds()))
            connection.merge(path, {"spec": {"activeDeadlineSeconds": seconds}})


def collection(path: str, namespace: str) -> str:
    """Where the objects of one kind are listed: in the namespace, or everywhere where it is empty."""
    group, _, kind = path.rpartition("/")
    within = f"/namespaces/{namespace}" if namespace and path not in _CLUSTER_WIDE else ""
    return f"/{group}{within}/{kind}"


def _create(connection: ClusterConnection, manifest: Json) -> None:
    path = path_of(manifest)
    try:
        connection.create(path.rpartition("/")[0], manifest)
    except ObjectConflict:
        existing = connection.find(path)
        if existing is None:
            raise  # not the name: a quota was being counted, or it has gone meanwhile
        _check_same_job(connection, manifest, existing)


def _check_same_job(connection: ClusterConnection, manifest: Json, existing: Json) -> None:
    what = f"{manifest['kind']} {manifest['metadata']['name']}"
    ours, theirs = manifest["metadata"]["labels"], existing["metadata"].get("labels") or {}
    if theirs.get(JOB_LABEL) != ours[JOB_LABEL]:
        where = f"namespace {manifest['metadata'].get('namespace', '')} of cluster {connection.name}"
        raise AlreadyExists(f"{what} exists in {where} and is not this job's", object_kind=manifest["kind"])
    if "deletionTimestamp" in existing["metadata"] or theirs.get(LEASE_LABEL) != ours.get(LEASE_LABEL):
        raise NotReadyYet(f"{what} of an earlier try is still there")


def _found(connection: ClusterConnection, path: str, namespace: str, job_id: str) -> list[Json]:
    found = connection.items(collection(path, namespace), labelSelector=f"{JOB_LABEL}={job_id}")
    if path not in _CLUSTER_WIDE:
        return found
    return [thing for thing in found if (thing["spec"].get("claimRef") or {}).get("namespace") == namespace]


def _workloads(connection: ClusterConnection, namespace: str, job_id: str) -> list[tuple[str, Json]]:
    return [
        (f"{collection(path, namespace)}/{workload['metadata']['name']}", workload)
        for path in WORKLOADS
        for workload in _found(connection, path, namespace, job_id)
    ]


def _is_due(thing: Json, *, force: bool) -> bool:
    metadata = thing["metadata"]
    late = (metadata.get("deletionGracePeriodSeconds") or 0) > FORCED_GRACE_SECONDS
    return "deletionTimestamp" not in metadata or (force and late)


def _delete(connection: ClusterConnection, path: str, thing: Json, *, force: bool) -> None:
    metadata = thing["metadata"]
    grace = grace_of(thing, FORCED_GRACE_SECONDS) if force and path == PODS else None
    place = f"{collection(path, metadata.get('namespace', ''))}/{metadata['name']}"
    try:
        connection.delete(place, uid=metadata["uid"], grace_seconds=grace)
    except (ObjectMissing, ObjectConflict):
        return  # gone, or another thing has its name by now: the next look will tell


def _left(path: str, thing: Json) -> JobObjectLeft:
    metadata = thing["metadata"]
    kind = path.rpartition("/")[2]
    held = tuple(metadata.get("finalizers") or ())
    return JobObjectLeft(kind, metadata["name"], "deletionTimestamp" in metadata, held)
