"""Time-outs and retries of all activities, in one table, so that they can be read and argued about together.

A start-to-close or heartbeat time-out is also how long a step stays lost when its worker is killed, so both are short.
Steps that a Gpr can give up on have a budget (schedule-to-close); teardown has none: it goes on until it is done.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.common import Priority, RetryPolicy
from temporalio.workflow import ActivityCancellationType

from domain.identifiers import CORE_TASK_QUEUE, cluster_task_queue, node_task_queue

GIVE_UP_ON = ["cluster_refused", "namespace_not_ours", "node_unfit", "invalid_request", "fence_lost", "data_missing"]
"""Codes of failures that another try does not mend. Only steps that can be given up on look at them."""

_HEARTBEAT = timedelta(seconds=8)
"""Every activity heartbeats by itself every 2 s (`worker/interceptors.py`)."""

_PATIENT = RetryPolicy(
    initial_interval=timedelta(seconds=0.2),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=5),
    non_retryable_error_types=["not_found"],
)
_CLUSTER_PATIENT = RetryPolicy(
    initial_interval=timedelta(seconds=0.5), backoff_coefficient=2, maximum_interval=timedelta(seconds=10)
)
_CLUSTER_BOUNDED = RetryPolicy(
    initial_interval=timedelta(seconds=0.5),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=10),
    non_retryable_error_types=GIVE_UP_ON,
)
_DISK_PATIENT = RetryPolicy(
    initial_interval=timedelta(seconds=0.5),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=10),
    non_retryable_error_types=["data_missing"],
)
_COPY_BOUNDED = RetryPolicy(
    initial_interval=timedelta(seconds=0.5),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=10),
    non_retryable_error_types=[*GIVE_UP_ON, "not_found", "already_exists"],
)
_FEW = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=3)

_ONCE = RetryPolicy(maximum_attempts=1)

URGENT = Priority(priority_key=1)
USUAL = Priority(priority_key=3)
BACKGROUND = Priority(priority_key=5)


@dataclass(frozen=True)
class Options:
    """How an activity is run; `as_arguments` is what `workflow.execute_activity_method` takes."""

    start_to_close: timedelta
    retry: RetryPolicy
    priority: Priority = USUAL
    schedule_to_close: timedelta | None = None
    schedule_to_start: timedelta | None = None
    cancellation: ActivityCancellationType = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
    """By default undoing waits until the step has really stopped. A step in the ledger is one transaction: no need."""

    def as_arguments(self, task_queue: str) -> dict[str, Any]:
        """Keyword arguments for the SDK."""
        return {
            "task_queue": task_queue,
            "start_to_close_timeout": self.start_to_close,
            "schedule_to_close_timeout": self.schedule_to_close,
            "schedule_to_start_timeout": self.schedule_to_start,
            "heartbeat_timeout": _HEARTBEAT,
            "retry_policy": self.retry,
            "priority": self.priority,
            "cancellation_type": self.cancellation,
        }


LEDGER = Options(timedelta(seconds=15), _PATIENT, cancellation=ActivityCancellationType.TRY_CANCEL)
ARBITER = Options(timedelta(seconds=60), _PATIENT)
PROVISION = Options(timedelta(seconds=30), _CLUSTER_BOUNDED, schedule_to_close=timedelta(seconds=120))
TEAR_DOWN = Options(timedelta(seconds=30), _CLUSTER_PATIENT, URGENT)
AWAIT_FREE = Options(timedelta(seconds=180), _CLUSTER_PATIENT, URGENT)
KEEP_JOB = Options(timedelta(seconds=20), _FEW, schedule_to_close=timedelta(seconds=40))
FETCH_KEYS = Options(
    timedelta(seconds=15),
    _FEW,
    schedule_to_close=timedelta(seconds=30),
    cancellation=ActivityCancellationType.TRY_CANCEL,
)
TELL_BOX = Options(timedelta(seconds=20), _FEW, schedule_to_close=timedelta(seconds=40))
LIST_FILES = Options(timedelta(seconds=15), _ONCE, URGENT, schedule_to_close=timedelta(seconds=15))
HANDLE_DISK = Options(timedelta(seconds=60), _DISK_PATIENT)
"""Steps on a disk that go on until they are done. Each looks for a few seconds and fails with `not_ready_yet`: to wait as
a retry takes no slot of its worker, which teardowns need."""
COPY_DISK = Options(timedelta(seconds=60), _COPY_BOUNDED, schedule_to_close=timedelta(minutes=10))
LABEL_DISK = Options(timedelta(seconds=30), _CLUSTER_BOUNDED, schedule_to_close=timedelta(seconds=60))
PRUNE_DISK = Options(timedelta(seconds=60), _CLUSTER_BOUNDED, BACKGROUND, schedule_to_close=timedelta(minutes=2))
PURGE_DISK = Options(timedelta(seconds=60), _DISK_PATIENT, BACKGROUND)
ASK_NODE = Options(timedelta(seconds=10), _FEW, URGENT, schedule_to_start=timedelta(seconds=20))
CHECK_NODE = Options(
    timedelta(seconds=5), _FEW, schedule_to_start=timedelta(seconds=5), schedule_to_close=timedelta(seconds=8)
)
"""Before a lease begins: an agent that does not take it up at once is not waited for."""
SEE_USE = Options(timedelta(seconds=10), _FEW, BACKGROUND, schedule_to_close=timedelta(seconds=30))
MAKE_TENANCY = Options(timedelta(seconds=30), _CLUSTER_BOUNDED, schedule_to_close=timedelta(seconds=60))
UNMAKE_TENANCY = Options(timedelta(seconds=30), _CLUSTER_PATIENT)
RECONCILE_LEDGER = Options(timedelta(seconds=60), _FEW, BACKGROUND)
WATCH_HARDWARE = Options(timedelta(seconds=60), _FEW, BACKGROUND)
KEEP_SAMPLES = Options(timedelta(seconds=60), _FEW, BACKGROUND, schedule_to_close=timedelta(seconds=90))
RECONCILE_CLUSTER = Options(timedelta(seconds=30), _FEW, BACKGROUND, schedule_to_close=timedelta(seconds=40))


def on_ledger(options: Options = LEDGER) -> dict[str, Any]:
    """Arguments for a step in the ledger."""
    return options.as_arguments(CORE_TASK_QUEUE)


def on_cluster(cluster: str, options: Options) -> dict[str, Any]:
    """Arguments for a step that needs a cluster."""
    return options.as_arguments(cluster_task_queue(cluster))


def on_node(cluster: str, node: str, options: Options = ASK_NODE) -> dict[str, Any]:
    """Arguments for a step on a node itself."""
    return options.as_arguments(node_task_queue(cluster, node))
