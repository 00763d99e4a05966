"""What the tests of clusters look at and ask for, in their words."""

from __future__ import annotations

from collections.abc import Callable

from clusters.connection import ClusterConnection
from domain.workspace import Tenancy
from tests.builders_clusters import Json, a_pod, eventually

NewNodes = Callable[..., list[str]]
NewWorkspace = Callable[..., Tenancy]
AsTenant = Callable[..., ClusterConnection]


def pods_path(tenancy: Tenancy) -> str:
    return f"/api/v1/namespaces/{tenancy.namespaces[0]}/pods"


def create_pods(
    connection: ClusterConnection, tenancy: Tenancy, count: int, *, gpus: int = 1, prefix: str = "w"
) -> None:
    for number in range(count):
        connection.create(pods_path(tenancy), a_pod(f"{prefix}-{number}", gpus=gpus))


def pods(connection: ClusterConnection, tenancy: Tenancy) -> list[Json]:
    return connection.items(pods_path(tenancy))


def running(connection: ClusterConnection, tenancy: Tenancy) -> int:
    return sum(pod["status"].get("phase") == "Running" for pod in pods(connection, tenancy))


def waiting(connection: ClusterConnection, tenancy: Tenancy) -> list[str]:
    """What the scheduler says of each pod that it cannot place."""
    conditions = [condition for pod in pods(connection, tenancy) for condition in pod["status"].get("conditions", [])]
    return [one["message"] for one in conditions if one["type"] == "PodScheduled" and one["status"] == "False"]


def settles(connection: ClusterConnection, tenancy: Tenancy, *, run: int, wait: int) -> bool:
    """Whether exactly so many pods run and so many are known to wait."""
    return eventually(lambda: (running(connection, tenancy), len(waiting(connection, tenancy))) == (run, wait))
