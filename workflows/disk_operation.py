"""One operation on a disk. The ledger has accepted it, and has decided what can be decided there; the rest is done here.

The data of a disk must be whole in one place at any moment, whoever dies when. So a volume goes only when its copy is
ready, in the cluster and in the ledger; a copy is named in the ledger before it is made, so that none is forgotten; and
the ledger forgets a thing only when the cluster has. Every step finds what an earlier try of it has done: a lifecycle
that was lost is begun anew from its first step.

What an operation has to tell besides is its result: `updated` and `errors` of a name or size that was written on objects,
`note` where it ended well and not as one might think.
"""

import asyncio
from contextlib import suppress
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from domain.disk import DiskAction, DiskPhase
    from domain.messages import DISK_OPERATION_WORKFLOW, WANTED_BACK_SIGNAL
    from workflows import visibility
    from workflows.activity_options import (
        COPY_DISK,
        HANDLE_DISK,
        LABEL_DISK,
        PRUNE_DISK,
        PURGE_DISK,
        on_cluster,
        on_ledger,
    )
    from workflows.signatures.disks import (
        Copied,
        CopyGivenUp,
        DiskBookkeeping,
        DiskOutcome,
        Disks,
        DiskStep,
        DiskStepAt,
    )

CANCELLED = "cancelled by an operator"


