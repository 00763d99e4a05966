"""A workspace's objects in one cluster. Applying what is there and deleting what is gone change nothing."""

from temporalio import activity

from clusters.connection import ClusterConnection
from clusters.tenancy import apply_tenancy, delete_tenancy, namespaces_left
from domain.workspace import Tenancy
from workflows.signatures.workspaces import TenancyKeeping


class ClusterTenancy(TenancyKeeping):
    """Tenancies on one real cluster."""

    def __init__(self, cluster: ClusterConnection) -> None:
        self._cluster = cluster

    @activity.defn(name="apply_tenancy")
    def apply_tenancy(self, tenancy: Tenancy) -> None:
        apply_tenancy(self._cluster, tenancy)

    @activity.defn(name="delete_tenancy")
    def delete_tenancy(self, tenancy: Tenancy) -> None:
        delete_tenancy(self._cluster, tenancy.tenant, tenancy.namespaces)

    @activity.defn(name="namespaces_left")
    def namespaces_left(self, tenancy: Tenancy) -> list[str]:
        return [f"{left.name}: {left.why}" for left in namespaces_left(self._cluster, tenancy.tenant)]
