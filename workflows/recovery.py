"""The way back of GPUs that a fault has set aside: nobody holds them, the devices have no complaint, the readings are clean.

The workflow looks and asks; the ledger decides, and says for how long readings must be clean. Nobody's work is ended for
it, nothing is reset, and marks that others have put on the node stay: they count beside this one.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from domain.messages import RECOVERY_WORKFLOW
    from workflows import visibility
    from workflows.activity_options import on_ledger, on_node
    from workflows.signatures.hardware import Recovering, RecoveryLook, RecoveryStanding
    from workflows.signatures.leases import DeviceCheck, Devices

NO_AGENT = "the node has no agent that could say how they are"


@workflow.defn(name=RECOVERY_WORKFLOW)
class RecoveryWorkflow:
    """One quarantine, until it is lifted: by what is seen here, or by an administrator."""

    @workflow.init
    def __init__(self, quarantine_id: str) -> None:
        self._quarantine_id = quarantine_id

    @workflow.run
    async def run(self, quarantine_id: str) -> str:
        """Look until it is lifted."""
        standing = await workflow.execute_activity_method(Recovering.load_recovery, quarantine_id, **on_ledger())
        while standing.is_open:
            standing = await self._looked(standing)
            self._show(standing)
            if standing.is_open:
                await workflow.sleep(timedelta(seconds=standing.look_seconds), summary=standing.waits_for[:200])
                if workflow.info().is_continue_as_new_suggested():
                    workflow.continue_as_new(quarantine_id)
        return "lifted"

    async def _looked(self, standing: RecoveryStanding) -> RecoveryStanding:
        complaints = [] if standing.is_held else await self._complaints(standing)
        look = RecoveryLook(self._quarantine_id, workflow.now(), complaints)
        return await workflow.execute_activity_method(Recovering.judge_recovery, look, **on_ledger())

    async def _complaints(self, standing: RecoveryStanding) -> list[str]:
        """What the devices have to say; a node that cannot be asked is not well either."""
        if not standing.has_agent:
            return [NO_AGENT]
        check = DeviceCheck(standing.node, standing.ordinals)
        try:
            return await workflow.execute_activity_method(
                Devices.verify_devices,
                check,
                **on_node(standing.cluster, standing.node),
                summary=f"devices of {standing.node}",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            cause = error.__cause__
            return [
                f"its agent does not answer: {cause.message if isinstance(cause, ApplicationError) else cause or error}"
            ]

    def _show(self, standing: RecoveryStanding) -> None:
        what = f"GPU(s) {', '.join(map(str, standing.ordinals))} of {standing.node} in {standing.cluster}"
        visibility.show(
            f"{what}: {standing.waits_for or 'may be used again'}",
            visibility.KIND.value_set("recovery"),
            visibility.CLUSTER.value_set(standing.cluster),
        )
