"""Steps in the ledger. Each is one transaction that compares before it writes, so a repeat changes nothing."""

from datetime import UTC, datetime
from uuid import UUID

from prometheus_client import Counter, Gauge, Histogram
from temporalio import activity

from arbitration.arbiter_pass import estimate, grant
from delivery.courier import Courier
from domain.gpr import Phase
from domain.honesty import horizon_of
from domain.messages import Standing
from domain.workspace import WorkspacePhase
from ledger import honesty, inventory, lifecycle, workloads, workspaces
from ledger.connection import Ledger
from workflows.signatures.bookkeeping import ArbiterReport, Bookkeeping
from workflows.signatures.leases import FencedGprAt, GprAt, ProvisioningFailure, ReleaseOrder, TeardownReport
from workflows.signatures.workspaces import WorkspaceAt, WorkspaceEnd, WorkspaceStanding, WorkspaceWait

QUEUED = Gauge("berth_queue_length", "Gprs that the last pass of the arbiter found in the queue.")
GRANTED = Counter("berth_grants_total", "Leases that the arbiter granted.")
PREEMPTED = Counter("berth_preemptions_total", "Leases that the arbiter let end early, for another request.")
MOVED = Counter("berth_estimates_changed_total", "Start estimates that the arbiter changed.")
PROMISES_MOVED = Counter("berth_promises_moved_total", "Promised starts that were moved because hardware was lost.")
ERROR_SECONDS = Histogram(
    "berth_estimate_error_seconds",
    "How far a start was from the one that was shown, in whichever direction, by how far ahead it was shown.",
    ("horizon",),
    buckets=(1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600),
)
JUDGED = Counter(
    "berth_estimates_judged_total",
    "Shown starts whose Gpr has started: whether inside the interval that was stated, by how far ahead it was shown.",
    ("horizon", "inside"),
)


class LedgerBookkeeping(Bookkeeping):
    """Bookkeeping against the real ledger. What a step decides for others is delivered right after its commit."""

    def __init__(self, ledger: Ledger, courier: Courier) -> None:
        self._ledger = ledger
        self._courier = courier

    @activity.defn(name="load_gpr")
    async def load_gpr(self, gpr_id: str) -> Standing:
        async with self._ledger.reading() as connection:
            return await lifecycle.standing(connection, UUID(gpr_id))

    @activity.defn(name="activate_gpr")
    async def activate_gpr(self, at: FencedGprAt) -> Standing:
        async with self._ledger.transaction() as connection:
            standing = await lifecycle.activate(connection, UUID(at.gpr_id), at.fence, at.now)
            is_active = standing.phase is Phase.ACTIVE and standing.fence == at.fence
            judged = await honesty.settle(connection, UUID(at.gpr_id), at.now) if is_active else []
        for shown in judged:
            horizon = horizon_of(shown.ahead_seconds)
            ERROR_SECONDS.labels(horizon).observe(abs(shown.error_seconds))
            JUDGED.labels(horizon, str(shown.inside).lower()).inc()
        return standing

    @activity.defn(name="expire_gpr")
    async def expire_gpr(self, at: GprAt) -> Standing:
        async with self._ledger.transaction() as connection:
            return await lifecycle.expire(connection, UUID(at.gpr_id), at.now)

    @activity.defn(name="deliver_notices")
    async def deliver_notices(self, at: GprAt) -> Standing:
        async with self._ledger.transaction() as connection:
            return await lifecycle.deliver_notices(connection, UUID(at.gpr_id), at.now)

    @activity.defn(name="release_gpr")
    async def release_gpr(self, order: ReleaseOrder) -> Standing:
        async with self._ledger.transaction() as connection:
            gpr_id = UUID(order.gpr_id)
            return await lifecycle.begin_release(connection, gpr_id, order.cause, order.now, actor="operator")

    @activity.defn(name="fail_provisioning")
    async def fail_provisioning(self, failure: ProvisioningFailure) -> Standing:
        async with self._ledger.transaction() as connection:
            return await lifecycle.provisioning_failed(
                connection, UUID(failure.gpr_id), failure.fence, failure.failure, failure.nodes, failure.now
            )

    @activity.defn(name="finish_release")
    async def finish_release(self, report: TeardownReport) -> Standing:
        async with self._ledger.transaction() as connection:
            for stuck in report.stuck:
                await inventory.quarantine(connection, report.cluster, stuck.node, stuck.why, report.now)
            nodes = [stuck.node for stuck in report.stuck]
            standing, messages = await lifecycle.finish_release(
                connection, UUID(report.gpr_id), report.fence, nodes, report.now
            )
        self._courier.deliver_soon(messages)
        return standing

    @activity.defn(name="load_workspace")
    async def load_workspace(self, workspace_id: str) -> WorkspaceStanding:
        async with self._ledger.reading() as connection:
            workspace = await workspaces.find(connection, UUID(workspace_id))
            tenancies = {
                cluster: await workspaces.tenancy(connection, workspace.id, cluster)
                for cluster in workspace.request.clusters
            }
        return WorkspaceStanding(workspace_id, workspace.request.name, workspace.phase, tenancies)

    @activity.defn(name="workspace_ready")
    async def workspace_ready(self, at: WorkspaceAt) -> WorkspacePhase:
        async with self._ledger.transaction() as connection:
            phase, messages = await workspaces.to_ready(connection, UUID(at.workspace_id), at.now)
        self._courier.deliver_soon(messages)
        return phase

    @activity.defn(name="workspace_ended")
    async def workspace_ended(self, end: WorkspaceEnd) -> None:
        while await self._some_deleted(end):
            pass  # what an attempt has done stays done when it is not finished in its time
        async with self._ledger.transaction() as connection:
            await workspaces.to_end(connection, UUID(end.workspace_id), end.phase, end.why, end.now)

    async def _some_deleted(self, end: WorkspaceEnd) -> bool:
        async with self._ledger.transaction() as connection:
            return await workloads.delete_some(connection, UUID(end.workspace_id), end.now)

    @activity.defn(name="workspace_waits")
    async def workspace_waits(self, wait: WorkspaceWait) -> None:
        async with self._ledger.transaction() as connection:
            await workspaces.note_failure(connection, UUID(wait.workspace_id), wait.why)

    @activity.defn(name="arbitrate")
    async def arbitrate(self, now: datetime) -> ArbiterReport:
        done = await grant(self._ledger, _not_before(now))
        self._courier.deliver_soon(done.messages)
        QUEUED.set(done.queued)
        GRANTED.inc(done.grants)
        PREEMPTED.inc(done.preempted)
        return ArbiterReport(done.queued, done.grants)

    @activity.defn(name="estimate")
    async def estimate(self, now: datetime) -> int:
        done = await estimate(self._ledger, _not_before(now))
        MOVED.inc(done.changed)
        PROMISES_MOVED.inc(done.promises_moved)
        return done.changed


def _not_before(asked: datetime) -> datetime:
    """A pass that waited, or is tried again, plans from when it runs: a notice or a promise may have come meanwhile."""
    return max(asked, datetime.now(UTC))
