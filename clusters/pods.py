"""The pods that stand on nodes: the one question that decides what is in use and what is free."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from clusters.connection import ClusterConnection
from clusters.parallel import for_each

Json = dict[str, Any]

_PODS: Final = "/api/v1/pods"


def bound_pods(connection: ClusterConnection, nodes: Collection[str]) -> dict[str, list[Json]]:
    """The pods bound to each node, whatever their phase (it can be ahead of the truth), none older than this call."""
    if not nodes:
        return {}
    version = _version_now(connection)

    def on(node: str) -> tuple[str, list[Json]]:
        fresh = {"resourceVersion": version, "resourceVersionMatch": "NotOlderThan"}
        return node, connection.items(_PODS, fieldSelector=f"spec.nodeName={node}", **fresh)

    return dict(for_each(on, nodes))


def _version_now(connection: ClusterConnection) -> str:
    """The API server waits some 80 ms until its memory is sure to be up to date. Once for all nodes is enough."""
    listed = connection.get(_PODS, limit="1", fieldSelector="metadata.name=none")
    return str(listed["metadata"]["resourceVersion"])
