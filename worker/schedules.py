"""What must stand in Temporal before work begins: search attributes and the reconcilers' schedules."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)
from temporalio.service import RPCError, RPCStatusCode

from delivery.temporal import TemporalUnavailable
from domain.identifiers import CORE_TASK_QUEUE, HARDWARE_SCHEDULE_ID, SAMPLES_SCHEDULE_ID, reconcile_schedule_id
from domain.messages import (
    KEEP_SAMPLES_WORKFLOW,
    RECONCILE_CLUSTER_WORKFLOW,
    RECONCILE_LEDGER_WORKFLOW,
    WATCH_HARDWARE_WORKFLOW,
)
from workflows.visibility import SEARCH_ATTRIBUTES

if TYPE_CHECKING:
    from temporalio.client import Client

EVERY = timedelta(seconds=60)


async def ensure_search_attributes(client: Client) -> None:
    """Register Berth's search attributes in the namespace, those that are not there yet."""
    try:
        listed = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
        missing = {
            key.name: IndexedValueType.ValueType(key.indexed_value_type.value)
            for key in SEARCH_ATTRIBUTES
            if key.name not in listed.custom_attributes
        }
        if missing:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
            )
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise TemporalUnavailable(f"search attributes not registered: {error}") from error


async def ensure_ledger_schedule(client: Client) -> None:
    """Compare the ledger with Temporal every minute."""
    await _ensure(client, reconcile_schedule_id("ledger"), RECONCILE_LEDGER_WORKFLOW, [])


async def ensure_hardware_schedule(client: Client) -> None:
    """Look every minute at what the GPUs did and reported."""
    await _ensure(client, HARDWARE_SCHEDULE_ID, WATCH_HARDWARE_WORKFLOW, [])


async def ensure_samples_schedule(client: Client) -> None:
    """Roll samples up every minute, and keep their partitions."""
    await _ensure(client, SAMPLES_SCHEDULE_ID, KEEP_SAMPLES_WORKFLOW, [])


async def ensure_cluster_schedule(client: Client, cluster: str) -> None:
    """Compare a cluster with the ledger every minute."""
    await _ensure(client, reconcile_schedule_id(cluster), RECONCILE_CLUSTER_WORKFLOW, [cluster])


async def _ensure(client: Client, schedule_id: str, workflow: str, arguments: list[str]) -> None:
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            workflow, args=arguments, id=schedule_id.replace("/", "-run/"), task_queue=CORE_TASK_QUEUE
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=EVERY)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=EVERY),
    )
    try:
        await client.create_schedule(schedule_id, schedule, trigger_immediately=True)
    except ScheduleAlreadyRunningError:
        return
    except RPCError as error:
        raise TemporalUnavailable(f"schedule {schedule_id} not made: {error}") from error
