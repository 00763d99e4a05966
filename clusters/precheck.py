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
from domain.hardware import ObservedNode
from domain.identifiers import resource_of
from domain.slices import GPU_RESOURCE, host_of

Json = dict[str, Any]


def unfit_nodes(connection: ClusterConnection, key: str, counts: Mapping[str, int]) -> dict[str, str]:
    """Of the nodes, or parts of such, that were granted with so many GPUs each, those that cannot give them now, and why."""
    hosts = {host_of(name) for name in counts}
    nodes = dict(for_each(lambda host: (host, connection.find(node_path(host))), hosts))
    pods = bound_pods(connection, hosts)
    troubles = {
        name: why_unfit(name, nodes[host_of(name)], pods[host_of(name)], (key, counts[name])) for name in counts
    }
    return {name: trouble for name, trouble in troubles.items() if trouble}


def why_unfit(name: str, node: Json | None, pods: list[Json], wanted: tuple[str, int]) -> str:
    """Why what was granted by this name cannot give so many GPUs behind this token (`wanted`: token, count), or ""."""
    key, count = wanted
    if node is None:
        return "it is no longer a node of the cluster"
    seen = observed_node(node)
    if trouble := left_out_because(node) or seen.condition:
        return trouble
    has, what, trouble = _offer(name, seen)
    if trouble or resource_of(key) != what:
        return trouble or f"its GPUs are counted as {what} now"
    free = has - gpus_held_beside(key, pods, node_tokens(node))
    return f"{max(0, free)} of its {has} GPUs are free, not {count}" if free < count else ""


def _offer(name: str, seen: ObservedNode) -> tuple[int, str, str]:
    """How many GPUs there are by that name now, as what Kubernetes counts them, and what is wrong with them."""
    if name == seen.name:
        return seen.gpus, GPU_RESOURCE, "its GPUs are cut or shared now" if seen.parts else ""
    part = next((part for part in seen.parts if part.name_on(seen.name) == name), None)
    return (part.count, part.resource, part.condition) if part else (0, "", "its GPUs are cut in another way now")
