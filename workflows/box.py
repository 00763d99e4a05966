"""The life of a box: that of a job, with a disk that must be there before its pods and is kept after them.

While it is active, what the ledger knows about it (who may enter, whether Jupyter runs, what is to be read in its
terminals) is brought into it whenever that has changed. The telling never holds up the lease: it runs beside it.
"""

import asyncio
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from domain.messages import BOX_WORKFLOW, CHANGED_SIGNAL, Standing
    from workflows.activity_options import FETCH_KEYS, LIST_FILES, TELL_BOX, on_cluster, on_ledger
    from workflows.gpr import ProvisioningStep, stopped
    from workflows.job import JobWorkflow
    from workflows.signatures.disks import Disks
    from workflows.signatures.jobs import Boxes, BoxTelling, Jobs, JobStop, KeyFetching
    from workflows.signatures.leases import GprAt, Provisioning

TELL_AGAIN = timedelta(minutes=1)
"""How long after a telling that failed, unless something changes before."""


@workflow.defn(name=BOX_WORKFLOW)
class BoxWorkflow(JobWorkflow):
    """One box, from submission to rest."""

    KIND = "box"

    @workflow.init
    def __init__(self, gpr_id: str) -> None:
        super().__init__(gpr_id)
        self._told_version = 0

    @workflow.run
    async def run(self, gpr_id: str) -> str:
        """Live through the phases until one is final; its name."""
        return await self._run(gpr_id)

    @workflow.signal(name=CHANGED_SIGNAL)
    def changed(self, standing: Standing) -> None:
        """Somebody else may enter, or Jupyter is to run or to stop."""
        self._take(standing)

    def _provisioning_plan(self, granted: Standing) -> list[ProvisioningStep]:
        volume: list[ProvisioningStep] = [(Disks.attach_volume, "volume of its disk")] if granted.disk_id else []
        return [
            (Provisioning.precheck_nodes, "is there room"),
            (Provisioning.write_tokens, "tokens"),
            *volume,
            (Jobs.create_job, f"pods of {granted.name}"),
        ]

    # --- what the box is told -----------------------------------------------------------------------------------------

    async def _hold(self) -> None:
        """Hold the lease as a Gpr does, and see meanwhile that the box knows what the ledger knows."""
        telling = asyncio.create_task(self._keep_told())
        try:
            await super()._hold()
        except asyncio.CancelledError:
            await stopped(telling)
            raise
        await stopped(telling)

    def _has_news(self, held: Standing) -> bool:
        """Also when its history has grown long, as it does while telling fails: then it goes on in a new one."""
        return super()._has_news(held) or workflow.info().is_continue_as_new_suggested()

    async def _wake(self, end_at: datetime) -> None:
        """Notices are in the ledger first; that the box has not read them yet is no new version there."""
        await super()._wake(end_at)
        self._told_version = 0

    async def _keep_told(self) -> None:
        """What fails is tried again until something changes, which begins this anew; it never ends the box."""
        while self._told_version < self._now.version:
            fetched = await self._fetch_keys()
            standing = fetched or self._now
            if await self._tell(standing) and fetched is not None:
                self._told_version = standing.version
                return
            await workflow.sleep(TELL_AGAIN, summary="until the box is told again")

    async def _fetch_keys(self) -> Standing | None:
        """The standing once everybody's keys are as fresh as they can be; None where that was not found out."""
        at = GprAt(self._gpr_id, workflow.now())
        try:
            return await workflow.execute_activity_method(KeyFetching.fetch_keys, at, **on_ledger(FETCH_KEYS))
        except ActivityError as error:
            _raise_cancelled(error)
            return None

    async def _tell(self, standing: Standing) -> bool:
        telling, options = BoxTelling(standing, workflow.now()), on_cluster(standing.cluster, TELL_BOX)
        try:
            await workflow.execute_activity_method(
                Boxes.tell_box, telling, **options, summary=f"version {standing.version}"
            )
        except ActivityError as error:
            _raise_cancelled(error)
            return False
        return True

    # --- teardown -----------------------------------------------------------------------------------------------------

    async def _keep(self, stop: JobStop) -> None:
        """Before its pods go: what lies on its disk, as well as can be seen in a few seconds."""
        if stop.standing.disk_id:
            await self._list_files(stop)
        await super()._keep(stop)

    async def _list_files(self, stop: JobStop) -> None:
        options = on_cluster(stop.standing.cluster, LIST_FILES)
        try:
            await workflow.execute_activity_method(Boxes.list_files, stop, **options, summary="files of its disk")
        except ActivityError as error:
            _raise_cancelled(error)


def _raise_cancelled(error: ActivityError) -> None:
    """A step that failed is put up with; one that was stopped with its lifecycle is not."""
    if is_cancelled_exception(error):
        raise error
