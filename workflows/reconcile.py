"""Compares the three truths every minute and mends what differs: the ledger with Temporal, and each cluster with the ledger.

One schedule per cluster, so that a cluster that is away stops only its own.
"""

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from domain.messages import RECONCILE_CLUSTER_WORKFLOW, RECONCILE_LEDGER_WORKFLOW
    from workflows import visibility
    from workflows.activity_options import RECONCILE_CLUSTER, RECONCILE_LEDGER, on_cluster, on_ledger
    from workflows.signatures.reconciling import ClusterAt, ClusterReconciling, LedgerReconciling, Repairs


@workflow.defn(name=RECONCILE_LEDGER_WORKFLOW)
class ReconcileLedgerWorkflow:
    """Every unfinished lifecycle of the ledger runs in Temporal."""

    @workflow.run
    async def run(self) -> Repairs:
        """One comparison; what was mended."""
        visibility.show("ledger against Temporal", visibility.KIND.value_set("reconcile"))
        return await workflow.execute_activity_method(
            LedgerReconciling.revive_lifecycles, **on_ledger(RECONCILE_LEDGER)
        )


@workflow.defn(name=RECONCILE_CLUSTER_WORKFLOW)
class ReconcileClusterWorkflow:
    """A cluster's nodes stand in the ledger as they are, and nothing of a closed lease is left on them."""

    @workflow.run
    async def run(self, cluster: str) -> Repairs:
        """One comparison; what was mended."""
        visibility.show(
            f"{cluster} against the ledger",
            visibility.KIND.value_set("reconcile"),
            visibility.CLUSTER.value_set(cluster),
        )
        at = ClusterAt(cluster, workflow.now())
        options = on_cluster(cluster, RECONCILE_CLUSTER)
        try:
            await workflow.execute_activity_method(ClusterReconciling.observe_cluster, at, **options)
            return await workflow.execute_activity_method(ClusterReconciling.repair_cluster, at, **options)
        except ActivityError:
            await workflow.execute_activity_method(LedgerReconciling.mark_cluster_away, at, **on_ledger())
            raise
