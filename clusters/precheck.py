"""The last look at granted nodes before anything is written to them: a grant is made on what was seen some time ago."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clusters.connection import ClusterConnection
from clusters.holders import gpus_held_beside
from clusters.observations import left_out_because, node_tokens, observed_node
from clusters.parallel import for_each
from clusters.pods import bound_pods
from clusters.taints import node_path

Json = dict[str, Any]


def unfit_nodes(connection: ClusterConnection, key: str, counts: Mapping[str, int]) -> dict[str, str]:
    """Of the nodes that were granted with so many GPUs each, those that cannot give them now, and why."""
    nodes = dict(for_each(lambda name: (name, connection.find(node_path(name))), counts))
    pods = bound_pods(connection, counts)
    troubles = {name: _trouble(node, pods[name], key, counts[name]) for name, node in nodes.items()}
    return {name: trouble for name, trouble in troubles.items() if trouble}


def _trouble(node: Json | None, pods: list[Json], key: str, count: int) -> str:
    if node is None:
        return "it is no longer a node of the cluster"
    seen = observed_node(node)
    if trouble := left_out_because(node) or seen.condition:
        return trouble
    free = seen.gpus - gpus_held_beside(key, pods, node_tokens(node))
    return f"{max(0, free)} of its {seen.gpus} GPUs are free, not {count}" if free < count else ""
