"""Asks clusters about nodes and changes their labels, off the event loop."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from api.operations.cluster_threads import DEADLINE_SECONDS, ClusterThreads
from clusters import labels, node_facts
from clusters.connection import ClusterConnection
from domain.hardware import NodeFacts, NodeUse


class ClusterNodes:
    """Nodes through the connections of this process. Every method raises ClusterUnavailable where there is no answer."""

    def __init__(
        self, connections: Mapping[str, ClusterConnection], *, deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        self._threads = ClusterThreads(connections, "nodes", deadline_seconds=deadline_seconds)

    async def facts(self, cluster: str, names: Collection[str]) -> Mapping[str, NodeFacts]:
        """Each of these nodes as it is; one that is gone is left out."""
        return await self._threads.ask(cluster, node_facts.node_facts, names)

    async def use(self, cluster: str, name: str) -> NodeUse:
        """What the pods on a node have asked for."""
        return await self._threads.ask(cluster, node_facts.node_use, name)

    async def add_label(self, cluster: str, node: str, key: str, value: str, *, overwrite: bool) -> None:
        """Put a label on a node, or AlreadyExists."""
        await self._threads.ask(cluster, labels.add_label, node, key, value, overwrite=overwrite)

    async def set_label(self, cluster: str, node: str, key: str, value: str) -> None:
        """Change a label, or NotFound."""
        await self._threads.ask(cluster, labels.set_label, node, key, value)

    async def remove_label(self, cluster: str, node: str, key: str) -> None:
        """Take a label off, or NotFound."""
        await self._threads.ask(cluster, labels.remove_label, node, key)

    async def has_namespace(self, cluster: str, name: str) -> bool:
        """Whether the cluster has a namespace of this name, whoever made it."""
        return await self._threads.ask(cluster, node_facts.has_namespace, name)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.close()
