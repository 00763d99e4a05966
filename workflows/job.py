"""The life of a job: that of a Gpr, with pods of its own between the grant and the release.

The same phases, moved by the same ledger. A job's pods are made when its tokens are written, and go, with all else that
was made for it, before its GPUs are given back; the last of its logs is kept.
"""

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from domain.messages import JOB_WORKFLOW, Standing
    from workflows.activity_options import AWAIT_FREE, KEEP_JOB, TEAR_DOWN, on_cluster
    from workflows.gpr import GprWorkflow, ProvisioningStep
    from workflows.signatures.jobs import Jobs, JobStop
    from workflows.signatures.leases import Provisioning


@workflow.defn(name=JOB_WORKFLOW)
class JobWorkflow(GprWorkflow):
    """One job, from submission to rest."""

    KIND = "job"

    @workflow.init
    def __init__(self, gpr_id: str) -> None:
        super().__init__(gpr_id)

    @workflow.run
    async def run(self, gpr_id: str) -> str:
        """Live through the phases until one is final; its name."""
        return await self._run(gpr_id)

    def _provisioning_plan(self, granted: Standing) -> list[ProvisioningStep]:
        return [
            (Provisioning.precheck_nodes, "is there room"),
            (Provisioning.write_tokens, "tokens"),
            (Jobs.create_job, f"pods of {granted.name}"),
        ]

    async def _tear_down(self) -> None:
        """First what is the job's own, so that nothing of it makes pods again; then as for every lease."""
        held = self._now
        stop = JobStop(held, workflow.now())
        options = on_cluster(held.cluster, TEAR_DOWN)
        await self._keep(stop)
        await workflow.execute_activity_method(Jobs.delete_job, stop, **options, summary=f"objects of {held.name}")
        left = await workflow.execute_activity_method(Jobs.await_job_gone, stop, **on_cluster(held.cluster, AWAIT_FREE))
        if left:
            workflow.logger.warning("objects of a job are still there", extra={"left": left})
        await super()._tear_down()

    async def _keep(self, stop: JobStop) -> None:
        """As well as it goes: a cluster that forgot them already must not keep the GPUs held."""
        options = on_cluster(stop.standing.cluster, KEEP_JOB)
        try:
            await workflow.execute_activity_method(Jobs.keep_job, stop, **options, summary="logs and events")
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
