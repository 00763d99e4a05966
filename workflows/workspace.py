"""The life of a workspace: made on every cluster or on none, there until somebody deletes it, then gone everywhere."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from domain.messages import DELETE_SIGNAL, WORKSPACE_WORKFLOW
    from domain.workspace import WorkspacePhase
    from workflows import visibility
    from workflows.activity_options import MAKE_TENANCY, UNMAKE_TENANCY, on_cluster, on_ledger
    from workflows.signatures.bookkeeping import Bookkeeping
    from workflows.signatures.workspaces import (
        TenancyKeeping,
        WorkspaceAt,
        WorkspaceEnd,
        WorkspaceStanding,
        WorkspaceWait,
    )

LOOK_AGAIN_FAST = timedelta(seconds=1)
LOOK_AGAIN_SLOW = timedelta(seconds=20)
FAST_LOOKS = 10
JOINED_CLUSTERS = "2026-11-joined-clusters"
"""From then on it may stand on more clusters when it goes than when it was made."""


@workflow.defn(name=WORKSPACE_WORKFLOW)
class WorkspaceWorkflow:
    """One workspace, from request to deletion."""

    @workflow.init
    def __init__(self, workspace_id: str) -> None:
        self._workspace_id = workspace_id
        self._delete_asked = False

    @workflow.run
    async def run(self, workspace_id: str) -> str:  # noqa: ARG002 - taken at the start (`workflow.init`)
        """Live until it is deleted, or could not be made; the final phase."""
        standing = await self._load()
        phase = standing.phase
        self._show(standing, phase)
        if phase is WorkspacePhase.CREATING:
            phase = await self._make(standing)
        if phase is WorkspacePhase.READY:
            self._show(standing, phase)
            await workflow.wait_condition(lambda: self._delete_asked)
            if workflow.patched(JOINED_CLUSTERS):
                standing = await self._load()
            phase = WorkspacePhase.DELETING
        if phase is WorkspacePhase.DELETING:
            self._show(standing, phase)
            await self._unmake(standing)
            phase = await self._end(WorkspacePhase.DELETED, "")
        self._show(standing, phase)
        return phase

    @workflow.signal(name=DELETE_SIGNAL)
    def delete(self) -> None:
        """It is to be deleted."""
        self._delete_asked = True

    async def _load(self) -> WorkspaceStanding:
        return await workflow.execute_activity_method(Bookkeeping.load_workspace, self._workspace_id, **on_ledger())

    async def _make(self, standing: WorkspaceStanding) -> WorkspacePhase:
        """All or nothing: a cluster that fails undoes them all."""
        failures = await asyncio.gather(*(self._try_make(cluster, standing) for cluster in standing.tenancies))
        why = "; ".join(failure for failure in failures if failure)
        if not why:
            at = WorkspaceAt(self._workspace_id, workflow.now())
            return await workflow.execute_activity_method(Bookkeeping.workspace_ready, at, **on_ledger())
        await self._say(f"undoing: {why}")
        await self._unmake(standing)
        return await self._end(WorkspacePhase.FAILED, why)

    async def _try_make(self, cluster: str, standing: WorkspaceStanding) -> str:
        try:
            await workflow.execute_activity_method(
                TenancyKeeping.apply_tenancy, standing.tenancies[cluster], **on_cluster(cluster, MAKE_TENANCY)
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            cause = error.__cause__
            return f"{cluster}: {cause.message if isinstance(cause, ApplicationError) else cause}"
        return ""

    async def _unmake(self, standing: WorkspaceStanding) -> None:
        await asyncio.gather(*(self._unmake_on(cluster, standing) for cluster in standing.tenancies))

    async def _unmake_on(self, cluster: str, standing: WorkspaceStanding) -> None:
        """Delete, and look until nothing is left; a stuck namespace is named, and deleted again, until it goes."""
        tenancy, options = standing.tenancies[cluster], on_cluster(cluster, UNMAKE_TENANCY)
        looks = 0
        while True:
            await workflow.execute_activity_method(TenancyKeeping.delete_tenancy, tenancy, **options)
            left = await workflow.execute_activity_method(TenancyKeeping.namespaces_left, tenancy, **options)
            if not left:
                return
            looks += 1
            if looks == FAST_LOOKS:
                await self._say(f"waits for {cluster}: {'; '.join(left)}")
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(self._workspace_id)
            pause = LOOK_AGAIN_FAST if looks < FAST_LOOKS else LOOK_AGAIN_SLOW
            await workflow.sleep(pause, summary=f"until {len(left)} namespace(s) of {cluster} are gone")

    async def _say(self, why: str) -> None:
        wait = WorkspaceWait(self._workspace_id, why)
        await workflow.execute_activity_method(Bookkeeping.workspace_waits, wait, **on_ledger())

    async def _end(self, phase: WorkspacePhase, why: str) -> WorkspacePhase:
        end = WorkspaceEnd(self._workspace_id, phase, why, workflow.now())
        await workflow.execute_activity_method(Bookkeeping.workspace_ended, end, **on_ledger())
        return phase

    def _show(self, standing: WorkspaceStanding, phase: WorkspacePhase) -> None:
        visibility.show(
            f"workspace {standing.name}: {phase}",
            visibility.KIND.value_set("workspace"),
            visibility.WORKSPACE.value_set(standing.name),
            visibility.PHASE.value_set(phase),
        )
