"""Watches one node as the scheduler does, by every version that the API server tells of, and keeps the most tokens it had."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Self

from domain.failures import BerthFailure
from tests.system.witness import tokens_of

if TYPE_CHECKING:
    from clusters.connection import ClusterConnection

Json = dict[str, Any]

WATCH_SECONDS = 3
PAUSE_SECONDS = 0.2


class NodeWatch:
    """Watches until it is told to stop. `most`: tokens of all leases together; `versions`: of the node, that were seen."""

    def __init__(self, cluster: ClusterConnection, node: str) -> None:
        self.most = 0
        self.versions = 0
        self._cluster = cluster
        self._node = node
        self._version = ""
        self._over = threading.Event()
        self._watching = threading.Thread(target=self._watch, name="node-watch", daemon=True)

    def __enter__(self) -> Self:
        self._see(self._cluster.get(f"/api/v1/nodes/{self._node}"))
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watching.join()

    def _watch(self) -> None:
        while not self._over.is_set():
            try:
                self._follow()
            except BerthFailure:  # the cluster is away, or the place in the watch is too old
                self._over.wait(PAUSE_SECONDS)

    def _follow(self) -> None:
        query = {"fieldSelector": f"metadata.name={self._node}", "timeoutSeconds": str(WATCH_SECONDS)}
        if self._version:
            query |= {"resourceVersion": self._version, "allowWatchBookmarks": "true"}
        for event in self._cluster.lines("/api/v1/nodes", watch="true", **query):
            if event["type"] == "ERROR":
                self._version = ""
                return
            self._version = event["object"]["metadata"]["resourceVersion"]
            if event["type"] in {"ADDED", "MODIFIED"}:
                self._see(event["object"])

    def _see(self, node: Json) -> None:
        self._version = node["metadata"]["resourceVersion"]
        self.versions += 1
        self.most = max(self.most, sum(tokens_of(node).values()))
