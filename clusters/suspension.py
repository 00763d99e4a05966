"""Stopping the controllers that would put a lease's pods back: jobs are suspended, the others scaled to nothing.

How many replicas there were is kept in an annotation. Only workloads whose pods ask for the lease's GPUs are touched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from clusters.connection import ClusterConnection
from clusters.failures import ObjectConflict, ObjectMissing
from clusters.holders import asks_for_leased_gpus
from clusters.manifests import REPLICAS_ANNOTATION, SUSPENDED_ANNOTATION

Json = dict[str, Any]

TRIES: Final = 5
"""A workload's own controller writes its status while we write its spec."""

_SUSPENDED: Final = ("/apis/batch/v1", ("cronjobs", "jobs"))
_SCALED: Final = ("/apis/apps/v1", ("deployments", "replicasets", "statefulsets"))


def suspend_workloads(connection: ClusterConnection, key: str, namespaces: Collection[str]) -> None:
    """Stop every workload in these namespaces whose pods use the GPUs behind this token."""
    for namespace in namespaces:
        for group, kinds in (_SUSPENDED, _SCALED):
            for kind in kinds:
                _stop_all(connection, f"{group}/namespaces/{namespace}/{kind}", key)


def _stop_all(connection: ClusterConnection, collection: str, key: str) -> None:
    for workload in connection.items(collection):
        if asks_for_leased_gpus(_pod_spec(workload), key) and not _is_scaled_by_its_owner(workload):
            stop_workload(connection, f"{collection}/{workload['metadata']['name']}", workload)


def stop_workload(connection: ClusterConnection, path: str, workload: Json | None) -> None:
    """Let the workload have no pods. One that is stopped, over or gone is left as it is."""
    _write(connection, path, workload, _stopped)


def start_workload(connection: ClusterConnection, path: str, workload: Json | None) -> None:
    """Undo `stop_workload`: as many pods as before. One that was not stopped by Berth is left as it is."""
    _write(connection, path, workload, _started)


def _write(connection: ClusterConnection, path: str, workload: Json | None, change_of: Callable[[Json], Json]) -> None:
    for _ in range(TRIES):
        if workload is None or not (change := change_of(workload)):
            return
        try:
            connection.merge(path, change)
        except ObjectMissing:
            return
        except ObjectConflict as conflict:
            lost, workload = conflict, connection.find(path)
        else:
            return
    raise lost


def _stopped(workload: Json) -> Json:
    """What to write so that the workload stops; nothing where it has."""
    spec = workload["spec"]
    if "replicas" in spec:
        count = spec["replicas"]
        return _written(workload, {"replicas": 0}, {REPLICAS_ANNOTATION: str(count)}) if count else {}
    if spec.get("suspend") or _is_finished(workload):
        return {}
    return _written(workload, {"suspend": True}, {SUSPENDED_ANNOTATION: "lease ended"})


def _started(workload: Json) -> Json:
    kept = workload["metadata"].get("annotations") or {}
    if "replicas" in workload["spec"]:
        count = kept.get(REPLICAS_ANNOTATION)
        return _written(workload, {"replicas": int(count)}, {REPLICAS_ANNOTATION: None}) if count else {}
    if SUSPENDED_ANNOTATION not in kept:
        return {}
    return _written(workload, {"suspend": False}, {SUSPENDED_ANNOTATION: None})


def _written(workload: Json, spec: Json, annotations: Json) -> Json:
    version = workload["metadata"]["resourceVersion"]
    return {"metadata": {"resourceVersion": version, "annotations": annotations}, "spec": spec}


def _is_finished(workload: Json) -> bool:
    conditions = (workload.get("status") or {}).get("conditions") or []
    return any(
        condition["type"] in {"Complete", "Failed"} and condition["status"] == "True" for condition in conditions
    )


def _is_scaled_by_its_owner(workload: Json) -> bool:
    """A ReplicaSet of a Deployment has its count from there."""
    owners = workload["metadata"].get("ownerReferences") or []
    return "replicas" in workload["spec"] and any(owner.get("controller") for owner in owners)


def _pod_spec(workload: Json) -> Json:
    spec = workload["spec"]
    template: Json = spec["jobTemplate"]["spec"]["template"] if "jobTemplate" in spec else spec["template"]
    return template["spec"] or {}
