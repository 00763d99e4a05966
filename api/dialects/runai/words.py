"""This API's words for what workloads are sorted, filtered, grouped and measured by, each beside Berth's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from api.dialects.runai.schemas import PhaseWord
from api.operations.workload_metrics import Metric
from api.operations.workloads import Grouping
from domain.workload import Field, Measure, WorkloadPhase

Status = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True)
class PhaseTold:
    """A phase as this API tells it: its word, Kubernetes' word, and the condition that comes with it."""

    word: PhaseWord
    k8s_phase: str
    condition: str
    status: Status


PHASES: Final = MappingProxyType(
    {
        WorkloadPhase.PENDING: PhaseTold("Pending", "Pending", "Scheduled", "False"),
        WorkloadPhase.CREATING: PhaseTold("Creating", "Pending", "Created", "False"),
        WorkloadPhase.INITIALIZING: PhaseTold("Initializing", "Pending", "Initialized", "False"),
        WorkloadPhase.RUNNING: PhaseTold("Running", "Running", "Available", "True"),
        WorkloadPhase.DEGRADED: PhaseTold("Degraded", "Running", "Degraded", "True"),
        WorkloadPhase.UNKNOWN: PhaseTold("Unknown", "Unknown", "Available", "Unknown"),
        WorkloadPhase.UPDATING: PhaseTold("Updating", "Pending", "Updating", "True"),
        WorkloadPhase.STOPPING: PhaseTold("Stopping", "Running", "Suspended", "False"),
        WorkloadPhase.STOPPED: PhaseTold("Stopped", "Pending", "Suspended", "True"),
        WorkloadPhase.RESUMING: PhaseTold("Resuming", "Pending", "Resuming", "True"),
        WorkloadPhase.TERMINATING: PhaseTold("Terminating", "Running", "Terminating", "True"),
        WorkloadPhase.DELETING: PhaseTold("Deleting", "Running", "Deleting", "True"),
        WorkloadPhase.COMPLETED: PhaseTold("Completed", "Succeeded", "Completed", "True"),
        WorkloadPhase.FAILED: PhaseTold("Failed", "Failed", "Failed", "True"),
    }
)
"""All 14. What each is read from is `domain.workload.phase_of`. Their words are Berth's own but for the capital, so that both
sort the same."""
PHASE_OF_WORD: Final[Mapping[str, WorkloadPhase]] = MappingProxyType(
    {told.word: phase for phase, told in PHASES.items()}
)

FIELDS: Final = MappingProxyType(
    {
        "type": Field.TYPE,
        "name": Field.NAME,
        "clusterId": Field.CLUSTER_ID,
        "projectId": Field.PROJECT_ID,
        "projectName": Field.PROJECT,
        "departmentId": Field.DEPARTMENT_ID,
        "departmentName": Field.DEPARTMENT,
        "createdAt": Field.CREATED_AT,
        "deletedAt": Field.DELETED_AT,
        "submittedBy": Field.SUBMITTER,
        "phase": Field.PHASE,
        "completedAt": Field.COMPLETED_AT,
        "nodepool": Field.POOL,
        "distributedFramework": Field.NO_TEXT,
        "allocatedGPU": Field.ALLOCATED_GPUS,
        "idleGpus": Field.IDLE_GPUS,
        "idleAllocatedGpus": Field.IDLE_GPUS,
        "phaseUpdatedAt": Field.PHASE_UPDATED_AT,
        "category": Field.CATEGORY,
        "priority": Field.PRIORITY,
        "totalPendingTimeSeconds": Field.PENDING_SECONDS,
        "totalRunningTimeSeconds": Field.RUNNING_SECONDS,
        "priorityClassName": Field.PRIORITY_CLASS,
        "guaranteedRuntimeEndsAt": Field.NO_INSTANT,
        "aiApplicationId": Field.NO_TEXT,
        "aiApplicationName": Field.NO_TEXT,
    }
)
"""What lists are sorted and filtered by. No workload of Berth has a framework, an application or a guaranteed time."""
SortWord = Literal[
    "type",
    "name",
    "clusterId",
    "projectId",
    "projectName",
    "departmentId",
    "departmentName",
    "createdAt",
    "deletedAt",
    "submittedBy",
    "phase",
    "completedAt",
    "nodepool",
    "distributedFramework",
    "allocatedGPU",
    "idleGpus",
    "idleAllocatedGpus",
    "phaseUpdatedAt",
    "category",
    "priority",
    "totalPendingTimeSeconds",
    "totalRunningTimeSeconds",
    "priorityClassName",
    "guaranteedRuntimeEndsAt",
    "aiApplicationId",
    "aiApplicationName",
]

