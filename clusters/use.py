"""Whether GPUs of a lease are, or were, used by anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusters.holders import asked_count
from clusters.pods import bound_pods

if TYPE_CHECKING:
    from collections.abc import Collection

    from clusters.connection import ClusterConnection


def is_used(connection: ClusterConnection, key: str, nodes: Collection[str]) -> bool:
    """Whether a pod has come to one of these nodes by this token; one that has ended since counts, too, while it is known."""
    found = bound_pods(connection, nodes).values()
    return any(asked_count(pod["spec"], key) > 0 for pods in found for pod in pods)
