"""Looks every minute at what the GPUs did and reported: idle leases are warned and then released, faults set GPUs aside.

Everything is decided in the ledger, and running lifecycles hear of it by the messages that they know.
"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.messages import WATCH_HARDWARE_WORKFLOW
    from workflows import visibility
    from workflows.activity_options import WATCH_HARDWARE, on_ledger
    from workflows.signatures.hardware import HardwareWatching
    from workflows.signatures.reconciling import Repairs


@workflow.defn(name=WATCH_HARDWARE_WORKFLOW)
class WatchHardwareWorkflow:
    """One look."""

    @workflow.run
    async def run(self) -> Repairs:
        """What was done, in words. Faults first: a lease on a sick GPU may well do nothing."""
        visibility.show("what the GPUs do and report", visibility.KIND.value_set("watch"))
        options = on_ledger(WATCH_HARDWARE)
        faults = await workflow.execute_activity_method(HardwareWatching.judge_faults, workflow.now(), **options)
        idle = await workflow.execute_activity_method(HardwareWatching.judge_idleness, workflow.now(), **options)
        return Repairs([*faults.mended, *idle.mended])
