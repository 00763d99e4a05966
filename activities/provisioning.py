"""Steps from a grant to an active lease. Each writes what is not there yet, so a repeat changes nothing."""

from temporalio import activity

from clusters.access import make_anchor
from clusters.capacity import read_tokens, write_tokens
from clusters.connection import ClusterConnection
from clusters.inventory import observe_nodes
from clusters.teardown import gpu_holders
from domain.failures import NodeUnfit, NotReadyYet
from domain.identifiers import token_key
from domain.messages import Standing
from workflows.signatures import Provisioning


class ClusterProvisioning(Provisioning):
    """Provisioning on one real cluster."""

    def __init__(self, cluster: ClusterConnection) -> None:
        self._cluster = cluster

    @activity.defn(name="precheck_nodes")
    def precheck_nodes(self, standing: Standing) -> None:
        key = token_key(standing.tenant)
        wanted = {part.node: len(part.ordinals) for part in standing.gpus}
        seen = {node.name: node for node in observe_nodes(self._cluster)}
        for name, gpus in wanted.items():
            node = seen.get(name)
            if node is None or not node.ready or not node.schedulable:
                why = node.condition if node else "it is gone"
                raise NodeUnfit(f"node {name} cannot take the lease: {why}", nodes=[name])
            if node.foreign_gpus + gpus > node.gpus:
                raise NodeUnfit(f"pods outside Berth use {node.foreign_gpus} GPUs of node {name}", nodes=[name])
        held = gpu_holders(self._cluster, key, list(wanted))
        written = read_tokens(self._cluster, key, list(wanted))
        if leftover := [name for name in held if written.get(name) != wanted[name]]:
            raise NodeUnfit(f"pods of an earlier lease still hold GPUs on {', '.join(leftover)}", nodes=leftover)

    @activity.defn(name="write_tokens")
    def write_tokens(self, standing: Standing) -> None:
        key = token_key(standing.tenant)
        wanted = {part.node: len(part.ordinals) for part in standing.gpus}
        write_tokens(self._cluster, key, wanted)
        if (seen := read_tokens(self._cluster, key, list(wanted))) != wanted:
            raise NotReadyYet(f"tokens read back as {seen}, not as {wanted}")

    @activity.defn(name="open_access")
    def open_access(self, standing: Standing) -> None:
        make_anchor(self._cluster, standing.namespaces[0], standing.fence)