@workflow.defn(name=DISK_OPERATION_WORKFLOW)
class DiskOperationWorkflow:
    """One operation, from its request to its end; a deletion sleeps on until its disk is gone or wanted back."""

    @workflow.init
    def __init__(self, operation_id: str) -> None:
        self._operation_id = operation_id
        self._is_wanted_back = False
        self._is_cancelled = False

    @workflow.run
    async def run(self, operation_id: str) -> str:  # noqa: ARG002 - taken at the start (`workflow.init`)
        """Carry it out; the phase in which the disk then is.

        An operator's cancel ends what only waits. What has begun to change something is carried through first.
        """
        work = asyncio.create_task(self._carry_out())
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            self._is_cancelled = True
            await work
            raise

    @workflow.signal(name=WANTED_BACK_SIGNAL)
    def wanted_back(self) -> None:
        """The disk was undeleted: ask the ledger."""
        self._is_wanted_back = True

    async def _carry_out(self) -> DiskPhase:
        step = await self._load()
        self._show(step)
        if not step.is_settled:
            step = await self._settle(await self._do(step))
        if step.action is DiskAction.DELETE:
            step = await self._sleep_until_the_end()
        self._show(step)
        return step.phase

    async def _do(self, step: DiskStep) -> DiskOutcome:
        if step.action is DiskAction.SNAPSHOT:
            return await self._snapshot(step)
        if step.action in {DiskAction.RENAME, DiskAction.RESIZE} and step.cluster:
            return await self._label(step)
        if step.action is DiskAction.PRUNE and step.cluster:
            return self._outcome(error=await self._prune(step))
        return self._outcome()  # all of it was decided in the ledger, with the request

    # --- copy the volume, and let it go -------------------------------------------------------------------------------

    async def _snapshot(self, step: DiskStep) -> DiskOutcome:
        """Until the copy is ready the data is in the volume, which nobody has touched; from then on it is in the copy.

        Killed before: the next try finds the copy by the operation's id and waits for it again. Killed after: it finds
        it ready, and the volume there, going or gone.
        """
        copied = await self._copy(step)
        if copied.failure or not copied.is_ready:
            return self._outcome(error=copied.failure, note=copied.note)
        at = DiskStepAt(step, workflow.now())
        try:
            await workflow.execute_activity_method(Disks.delete_volume, at, **on_cluster(step.cluster, HANDLE_DISK))
        except ActivityError as error:
            return self._outcome(error=_reason(error))
        not_pruned = await self._prune(step)
        return self._outcome(note=not_pruned and f"older snapshots are still there: {not_pruned}")

    async def _copy(self, step: DiskStep) -> Copied:
        if not await self._is_free(step):
            return await self._drop_copy(step, CANCELLED)  # of an earlier try, if there was one
        at, options = DiskStepAt(step, workflow.now()), on_cluster(step.cluster, COPY_DISK)
        try:
            return await workflow.execute_activity_method(Disks.take_snapshot, at, **options)
        except ActivityError as error:
            return await self._drop_copy(step, _reason(error))

    async def _is_free(self, step: DiskStep) -> bool:
        """Wait until no pod uses the volume, however long; False when an operator puts an end to it."""
        options = on_cluster(step.cluster, HANDLE_DISK)
        waiting = workflow.start_activity_method(
            Disks.await_volume_free, step, **options, summary=f"until nobody uses {step.disk}"
        )
        await workflow.wait_condition(lambda: waiting.done() or self._is_cancelled)
        if waiting.done():
            await waiting
            return True
        waiting.cancel()
        with suppress(ActivityError, asyncio.CancelledError):
            await waiting
        return False

    async def _drop_copy(self, step: DiskStep, why: str) -> Copied:
        given_up = CopyGivenUp(step, why, workflow.now())
        options = on_cluster(step.cluster, HANDLE_DISK)
        return await workflow.execute_activity_method(Disks.drop_snapshot, given_up, **options, summary=why[:200])

    async def _prune(self, step: DiskStep) -> str:
        """Why the old snapshots are not gone, or nothing. They are looked for again, and keep nobody waiting."""
        at, options = DiskStepAt(step, workflow.now()), on_cluster(step.cluster, PRUNE_DISK)
        try:
            await workflow.execute_activity_method(Disks.prune_snapshots, at, **options)
        except ActivityError as error:
            return _reason(error)
        return ""

    # --- name and size ------------------------------------------------------------------------------------------------

    async def _label(self, step: DiskStep) -> DiskOutcome:
        """The ledger has the name and the size; objects that cannot be told are named, and do not fail the operation."""
        options = on_cluster(step.cluster, LABEL_DISK)
        try:
            labelled = await workflow.execute_activity_method(Disks.label_disk, step, **options)
        except ActivityError as error:
            return self._outcome(errors=[_reason(error)])
        return self._outcome(updated=labelled.updated, errors=labelled.errors)

    # --- deleted, and for how long ------------------------------------------------------------------------------------

    async def _sleep_until_the_end(self) -> DiskStep:
        """Until the disk is wanted back, or its time is up and it goes for good. The ledger alone says which.

        An operator who cancels this only wakes it: it is begun again as long as the ledger holds a deleted disk.
        """
        while True:
            self._is_wanted_back = False
            step = await self._load()
            if step.phase is not DiskPhase.DELETED or step.purge_at is None:
                return step
            self._show(step)
            if step.purge_at > workflow.now():
                await self._sleep(step, step.purge_at)
            else:
                await self._purge(step)
            if self._is_cancelled:
                return step

    async def _sleep(self, step: DiskStep, purge_at: datetime) -> None:
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._is_wanted_back or self._is_cancelled,
                timeout=purge_at - workflow.now(),
                timeout_summary=f"{step.disk} goes for good {visibility.clock(purge_at)}",
            )

    async def _purge(self, step: DiskStep) -> None:
        """Unless it was wanted back. The cluster comes first: killed before the ledger knows, it finds nothing to take."""
        at = DiskStepAt(step, workflow.now())
        if not await workflow.execute_activity_method(DiskBookkeeping.begin_purge, at, **on_ledger()):
            return
        if step.cluster:
            await workflow.execute_activity_method(Disks.purge_disk, at, **on_cluster(step.cluster, PURGE_DISK))
        await workflow.execute_activity_method(DiskBookkeeping.disk_purged, at, **on_ledger())

    # --- in the ledger ------------------------------------------------------------------------------------------------

    async def _load(self) -> DiskStep:
        return await workflow.execute_activity_method(
            DiskBookkeeping.load_disk_operation, self._operation_id, **on_ledger()
        )

    async def _settle(self, outcome: DiskOutcome) -> DiskStep:
        return await workflow.execute_activity_method(
            DiskBookkeeping.settle_disk_operation, outcome, **on_ledger(), summary=outcome.error[:200] or "completed"
        )

    def _outcome(
        self, *, error: str = "", note: str = "", updated: int = 0, errors: list[str] | None = None
    ) -> DiskOutcome:
        return DiskOutcome(self._operation_id, workflow.now(), error, updated, errors or [], note)

    def _show(self, step: DiskStep) -> None:
        until = f", until {visibility.clock(step.purge_at)}" if step.phase is DiskPhase.DELETED else ""
        visibility.show(
            f"{step.action} of disk {step.disk} of {step.workspace}: the disk is {step.phase}{until}",
            visibility.KIND.value_set("disk-operation"),
            visibility.WORKSPACE.value_set(step.workspace),
            visibility.CLUSTER.value_set(step.cluster),
            visibility.PHASE.value_set(step.phase),
        )


def _reason(error: ActivityError) -> str:
    """The failure in words. No step here is ever cancelled from outside, so this is no cancellation."""
    return error.cause.message if isinstance(error.cause, ApplicationError) else str(error.cause or error)
