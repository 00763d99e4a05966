"""Steps from a grant to an active lease. Each writes what is not there yet, so a repeat changes nothing."""

from temporalio import activity

from clusters.access import make_anchor
from clusters.capacity import read_tokens, write_tokens
from clusters.connection import ClusterConnection
from clusters.precheck import unfit_nodes
from domain.failures import NodeUnfit, NotReadyYet
from domain.messages import Standing
from workflows.signatures.leases import Provisioning


class ClusterProvisioning(Provisioning):
    """Provisioning on one real cluster."""

    def __init__(self, cluster: ClusterConnection) -> None:
        self._cluster = cluster

    @activity.defn(name="precheck_nodes")
    def precheck_nodes(self, standing: Standing) -> None:
        unfit = unfit_nodes(self._cluster, standing.token, _counts(standing))
        if unfit:
            why = "; ".join(f"node {node}: {trouble}" for node, trouble in unfit.items())
            raise NodeUnfit(why, nodes=list(unfit))

    @activity.defn(name="write_tokens")
    def write_tokens(self, standing: Standing) -> None:
        key = standing.token
        wanted = {part.host: len(part.ordinals) for part in standing.gpus}
        try:
            write_tokens(self._cluster, key, wanted)
        except NodeUnfit as failure:
            failure.details["nodes"] = _as_granted(standing, failure.details["nodes"])
            raise
        if (seen := read_tokens(self._cluster, key, list(wanted))) != wanted:
            raise NotReadyYet(f"tokens read back as {seen}, not as {wanted}")

    @activity.defn(name="open_access")
    def open_access(self, standing: Standing) -> None:
        make_anchor(self._cluster, standing.namespaces[0], standing.fence)


def _as_granted(standing: Standing, hosts: object) -> list[str]:
    """The nodes, or parts of such, that were granted on these: nothing else is to be left out next time."""
    return [part.node for part in standing.gpus if isinstance(hosts, list) and part.host in hosts]


def _counts(standing: Standing) -> dict[str, int]:
    return {part.node: len(part.ordinals) for part in standing.gpus}
