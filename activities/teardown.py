"""Steps from a lease to free GPUs. What is gone already is done already, so a repeat changes nothing.

None of them gives up: a cluster that is away keeps its GPUs held until they are seen to be free. Only a pod that will
not end on an otherwise healthy node ends the patience, and then its node is quarantined, never forced.
"""

import time

from temporalio import activity

from clusters.access import revoke_anchor
from clusters.capacity import remove_tokens
from clusters.connection import ClusterConnection
from clusters.suspension import suspend_workloads
from clusters.teardown import delete_gpu_pods, delete_pods, gpu_holders, late_pods, quarantine_nodes, still_there
from domain.messages import Standing
from domain.slices import host_of
from workflows.signatures.leases import QuarantineOrder, StuckNode, Teardown

POD_GRACE_SECONDS = 30
"""The longest that a pod may take to end by itself."""
LOOK_SECONDS = 0.25
DELETE_AGAIN_LOOKS = 20
LATE_PODS_SECONDS_MAX = 20
"""Within the time-out of a step. A pod that is there for longer is seen by whoever gets its GPU next, and not run over."""


class ClusterTeardown(Teardown):
    """Teardown on one real cluster. `patience_seconds`: how long pods may take to go before their node counts as stuck."""

    def __init__(self, cluster: ClusterConnection, *, patience_seconds: float = 90) -> None:
        self._cluster = cluster
        self._patience_seconds = patience_seconds

    @activity.defn(name="fence_lease")
    def fence_lease(self, standing: Standing) -> None:
        remove_tokens(self._cluster, standing.token, _nodes(standing))
        for namespace in standing.namespaces[:1]:
            revoke_anchor(self._cluster, namespace, standing.fence)

    @activity.defn(name="clear_pods")
    def clear_pods(self, standing: Standing) -> None:
        key = standing.token
        suspend_workloads(self._cluster, key, standing.namespaces)
        delete_gpu_pods(self._cluster, key, _nodes(standing), POD_GRACE_SECONDS)

    @activity.defn(name="await_free")
    def await_free(self, standing: Standing) -> list[StuckNode]:
        key, nodes = standing.token, _nodes(standing)
        give_up_at = time.monotonic() + self._patience_seconds
        looks = 0
        while holders := gpu_holders(self._cluster, key, nodes):
            if time.monotonic() >= give_up_at:
                whys = {node: "; ".join(str(pod) for pod in pods) for node, pods in holders.items()}
                return [StuckNode(part.node, whys[part.host]) for part in standing.gpus if part.host in whys]
            looks += 1
            if looks % DELETE_AGAIN_LOOKS == 0:
                delete_gpu_pods(self._cluster, key, list(holders), POD_GRACE_SECONDS)
            time.sleep(LOOK_SECONDS)
        return []

    @activity.defn(name="quarantine_nodes")
    def quarantine_nodes(self, order: QuarantineOrder) -> None:
        for stuck in order.nodes:
            quarantine_nodes(self._cluster, [host_of(stuck.node)], stuck.why)

    @activity.defn(name="take_tokens")
    def take_tokens(self, standing: Standing) -> None:
        key, nodes = standing.token, _nodes(standing)
        remove_tokens(self._cluster, key, nodes)
        late = late_pods(self._cluster, key, nodes)
        delete_pods(self._cluster, late, POD_GRACE_SECONDS)
        give_up_at = time.monotonic() + LATE_PODS_SECONDS_MAX
        while still_there(self._cluster, late) and time.monotonic() < give_up_at:
            time.sleep(LOOK_SECONDS)


def _nodes(standing: Standing) -> list[str]:
    return [part.host for part in standing.gpus]
