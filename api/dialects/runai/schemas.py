# ruff: noqa: N815 - the fields are the client's words, spelled as on the wire
"""The shapes of the Run:ai Workloads API, in its own words. What is not known is left out, but for `deletedAt`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

UUID_PATTERN: Final = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
QUANTITY_PATTERN: Final = r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"

Uuid = Annotated[str, StringConstraints(pattern=UUID_PATTERN), Field(json_schema_extra={"format": "uuid"})]
Quantity = Annotated[str, StringConstraints(pattern=QUANTITY_PATTERN)]
PhaseWord = Literal[
    "Creating",
    "Initializing",
    "Resuming",
    "Pending",
    "Deleting",
    "Running",
    "Updating",
    "Stopped",
    "Stopping",
    "Degraded",
    "Failed",
    "Completed",
    "Terminating",
    "Unknown",
]
PhaseReason = Literal["NonPreemptibleOverQuota", "OverLimit"]


class Request(BaseModel):
    """What clients send. Further fields are let pass: clients of several versions send them."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Answer(BaseModel):
    """What is answered."""

    model_config = ConfigDict(frozen=True)


# --- failures and logins ----------------------------------------------------------------------------------------------


class Failure(Answer):
    """Whatever went wrong. `code` is the HTTP status."""

    code: int = Field(ge=100, le=599)
    message: str
    details: str | None = None


Secret = Annotated[str, StringConstraints(max_length=1024), Field(strict=True)]


class AppToken(Request):
    """An application and its secret: an API key of Berth, with its id, or its principal's name, as the application."""

    grantType: Literal["app_token"]
    AppId: Secret
    AppSecret: Secret


class ClientCredentials(Request):
    """The same in the words of OAuth."""

    grantType: Literal["client_credentials"]
    clientID: Secret
    clientSecret: Secret


class FormCredentials(Request):
    """The same as the second version's form has it."""

    grant_type: Literal["client_credentials", "app_token"]
    client_id: Secret
    client_secret: Secret


class AccessToken(Answer):
    """A bearer token, a JWT."""

    accessToken: str


class BearerToken(Answer):
    """The same in the second version's words; it lives for `expires_in` seconds."""

    access_token: str
    token_type: Literal["bearer"]
    expires_in: int


# --- workloads --------------------------------------------------------------------------------------------------------


class Cores(Answer):
    """How many are asked for, and how many there may be at most."""

    limit: float | None = None
    request: float | None = None


class Amounts(Answer):
    """The same for memory."""

    limit: Quantity | None = None
    request: Quantity | None = None


class ExtendedResource(Answer):
    """So many of something that Kubernetes counts by a name of its own."""

    resource: str
    quantity: str


class RequestedResources(Answer):
    """What is asked for."""

    gpuRequestType: Literal["portion", "memory"] | None = None
    gpu: Cores | None = None
    gpuMemory: Amounts | None = None
    cpu: Cores | None = None
    cpuMemory: Amounts | None = None
    extendedResources: list[ExtendedResource] | None = None


class AllocatedResources(Answer):
    """What is held."""

    gpu: float | None = None
    gpuMemory: Quantity | None = None
    cpu: float | None = None
    cpuMemory: Quantity | None = None
    extendedResources: list[ExtendedResource] | None = None


class ActionsSupport(Answer):
    """What can be done with it now, by whichever API: this one only shows."""

    delete: bool
    suspend: bool


class Condition(Answer):
    """Something that is so, is not so, or of which nobody knows."""

    type: str
    status: Literal["True", "False", "Unknown"]
    message: str | None = None
    reason: str | None = None
    lastTransitionTime: datetime | None = None


class RequestedPods(Answer):
    """How many pods are asked for."""

    number: int | None = None


