"""Which workflows and activities each kind of worker runs. Workers, tests and the replayer all build from here."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.bookkeeping import LedgerBookkeeping
from activities.boxes import ClusterBoxes
from activities.devices import NvmlDevices
from activities.disks import ClusterDisks, LedgerDisks
from activities.github_keys import GithubKeys
from activities.hardware_watch import LedgerHardwareWatching, LedgerRecovering
from activities.jobs import ClusterJobs
from activities.provisioning import ClusterProvisioning
from activities.reconciling import RealClusterReconciling, RealLedgerReconciling
from activities.reservations import ClusterUse, LedgerReservations
from activities.samples import LedgerSamples
from activities.teardown import ClusterTeardown
from activities.tenancy import ClusterTenancy
from domain.faults import CLEAN_SECONDS
from domain.identifiers import CORE_TASK_QUEUE, cluster_task_queue, node_task_queue
from worker.interceptors import EveryActivity
from workflows.arbiter import ArbiterWorkflow
from workflows.box import BoxWorkflow
from workflows.disk_operation import DiskOperationWorkflow
from workflows.gpr import GprWorkflow
from workflows.hardware_watch import WatchHardwareWorkflow
from workflows.job import JobWorkflow
from workflows.reconcile import ReconcileClusterWorkflow, ReconcileLedgerWorkflow
from workflows.recovery import RecoveryWorkflow
from workflows.reservation import ReservationWorkflow
from workflows.samples import KeepSamplesWorkflow
from workflows.workspace import WorkspaceWorkflow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.client import Client
    from temporalio.worker import Interceptor

    from clusters.connection import ClusterConnection
    from delivery.courier import Courier
    from delivery.temporal import TemporalDoor
    from ledger.connection import Ledger

WORKFLOWS: list[type] = [
    GprWorkflow,
    JobWorkflow,
    BoxWorkflow,
    DiskOperationWorkflow,
    WorkspaceWorkflow,
    ReservationWorkflow,
    ArbiterWorkflow,
    ReconcileLedgerWorkflow,
    ReconcileClusterWorkflow,
    WatchHardwareWorkflow,
    RecoveryWorkflow,
    KeepSamplesWorkflow,
]

PASSED_THROUGH = ("pydantic", "pydantic_core", "domain", "workflows.signatures", "workflows.activity_options")
"""Modules that are the same in every workflow; importing them anew for each one costs nine times the CPU."""

CLUSTER_STEPS_MAX = 32
"""Steps at once on one cluster; waiting for pods to go is one of them."""
GRACE = timedelta(seconds=10)
WORKFLOW_POLLERS = 20
"""With the usual five a workflow waited 1.7 s for each task while two leases a second began or ended; with these 0.3 s."""
STICKY_SECONDS = timedelta(seconds=5)
"""How long a killed worker's workflows wait for it before another one takes them."""


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """How the steps on a cluster go about it."""

    teardown_patience_seconds: float = 90
    """How long pods may take to go before their node counts as stuck."""
    disk_patience_seconds: float = 5
    """How long a step on a disk looks before it is tried again."""
    storage_class: str = ""
    """Of disks' volumes; empty: the cluster's default one."""


def workflow_runner() -> SandboxedWorkflowRunner:
    """The sandbox that all workflows run in, in production, in tests and on replay."""
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    return SandboxedWorkflowRunner(restrictions=restrictions)


def core_worker(  # noqa: PLR0913 - its doors, and what a site decides
    client: Client,
    ledger: Ledger,
    courier: Courier,
    temporal: TemporalDoor,
    *,
    github_url: str,
    clean_seconds: int = CLEAN_SECONDS,
    interceptors: Sequence[Interceptor] = (),
) -> Worker:
    """Workflows and the steps in the ledger. `clean_seconds`: of readings, before a GPU that had a fault is used again."""
    parts = (
        LedgerBookkeeping(ledger, courier),
        LedgerDisks(ledger, courier),
        LedgerReservations(ledger, courier),
        GithubKeys(ledger, github_url),
        RealLedgerReconciling(ledger, courier, temporal),
        LedgerHardwareWatching(ledger, courier, clean_seconds=clean_seconds),
        LedgerRecovering(ledger, courier),
        LedgerSamples(ledger),
    )
    return Worker(
        client,
        task_queue=CORE_TASK_QUEUE,
        workflows=WORKFLOWS,
        activities=[step for part in parts for step in steps_of(part)],
        workflow_runner=workflow_runner(),
        interceptors=[*interceptors, EveryActivity()],
        max_concurrent_workflow_tasks=100,
        max_concurrent_workflow_task_polls=WORKFLOW_POLLERS,
        max_cached_workflows=2000,
        max_concurrent_activities=50,
        graceful_shutdown_timeout=GRACE,
        sticky_queue_schedule_to_start_timeout=STICKY_SECONDS,
        max_heartbeat_throttle_interval=timedelta(seconds=4),
    )


def cluster_worker(
    client: Client,
    cluster: ClusterConnection,
    ledger: Ledger,
    courier: Courier,
    *,
    options: ClusterOptions,
    interceptors: Sequence[Interceptor] = (),
) -> Worker:
    """The steps that need one cluster."""
    parts = (
        ClusterProvisioning(cluster),
        ClusterTeardown(cluster, patience_seconds=options.teardown_patience_seconds),
        ClusterTenancy(cluster),
        ClusterJobs(cluster, ledger, courier, patience_seconds=options.teardown_patience_seconds),
        ClusterBoxes(cluster, ledger),
        ClusterUse(cluster),
        ClusterDisks(
            cluster,
            ledger,
            storage_class=options.storage_class,
            patience_seconds=options.disk_patience_seconds,
        ),
        RealClusterReconciling(cluster, ledger, courier),
    )
    return Worker(
        client,
        task_queue=cluster_task_queue(cluster.name),
        activities=[step for part in parts for step in steps_of(part)],
        activity_executor=ThreadPoolExecutor(CLUSTER_STEPS_MAX, thread_name_prefix=f"kube-{cluster.name}"),
        max_concurrent_activities=CLUSTER_STEPS_MAX,
        interceptors=[*interceptors, EveryActivity()],
        graceful_shutdown_timeout=GRACE,
        max_heartbeat_throttle_interval=timedelta(seconds=4),
    )


def node_worker(client: Client, cluster: str, node: str, *, interceptors: Sequence[Interceptor] = ()) -> Worker:
    """The steps on a node itself."""
    return Worker(
        client,
        task_queue=node_task_queue(cluster, node),
        activities=steps_of(NvmlDevices()),
        activity_executor=ThreadPoolExecutor(2, thread_name_prefix="nvml"),
        max_concurrent_activities=2,
        interceptors=[*interceptors, EveryActivity()],
        graceful_shutdown_timeout=GRACE,
    )


def steps_of(part: object) -> list[Any]:
    """The activities that a class implements."""
    members = (getattr(part, name) for name in dir(part) if not name.startswith("_"))
    return [member for member in members if hasattr(member, "__temporal_activity_definition")]
