"""Whether everything is free: nothing held in the ledger, nothing written on a node, nothing left of a workspace."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from domain.failures import ClusterUnavailable
from tests.system.witness import tokens_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tests.system.installation import Installation

LOOK_SECONDS = 0.1
WORKSPACE_LABEL = "berth.io/workspace"
FENCE_LABEL = "berth.io/fence"
JOB_LABEL = "berth.io/job"
DISK_LABEL = "berth.io/disk"
PERSONAL = "dev-"
CLAIMS = "/api/v1/persistentvolumeclaims"
SNAPSHOTS = "/apis/snapshot.storage.k8s.io/v1/volumesnapshots"
MADE_FOR_JOBS = (
    "/apis/batch/v1/jobs",
    "/apis/apps/v1/deployments",
    "/apis/apps/v1/statefulsets",
    "/apis/apps/v1/replicasets",
    "/api/v1/pods",
    "/api/v1/services",
    "/api/v1/secrets",
    "/api/v1/persistentvolumeclaims",
    "/api/v1/persistentvolumes",
)


def until(claim: Callable[[], Any], what: str, seconds_max: float) -> Any:
    """The first answer that is true; an AssertionError that names it when none comes in time."""
    deadline = time.monotonic() + seconds_max
    while not (answer := claim()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds_max} s"
        time.sleep(LOOK_SECONDS)
    return answer


def left_in_ledger(installation: Installation) -> list[str]:
    """What is still held, live or undelivered."""
    tables = installation.tables
    left = {
        "open leases": "lease where released_at is null",
        "GPUs of leases": "lease_gpu where released_at is null",
        "live Gprs": "gpr where phase in ('queued', 'provisioning', 'active', 'releasing')",
        "messages for Temporal": "outbox where delivered_at is null and created_at <= now()",
        "quarantined nodes": "node where quarantined_at is not null",
    }
    counts = {what: tables.count(condition) for what, condition in left.items()}
    return [f"{count} {what}" for what, count in counts.items() if count]


def left_on_nodes(installation: Installation) -> list[str]:
    """Tokens that are still on nodes."""
    return [
        f"{cluster.name}/{node['metadata']['name']}: {tokens_of(node)}"
        for cluster in installation.clusters()
        for node in cluster.items("/api/v1/nodes")
        if tokens_of(node)
    ]


def left_in_namespaces(installation: Installation, namespaces: Collection[str]) -> list[str]:
    """GPU pods of workspaces, and Secrets that kubeconfigs of leases were bound to."""
    return [
        f"{cluster.name}/{found['metadata']['namespace']}: {kind} {found['metadata']['name']}"
        for cluster in installation.clusters()
        for kind, query in (("pods", {}), ("secrets", {"labelSelector": FENCE_LABEL}))
        for found in cluster.items(f"/api/v1/{kind}", **query)
        if found["metadata"]["namespace"] in namespaces
    ]


def left_of_jobs(installation: Installation, job_id: str = "") -> list[str]:
    """Whatever was made for this job, or for any."""
    label = f"{JOB_LABEL}={job_id}" if job_id else JOB_LABEL
    return [
        f"{cluster.name}: {path.rpartition('/')[2]} {found['metadata']['name']}"
        for cluster in installation.clusters()
        for path in MADE_FOR_JOBS
        for found in cluster.items(path, labelSelector=label)
    ]


def left_of_disks(installation: Installation) -> list[str]:
    """Operations that are not over, and where a cluster has a claim or a copy more, or less, than the ledger knows of."""
    try:
        return _left_of_disks(installation)
    except ClusterUnavailable as away:
        return [str(away)]


def _left_of_disks(installation: Installation) -> list[str]:
    tables = installation.tables
    unfinished = tables.rows("select action, status from disk_operation where status in ('queued', 'running')")
    known = {
        CLAIMS: "select cluster, namespace, volume as name from disk where volume <> ''",
        SNAPSHOTS: "select cluster, namespace, name from disk_snapshot where phase in ('creating', 'ready', 'going')",
    }
    left = [f"{one['action']} is {one['status']}" for one in unfinished]
    for path, query in known.items():
        in_ledger = {(row["cluster"], row["namespace"], row["name"]) for row in tables.rows(query)}
        there = {
            (cluster.name, found["metadata"]["namespace"], found["metadata"]["name"])
            for cluster in installation.clusters()
            for found in cluster.items(path, labelSelector=DISK_LABEL)
        }
        left += [f"{'/'.join(one)} is in the cluster alone" for one in there - in_ledger]
        left += [f"{'/'.join(one)} is in the ledger alone" for one in in_ledger - there]
    return left


def workspace_namespaces(installation: Installation) -> list[str]:
    """Namespaces that Berth made for workspaces, and that are there; people's own stay."""
    return [
        f"{cluster.name}/{found['metadata']['name']}"
        for cluster in installation.clusters()
        for found in cluster.items("/api/v1/namespaces", labelSelector=WORKSPACE_LABEL)
        if not found["metadata"]["name"].startswith(PERSONAL)
    ]