class Workload(Answer):
    """Anything that Berth was asked to run."""

    type: str
    name: str
    id: Uuid
    source: Literal["CLI", "Control-plane", "Other"]
    priority: int
    priorityClassName: str
    clusterId: Uuid
    projectName: str
    projectId: str
    departmentName: str
    departmentId: str
    namespace: str
    createdAt: datetime
    phase: PhaseWord
    conditions: list[Condition]
    k8sPhase: str
    tenantId: int
    runningPods: int
    phaseUpdatedAt: datetime
    k8sPhaseUpdatedAt: datetime
    updatedAt: datetime
    deletedAt: datetime | None
    category: str
    submittedBy: str | None = None
    workloadRequestedResources: RequestedResources | None = None
    podsRequestedResources: RequestedResources | None = None
    allocatedResources: AllocatedResources | None = None
    actionsSupport: ActionsSupport | None = None
    phaseMessage: str | None = None
    requestedPods: RequestedPods | None = None
    requestedNodePools: list[str] | None = None
    currentNodePools: list[str] | None = None
    completedAt: datetime | None = None
    images: list[str] | None = None
    additionalFields: dict[str, Any] | None = None
    preemptible: bool | None = None
    command: str | None = None
    arguments: str | None = None
    phaseReason: PhaseReason | None = None
    idleGpus: int | None = None
    idleAllocatedGpus: float | None = None
    totalPendingTimeSeconds: int | None = None
    totalRunningTimeSeconds: int | None = None


class PendingSchedulingMessage(Answer):
    """Why it does not start yet."""

    nodePool: str
    phaseReason: PhaseReason
    reason: str
    orgType: Literal["PROJECT", "DEPARTMENT"] | None = None
    userMessage: str | None = None


class WorkloadDetailed(Workload):
    """A workload, and why it waits where it does."""

    pendingSchedulingMessages: list[PendingSchedulingMessage] | None = None


class WorkloadList(Answer):
    """A part of the list. `next`: where the next part begins; absent on the last one."""

    workloads: list[Workload]
    next: int | None = None


class Count(Answer):
    """How many there are."""

    count: int


class Endpoint(Answer):
    """Where a workload is reached."""

    host: str
    port: int
    protocol: str
    tlsEnabled: bool
    url: str
    path: str | None = None


class Endpoints(Answer):
    """Everywhere that it is reached."""

    endpoints: list[Endpoint]


class Gvk(Answer):
    """A kind of Kubernetes' objects."""

    group: str
    version: str
    kind: str


class KubernetesRef(Answer):
    """The object behind an element."""

    name: str
    gvk: Gvk


class Element(Answer):
    """A part of a workload: its lease, a node of that, or a pod."""

    id: Uuid
    name: str = Field(max_length=250)
    hierarchyLevel: int = Field(ge=1, le=3)
    parentId: Uuid | None = None
    createdAt: datetime | None = None
    kubernetesRef: KubernetesRef | None = None


class Elements(Answer):
    """A part of them, level by level."""

    elements: list[Element]
    next: int | None = None


class ElementCount(Answer):
    """How many there are, and how many are kept: here that is the same."""

    storedElementsCount: int
    totalElementsCount: int


# --- counts and series ------------------------------------------------------------------------------------------------


class TelemetryGroup(Answer):
    """What a value is told by."""

    key: str
    value: str
    name: str | None = None


class TelemetryValue(Answer):
    """A number, as text."""

    value: str
    groups: list[TelemetryGroup] | None = None


class Telemetry(Answer):
    """What was counted."""

    type: str
    timestamp: datetime
    values: list[TelemetryValue]


class MeasuredValue(Answer):
    """A number, as text, from an instant on."""

    value: str
    timestamp: datetime


class Measurement(Answer):
    """A series. Without values: nothing is known, or it cannot be known here."""

    type: str
    values: list[MeasuredValue]


class Metrics(Answer):
    """All series that were asked for."""

    measurements: list[Measurement]


# --- types ------------------------------------------------------------------------------------------------------------


class Category(Answer):
    """What types are sorted into."""

    id: Uuid
    name: str
    description: str


class Categories(Answer):
    """All of them."""

    categories: list[Category]


class Priority(Answer):
    """A class of priorities."""

    id: Uuid
    name: str
    value: int


class Priorities(Answer):
    """All of them."""

    priorities: list[Priority]


class WorkloadType(Answer):
    """A type of workloads, and what new ones of it are given."""

    id: Uuid
    name: str
    group: str
    categoryId: Uuid
    categoryName: str
    priorityId: Uuid
    priorityName: str
    updatedAt: datetime | None = None
    updatedBy: str | None = None


class WorkloadTypes(Answer):
    """All of them."""

    types: list[WorkloadType]


class TypeChange(Request):
    """What new workloads of a type are to be given; what is absent stays."""

    categoryId: Uuid | None = None
    priorityId: Uuid | None = None
