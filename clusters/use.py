"""Whether GPUs of a lease are, or were, used by anybody."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from clusters.holders import asked_count, has_ended
from clusters.pods import bound_pods

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from clusters.connection import ClusterConnection

Json = dict[str, Any]


def is_used(connection: ClusterConnection, key: str, nodes: Collection[str]) -> bool:
    """Whether a pod has come to one of these nodes by this token; one that has ended since counts, too, while it is known."""
    found = bound_pods(connection, nodes).values()
    return any(_asks_for(key, pod) for pods in found for pod in pods)


def last_used(pods: Iterable[Json], key: str, now: datetime) -> datetime | None:
    """When one of these pods was last known to be on GPUs behind this token; None: of none that is known."""
    return max((_here_until(pod, now) for pod in pods if _asks_for(key, pod)), default=None)


def _asks_for(key: str, pod: Json) -> bool:
    return asked_count(pod["spec"], key) > 0


def _here_until(pod: Json, now: datetime) -> datetime:
    """Of one that has ended the last thing that happened to it: nodes that were lost tell no better."""
    if not has_ended(pod):
        return now
    status = pod.get("status", {})
    ends = [
        ((container.get("state") or {}).get("terminated") or {}).get("finishedAt")
        for container in status.get("containerStatuses") or []
    ]
    turns = [condition.get("lastTransitionTime") for condition in status.get("conditions") or []]
    known = [datetime.fromisoformat(at) for at in (*ends, *turns, pod["metadata"]["creationTimestamp"]) if at]
    return min(now, max(known))