GROUPINGS: Final = MappingProxyType(
    {
        "ClusterId": Grouping.CLUSTER,
        "DepartmentId": Grouping.DEPARTMENT,
        "ProjectId": Grouping.PROJECT,
        "Type": Grouping.TYPE,
        "CurrentNodepools": Grouping.CURRENT_POOL,
        "RequestedNodepools": Grouping.REQUESTED_POOL,
        "Phase": Grouping.PHASE,
        "Category": Grouping.CATEGORY,
    }
)
GROUPING_WORD: Final = MappingProxyType({grouping: word for word, grouping in GROUPINGS.items()})

TelemetryWord = Literal["WORKLOADS_COUNT", "GPU_ALLOCATION", "PENDING_TIME_DISTRIBUTION", "IDLE_ALLOCATED_GPUS"]
WAITS: Final = "PENDING_TIME_DISTRIBUTION"
MEASURES: Final = MappingProxyType(
    {
        "WORKLOADS_COUNT": Measure.NUMBER,
        "GPU_ALLOCATION": Measure.ALLOCATED_GPUS,
        "IDLE_ALLOCATED_GPUS": Measure.IDLE_GPUS,
        WAITS: Measure.NUMBER,
    }
)

METRICS: Final = MappingProxyType(
    {
        "GPU_UTILIZATION": Metric.GPU_UTILISATION,
        "GPU_MEMORY_USAGE_BYTES": Metric.GPU_MEMORY_USED,
        "GPU_MEMORY_REQUEST_BYTES": Metric.GPU_MEMORY_HELD,
        "CPU_USAGE_CORES": None,
        "CPU_REQUEST_CORES": Metric.CPU_ASKED,
        "CPU_LIMIT_CORES": Metric.CPU_ASKED,
        "CPU_MEMORY_USAGE_BYTES": None,
        "CPU_MEMORY_REQUEST_BYTES": Metric.MEMORY_ASKED,
        "CPU_MEMORY_LIMIT_BYTES": Metric.MEMORY_ASKED,
        "POD_COUNT": Metric.PODS,
        "RUNNING_POD_COUNT": Metric.PODS_RUNNING,
        "GPU_ALLOCATION": Metric.GPUS,
        "NIM_NUM_REQUESTS_RUNNING": None,
        "NIM_NUM_REQUESTS_WAITING": None,
        "NIM_NUM_REQUEST_MAX": None,
        "NIM_REQUEST_SUCCESS_TOTAL": None,
        "NIM_REQUEST_FAILURE_TOTAL": None,
        "NIM_GPU_CACHE_USAGE_PERC": None,
        "NIM_TIME_TO_FIRST_TOKEN_SECONDS": None,
        "NIM_E2E_REQUEST_LATENCY_SECONDS": None,
        "NIM_TIME_TO_FIRST_TOKEN_SECONDS_PERCENTILES": None,
        "NIM_E2E_REQUEST_LATENCY_SECONDS_PERCENTILES": None,
        "NVLINK_BANDWIDTH_TOTAL": None,
    }
)
"""None: nothing here measures it, so its series is empty and the answer 207."""
