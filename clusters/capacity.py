"""Capacity tokens: how many of a node's GPUs are a lease's to use, written where the scheduler counts.

A real kubelet derives allocatable from capacity within seconds and kwok never does; both are written, so that a token
takes effect at once. A count is never lowered below its use: that, and a restart of the kubelet, would kill running
pods. Taking the whole key away is always safe: running pods stay and new ones wait.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from clusters.connection import ClusterConnection
from clusters.failures import ObjectMissing
from clusters.holders import asked_count, has_ended
from clusters.observations import node_tokens
from clusters.parallel import for_each
from clusters.pods import bound_pods
from clusters.taints import node_path
from domain.failures import NodeUnfit

Json = dict[str, Any]


def write_tokens(connection: ClusterConnection, key: str, counts: Mapping[str, int]) -> None:
    """Put this many tokens on each node. What is there already is left as it is; a node in the way raises NodeUnfit."""
    nodes = _read_nodes(connection, counts)
    wrong = {name: counts[name] for name, node in nodes.items() if not _is_written(node, key, counts[name])}
    # While a count that is too high is looked at, nothing new may start on it.
    remove_tokens(connection, key, [name for name in wrong if _count(nodes[name], key) > wrong[name]])
    _check_use(connection, key, wrong)
    for_each(lambda name: _put(connection, key, name, wrong[name]), wrong)


def read_tokens(connection: ClusterConnection, key: str, nodes: Collection[str]) -> dict[str, int]:
    """How many of these tokens the scheduler sees on each of the nodes; 0 where the node is gone."""
    return dict(for_each(lambda name: (name, _count(connection.find(node_path(name)), key)), nodes))


def remove_tokens(connection: ClusterConnection, key: str, nodes: Collection[str]) -> None:
    """Take the key off the nodes. Where it, or the node, is gone already, there is nothing to do."""
    for_each(lambda name: _take(connection, key, name), nodes)


def _read_nodes(connection: ClusterConnection, names: Collection[str]) -> dict[str, Json]:
    found = dict(for_each(lambda name: (name, connection.find(node_path(name))), names))
    gone = sorted(name for name, node in found.items() if node is None)
    if gone:
        raise _gone(connection, gone)
    return {name: node for name, node in found.items() if node is not None}


def _check_use(connection: ClusterConnection, key: str, counts: Mapping[str, int]) -> None:
    for node, pods in bound_pods(connection, counts).items():
        used = sum(asked_count(pod["spec"], key) for pod in pods if not has_ended(pod))
        if used > counts[node]:
            message = f"pods on node {node} still hold {used} GPUs by {key}, more than the {counts[node]} to be written"
            raise NodeUnfit(message, nodes=[node])


def _is_written(node: Json, key: str, count: int) -> bool:
    status = node.get("status", {})
    return all(str((status.get(part) or {}).get(key)) == str(count) for part in ("capacity", "allocatable"))


def _count(node: Json | None, key: str) -> int:
    return node_tokens(node).get(key, 0) if node else 0


def _gone(connection: ClusterConnection, nodes: list[str]) -> NodeUnfit:
    return NodeUnfit(f"no longer nodes of cluster {connection.name}: {', '.join(nodes)}", nodes=nodes)


def _put(connection: ClusterConnection, key: str, node: str, count: int) -> None:
    try:
        _set(connection, key, node, str(count))
    except ObjectMissing as missing:
        raise _gone(connection, [node]) from missing


def _take(connection: ClusterConnection, key: str, node: str) -> None:
    try:
        _set(connection, key, node, None)
    except ObjectMissing:
        return


def _set(connection: ClusterConnection, key: str, node: str, count: str | None) -> None:
    connection.merge(f"{node_path(node)}/status", {"status": {"capacity": {key: count}, "allocatable": {key: count}}})
