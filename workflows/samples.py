"""Keeps the samples of what the GPUs did, every minute: rolled up, with partitions ahead, and without those too old."""

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from domain.messages import KEEP_SAMPLES_WORKFLOW
    from workflows import visibility
    from workflows.activity_options import KEEP_SAMPLES, on_ledger
    from workflows.signatures.hardware import SampleKeeping
    from workflows.signatures.reconciling import Repairs


@workflow.defn(name=KEEP_SAMPLES_WORKFLOW)
class KeepSamplesWorkflow:
    """One round. A step that fails keeps no other from being done, and the next round does it."""

    @workflow.run
    async def run(self) -> Repairs:
        """What was made and dropped; fails like the first step that failed."""
        visibility.show("samples of what the GPUs did", visibility.KIND.value_set("samples"))
        now, options = workflow.now(), on_ledger(KEEP_SAMPLES)
        failure: ActivityError | None = None
        done: list[str] = []
        try:
            await workflow.execute_activity_method(SampleKeeping.roll_up_samples, now, **options)
        except ActivityError as error:
            failure = error
        for step in (SampleKeeping.make_sample_partitions, SampleKeeping.drop_sample_partitions):
            try:
                done += (await workflow.execute_activity_method(step, now, **options)).mended
            except ActivityError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return Repairs(done)
