"""Reading what a cluster shows of jobs: their state, and what was said about them. Changes nothing.

Many jobs are read in as many calls as one, so that whoever is told of a hundred changes does not make a thousand calls.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from clusters.connection import ClusterConnection
from clusters.failures import ObjectMissing
from clusters.job_pod_status import node_in_question
from clusters.job_status import JobEvidence, observed_job
from clusters.jobs import PODS, WORKLOADS, collection
from clusters.observations import why_not_ready
from clusters.parallel import for_each
from clusters.taints import node_path
from domain.identifiers import JOB_LABEL, WORKSPACE_LABEL
from domain.job import JobEvent, ObservedJob

Json = dict[str, Any]

NAMED_MAX: Final = 50
"""More jobs or nodes than this are found in the list of all: a request's address has a bound."""
_NODES: Final = "/api/v1/nodes"
_FROM_MEMORY: Final = {"resourceVersion": "0"}
"""A moment old, and cheap for the API server: a node that fails has been silent for longer than that."""
_SERVICES: Final = "api/v1/services"
_REPLICA_SETS: Final = "apis/apps/v1/replicasets"


def observe_job(connection: ClusterConnection, namespace: str, job_id: str) -> ObservedJob | None:
    """The job as it stands, or None where there is nothing of it."""
    return observe_jobs(connection, [job_id], namespace).get(job_id)


def observe_jobs(
    connection: ClusterConnection, job_ids: Collection[str], namespace: str = ""
) -> dict[str, ObservedJob]:
    """These jobs as they stand, in one namespace or wherever they are; one of which there is nothing is left out."""
    found = _evidence(connection, job_ids, namespace) if job_ids else {}
    return {job_id: observed_job(evidence) for job_id, evidence in found.items()}


def job_events(connection: ClusterConnection, namespace: str, job_id: str) -> list[JobEvent]:
    """What the cluster said of the job and of those of its pods that are still there, oldest first."""
    paths = (*WORKLOADS, _REPLICA_SETS, PODS)
    found = for_each(lambda path: _labelled(connection, path, namespace, [job_id]), paths)
    uids = {thing["metadata"]["uid"] for things in found for thing in things}
    events = connection.items(f"/api/v1/namespaces/{namespace}/events") if uids else []
    return sorted(map(_event, _about(events, uids)), key=lambda event: (str(event.at or ""), event.uid))


def _evidence(connection: ClusterConnection, job_ids: Collection[str], namespace: str) -> dict[str, JobEvidence]:
    paths = (*WORKLOADS, PODS, _SERVICES)
    *workloads, pods, services = for_each(lambda path: _labelled(connection, path, namespace, job_ids), paths)
    made = {_job_of(workload): workload for found in workloads for workload in found}
    if any(_job_of(pod) not in made for pod in pods):  # of a box, or left behind
        pods = _in_workspaces(connection, pods)
    homes = {_job_of(thing): _namespace(thing) for thing in (*pods, *made.values())}
    their_pods, their_services = _by_job(pods, homes), _by_job(services, homes)
    lost = _lost_nodes(connection, pods)
    return {
        job_id: JobEvidence(made.get(job_id), their_pods[job_id], their_services[job_id], lost)
        for job_id in job_ids
        if job_id in made or their_pods[job_id]
    }


def _labelled(connection: ClusterConnection, path: str, namespace: str, job_ids: Collection[str]) -> list[Json]:
    named = f"{JOB_LABEL} in ({','.join(sorted(job_ids))})"
    few = len(job_ids) <= NAMED_MAX
    return connection.items(collection(path, namespace), labelSelector=named if few else JOB_LABEL)


def _by_job(things: Iterable[Json], homes: Mapping[str, str]) -> dict[str, list[Json]]:
    """Of each job what is in its own namespace: elsewhere anybody may write its label."""
    found: dict[str, list[Json]] = defaultdict(list)
    for thing in things:
        if homes.get(_job_of(thing)) == _namespace(thing):
            found[_job_of(thing)].append(thing)
    return found


def _in_workspaces(connection: ClusterConnection, pods: Iterable[Json]) -> list[Json]:
    """What stands where only Berth may write a job's label."""
    workspaces = connection.items("/api/v1/namespaces", labelSelector=WORKSPACE_LABEL, **_FROM_MEMORY)
    names = {namespace["metadata"]["name"] for namespace in workspaces}
    return [pod for pod in pods if _namespace(pod) in names]


def _lost_nodes(connection: ClusterConnection, pods: Iterable[Json]) -> dict[str, str]:
    """Nodes of pods that are not ready: whatever such pods said last need not be so any more."""
    names = {node for pod in pods if (node := node_in_question(pod))}
    why = {name: _why_lost(node) for name, node in _nodes(connection, names).items()}
    return {name: why[name] for name in names if why[name]}


def _nodes(connection: ClusterConnection, names: Collection[str]) -> dict[str, Json | None]:
    if len(names) <= NAMED_MAX:
        return dict(for_each(lambda name: (name, _node(connection, name)), names))
    listed = {node["metadata"]["name"]: node for node in connection.items(_NODES, **_FROM_MEMORY)}
    return {name: listed.get(name) for name in names}


def _node(connection: ClusterConnection, name: str) -> Json | None:
    try:
        return connection.get(node_path(name), **_FROM_MEMORY)
    except ObjectMissing:
        return None


def _why_lost(node: Json | None) -> str:
    return why_not_ready(node) if node else "it is gone"


def _job_of(thing: Json) -> str:
    return str(thing["metadata"]["labels"][JOB_LABEL])


def _namespace(thing: Json) -> str:
    return str(thing["metadata"]["namespace"])


def _about(events: Iterable[Json], uids: Collection[str]) -> list[Json]:
    return [event for event in events if event.get("involvedObject", {}).get("uid") in uids]


def _event(event: Json) -> JobEvent:
    """The scheduler writes events of the new kind, whose time and count are elsewhere."""
    about, series = event["involvedObject"], event.get("series") or {}
    times = [series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime")]
    at = next((datetime.fromisoformat(time) for time in times if time), None)
    return JobEvent(
        uid=event["metadata"]["uid"],
        kind=about.get("kind", ""),
        name=about.get("name", ""),
        is_warning=event.get("type") == "Warning",
        reason=event.get("reason", ""),
        message=event.get("message", ""),
        count=int(series.get("count") or event.get("count") or 1),
        at=at,
    )
