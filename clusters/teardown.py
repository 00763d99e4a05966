"""Getting a lease's pods off its nodes, and saying truthfully which still hold GPUs.

Nothing here forces: a forced deletion removes the record of a pod whose processes keep the GPU. A pod that stays is
reported with the reason, and its node can be set aside. Taking the tokens away comes first (`capacity.py`), so that
what is deleted here is not replaced; in what order and how often is the caller's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any

from clusters.connection import ClusterConnection
from clusters.failures import ObjectConflict, ObjectMissing
from clusters.holders import HolderPod, deletion_is_due, grace_of, has_ended, holder, token_keys
from clusters.manifests import QUARANTINE_ANNOTATION
from clusters.parallel import for_each
from clusters.pods import bound_pods
from clusters.taints import node_path, put_taint, take_taint
from domain.identifiers import QUARANTINE_TAINT

Json = dict[str, Any]


def delete_gpu_pods(connection: ClusterConnection, key: str, nodes: Collection[str], grace_seconds: int) -> None:
    """Tell every pod that holds GPUs behind this token to go, within its own grace or this, the shorter one."""
    delete_pods(connection, _holding(connection, key, nodes), grace_seconds)


def gpu_holders(connection: ClusterConnection, key: str, nodes: Collection[str]) -> dict[str, list[HolderPod]]:
    """Which pods still hold GPUs behind this token, by node; a node that is not in the answer is free of them."""
    now = datetime.now(UTC)
    found = {node: [holder(pod, key, now) for pod in pods] for node, pods in bound_pods(connection, nodes).items()}
    return {node: [one for one in holders if one] for node, holders in found.items() if any(holders)}


def late_pods(connection: ClusterConnection, key: str, nodes: Collection[str]) -> list[Json]:
    """The pods that hold GPUs behind this token and were never told to go: they came after all others were.

    A scheduler that was cut off from its cluster binds by tokens that it saw last.
    """
    return [pod for pod in _holding(connection, key, nodes) if "deletionTimestamp" not in pod["metadata"]]


def still_there(connection: ClusterConnection, pods: Collection[Json]) -> bool:
    """Whether any of these pods, seen before on their nodes, may still run."""
    uids = {pod["metadata"]["uid"] for pod in pods}
    found = bound_pods(connection, {pod["spec"]["nodeName"] for pod in pods})
    return any(pod["metadata"]["uid"] in uids and not has_ended(pod) for pods in found.values() for pod in pods)


def strays(pods: Iterable[Json], leased: Collection[tuple[str, str]]) -> list[Json]:
    """Of these pods, those that stand on a node by a token without a lease behind it. `leased`: token and node.

    A scheduler that was cut off from its cluster binds by what it saw last: the tokens of a lease that has ended since.
    """
    return [
        pod
        for pod in pods
        if not has_ended(pod) and any((key, pod["spec"]["nodeName"]) not in leased for key in token_keys(pod["spec"]))
    ]


def delete_pods(connection: ClusterConnection, pods: Iterable[Json], grace_seconds: int) -> None:
    """Tell these pods to go, within their own grace or this, the shorter one."""
    due = [pod for pod in pods if deletion_is_due(pod, grace_of(pod, grace_seconds))]
    for_each(lambda pod: _delete(connection, pod, grace_of(pod, grace_seconds)), due)


def quarantine_nodes(connection: ClusterConnection, nodes: Collection[str], why: str) -> None:
    """Let nothing new onto these nodes, and write down why. What runs there goes on."""
    for name in nodes:
        if node := connection.find(node_path(name)):
            put_taint(connection, node, QUARANTINE_TAINT, {QUARANTINE_ANNOTATION: why})


def lift_quarantine(connection: ClusterConnection, nodes: Collection[str]) -> None:
    """Take our quarantine off these nodes."""
    for name in nodes:
        if node := connection.find(node_path(name)):
            take_taint(connection, node, QUARANTINE_TAINT, {QUARANTINE_ANNOTATION: None})


def _holding(connection: ClusterConnection, key: str, nodes: Collection[str]) -> list[Json]:
    now = datetime.now(UTC)
    return [pod for pods in bound_pods(connection, nodes).values() for pod in pods if holder(pod, key, now)]


def _delete(connection: ClusterConnection, pod: Json, grace_seconds: int) -> None:
    metadata = pod["metadata"]
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
    try:
        connection.delete(path, uid=metadata["uid"], grace_seconds=grace_seconds)
    except (ObjectMissing, ObjectConflict):
        return  # gone, or another pod has its name by now: the next look will tell
