"""One taint on a node, put on and taken off without touching anybody else's.

A node's taints are one list to Kubernetes: whoever writes one, writes all. So each change is read, then written only if
nobody wrote in between, and read again if somebody did.
"""

from __future__ import annotations

from typing import Any, Final

from clusters.connection import ClusterConnection
from clusters.failures import ObjectConflict, ObjectMissing

Json = dict[str, Any]

TRIES: Final = 5
"""A node's own writer is its kubelet, every few seconds at most."""


def put_taint(connection: ClusterConnection, node: Json, key: str, annotations: Json | None = None) -> None:
    """Make `key=true:NoSchedule` one of the node's taints. A node that is gone needs none."""
    _change(connection, node, [{"key": key, "value": "true", "effect": "NoSchedule"}], key, annotations or {})


def take_taint(connection: ClusterConnection, node: Json, key: str, annotations: Json | None = None) -> None:
    """Take our taints of this key off the node."""
    _change(connection, node, [], key, annotations or {})


def node_path(name: str) -> str:
    """Where a node lives."""
    return f"/api/v1/nodes/{name}"


def _change(connection: ClusterConnection, node: Json, ours: list[Json], key: str, annotations: Json) -> None:
    name = node["metadata"]["name"]
    for _ in range(TRIES):
        try:
            return _write(connection, node, ours, key, annotations)
        except ObjectMissing:
            return None
        except ObjectConflict as conflict:
            lost, node = conflict, connection.find(node_path(name)) or node
    raise lost


def _write(connection: ClusterConnection, node: Json, ours: list[Json], key: str, annotations: Json) -> None:
    taints = node.get("spec", {}).get("taints") or []
    wanted = [*(taint for taint in taints if taint["key"] != key), *ours]
    noted = node["metadata"].get("annotations") or {}
    if _same(taints, wanted) and all(noted.get(name) == value for name, value in annotations.items()):
        return
    metadata = {"resourceVersion": node["metadata"]["resourceVersion"], "annotations": annotations}
    connection.merge(node_path(node["metadata"]["name"]), {"metadata": metadata, "spec": {"taints": wanted}})


def _same(taints: list[Json], wanted: list[Json]) -> bool:
    return sorted(map(_identity, taints)) == sorted(map(_identity, wanted))


def _identity(taint: Json) -> tuple[str, str, str]:
    return taint["key"], taint.get("value", ""), taint["effect"]
