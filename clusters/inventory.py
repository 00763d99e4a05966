"""Which GPU nodes a cluster has, who outside Berth uses them, and the standing taint that keeps others off them."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace
from typing import Any, Final

from clusters.connection import ClusterConnection
from clusters.observations import foreign_gpus, has_gpus, left_out_because, observed_node
from clusters.parallel import for_each
from clusters.taints import put_taint
from domain.hardware import ObservedNode, ObservedPart
from domain.identifiers import MANAGED_TAINT, WORKSPACE_LABEL

Json = dict[str, Any]

log = logging.getLogger(__name__)

_NODES: Final = "/api/v1/nodes"
_BOUND_AND_NOT_OVER: Final = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"


def observe_nodes(connection: ClusterConnection) -> list[ObservedNode]:
    """Every node whose GPUs can be leased, as it is now."""
    nodes = leasable_nodes(connection)
    used = foreign_gpus(_bound_pods(connection), _workspace_namespaces(connection)) if nodes else {}
    return one_resource_each([observed_node(node, used.get(node["metadata"]["name"])) for node in nodes])


def one_resource_each(nodes: Collection[ObservedNode]) -> list[ObservedNode]:
    """The same, but of a shape that comes as two resources, by two MIG strategies, only one is offered.

    A gang of that shape could get both, and the pods of a job ask for one.
    """
    resources = defaultdict[str, set[str]](set)
    for node in nodes:
        for part in node.parts:
            resources[part.shape].add(part.resource)
    return [
        replace(node, parts=tuple(_alone(part, max(resources[part.shape])) for part in node.parts)) for node in nodes
    ]


def _alone(part: ObservedPart, offered: str) -> ObservedPart:
    if part.resource == offered:
        return part
    why = f"{part.shape} is {offered} on other nodes of the cluster: it is offered as that alone"
    return replace(part, condition="; ".join(filter(None, [part.condition, why])))


def adopt_nodes(connection: ClusterConnection, names: Collection[str]) -> list[str]:
    """Put the standing taint on these nodes where it is missing, and say on which that was. Running pods stay."""
    ours = [node for node in leasable_nodes(connection) if node["metadata"]["name"] in names]
    lacking = [node for node in ours if not _is_adopted(node)]
    for_each(lambda node: put_taint(connection, node, MANAGED_TAINT), lacking)
    return [node["metadata"]["name"] for node in lacking]


def leasable_nodes(connection: ClusterConnection) -> list[Json]:
    """The nodes whose GPUs can be leased, as Kubernetes describes them."""
    found = []
    for node in connection.items(_NODES):
        reason = left_out_because(node) if has_gpus(node) else "it has no GPUs"
        if not reason:
            found.append(node)
        elif has_gpus(node):
            log.info("node %s of cluster %s is left out: %s", node["metadata"]["name"], connection.name, reason)
    return found


def _bound_pods(connection: ClusterConnection) -> list[Json]:
    return connection.items("/api/v1/pods", fieldSelector=_BOUND_AND_NOT_OVER)


def _workspace_namespaces(connection: ClusterConnection) -> frozenset[str]:
    namespaces = connection.items("/api/v1/namespaces", labelSelector=WORKSPACE_LABEL)
    return frozenset(namespace["metadata"]["name"] for namespace in namespaces)


def _is_adopted(node: Json) -> bool:
    return any(taint["key"] == MANAGED_TAINT for taint in node.get("spec", {}).get("taints") or [])
