"""One label of one node, written or taken off without touching anybody else's.

A merge patch changes only the keys that it names. Where it matters what was there before, the write holds only for the
node that was read, and is tried again when somebody wrote in between. Which keys people may write is for the domain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from clusters.connection import ClusterConnection
from clusters.failures import ObjectConflict, ObjectMissing
from clusters.taints import node_path
from domain.failures import AlreadyExists, NotFound

Json = dict[str, Any]
Labels = dict[str, str]

TRIES: Final = 5
"""A node's own writer is its kubelet, every few seconds at most."""


def add_label(connection: ClusterConnection, node: str, key: str, value: str, *, overwrite: bool = False) -> None:
    """Put a label on a node. AlreadyExists where the key has another value, unless that may be overwritten."""

    def check(labels: Labels) -> None:
        if key in labels and not overwrite:
            raise AlreadyExists(f"node {node!r} has a label {key!r} already; it may be overwritten", key=key)

    _write(connection, node, {key: value}, check)


def set_label(connection: ClusterConnection, node: str, key: str, value: str) -> None:
    """Change the value of a label, or NotFound."""
    _write(connection, node, {key: value}, _present(node, key))


def remove_label(connection: ClusterConnection, node: str, key: str) -> None:
    """Take a label off a node, or NotFound."""
    _write(connection, node, {key: None}, _present(node, key))


def _present(node: str, key: str) -> Callable[[Labels], None]:
    def check(labels: Labels) -> None:
        if key not in labels:
            raise NotFound(f"node {node!r} has no label {key!r}", node=node, key=key)

    return check


def _write(connection: ClusterConnection, name: str, change: Json, check: Callable[[Labels], None]) -> None:
    for _ in range(TRIES):
        node = connection.find(node_path(name))
        if node is None:
            raise NotFound(f"there is no node {name!r} in cluster {connection.name!r}", node=name)
        check(node["metadata"].get("labels") or {})
        metadata = {"resourceVersion": node["metadata"]["resourceVersion"], "labels": change}
        try:
            connection.merge(node_path(name), {"metadata": metadata})
        except ObjectConflict as conflict:
            lost = conflict
        except ObjectMissing as missing:
            raise NotFound(f"there is no node {name!r} in cluster {connection.name!r}", node=name) from missing
        else:
            return
    raise lost
