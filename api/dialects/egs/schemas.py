# ruff: noqa: N815 - the fields are the client's words, spelled as on the wire
"""The words of the EGS API, as its document and its clients spell them.

Where two spellings are in the wild, both are read. `null` and `""` mean that a field was not given. Unknown fields are
ignored: newer clients send more than older servers know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from api.wording import (
    MEMORY_GIB_MAX,
    Clusters,
    Duration,
    DurationOrNone,
    Flag,
    GprName,
    GpusPerNode,
    Namespaces,
    NewName,
    Nodes,
    Priority,
    Text,
    Word,
    Words,
)

Memory = Annotated[float, Field(strict=True, ge=0, le=MEMORY_GIB_MAX)]

SliceName = Annotated[Word, Field(validation_alias=AliasChoices("sliceName", "workspaceName"))]
WorkspaceName = Annotated[Word, Field(validation_alias=AliasChoices("workspaceName", "sliceName"))]

_Data = TypeVar("_Data")


class Request(BaseModel):
    """A body that a client sends."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_is_blank(cls, content: Any) -> Any:
        """A blank field that is not required was not given."""
        if not isinstance(content, Mapping):
            return content
        required = {name for name, field in cls.model_fields.items() if field.is_required()}
        return {name: value for name, value in content.items() if name in required or value not in (None, "")}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core_schema))
        for name, part in schema.get("properties", {}).items():
            if name not in schema.get("required", ()):
                schema["properties"][name] = {"anyOf": [part, {"const": ""}, {"type": "null"}]}
        return schema


class Answer(BaseModel):
    """Something that Berth sends."""

    model_config = ConfigDict(frozen=True)


# --- the envelope -----------------------------------------------------------------------------------------------------


class ErrorBody(Answer):
    """What went wrong; `data` is JSON in a string, as in the document's examples."""

    errorKey: str
    message: str
    data: str | None


class Envelope(Answer, Generic[_Data]):
    """Every answer, good or bad. `statusCode` is the HTTP status."""

    statusCode: int
    status: str
    message: str
    data: _Data | None
    error: ErrorBody | None


class Failure(Envelope[None]):
    """Every answer that is not a success."""


class Nothing(Answer):
    """No data."""


# --- login ------------------------------------------------------------------------------------------------------------


class Login(Request):
    """An API key to be exchanged for a token."""

    model_config = ConfigDict(json_schema_extra={"required": ["apiKey"]})

    apiKey: Annotated[
        str, StringConstraints(max_length=1000), Field(json_schema_extra={"pattern": "^berth_[0-9a-f]{64}$"})
    ] = ""


class Token(Answer):
    """A bearer token for fifteen minutes."""

    token: str


# --- slice workspaces -------------------------------------------------------------------------------------------------


class CreateWorkspace(Request):
    """A slice workspace to be made: each namespace on each cluster."""

    workspaceName: Annotated[NewName, Field(validation_alias=AliasChoices("workspaceName", "sliceName"))]
    clusters: Clusters
    namespaces: Namespaces
    username: Text = ""
    email: Text = ""


class WorkspaceReference(Request):
    """A slice workspace by its name."""

    workspaceName: WorkspaceName


class KubeConfigRequest(Request):
    """A kubeconfig for one cluster of a slice workspace, or for all."""

    workspaceName: WorkspaceName
    clusterName: Word | None = None


class WorkspaceCreated(Answer):
    """The name of the new slice workspace."""

    workspaceName: str


class NamespaceItem(Answer):
    """A namespace, and the clusters it is on."""

    namespace: str
    clusters: list[str]


class WorkspaceItem(Answer):
    """A slice workspace."""

    name: str
    overlayNetworkDeploymentMode: Literal["no-network"]
    maxClusters: int
    sliceDescription: str
    clusters: list[str]
    namespaces: list[NamespaceItem]


class WorkspaceList(Answer):
    """Slice workspaces that the caller may see."""

    workspaces: list[WorkspaceItem]


class KubeConfig(Answer):
    """A kubeconfig as YAML."""

    kubeConfig: str


# --- inventory --------------------------------------------------------------------------------------------------------


class AllocationTime(Answer):
    """An instant as Go's protobuf prints it."""

    seconds: str
    nanos: int


class Allocation(Answer):
    """Who holds GPUs of a node."""

    gprName: str
    sliceName: str
    totalGPUsAllocated: int
    allocationTimeStamp: AllocationTime


class InventoryItem(Answer):
    """A GPU node. `gpuShape` is the instance type, as in the document; `gpuModelName` the GPU. Memory in MiB."""

    gpuNodeName: str
    gpuShape: str
    gpuModelName: str
    instanceType: str
    clusterName: str
    memory: int
    gpuCount: int
    availableGPUs: int
    gpuTempThreshold: str
    gpuPowerThreshold: str
    gpuNodeState: Literal["NODE_AVAILABLE", "NODE_RESERVED"]
    gpuNodeStatus: Literal["NODE_AVAILABLE", "NODE_RESERVED"]
    cloudProvider: str
    cloud: str
    region: str
    nodeHealth: Literal["Healthy", "Unhealthy"]
    gpuSlicingProfile: list[str]
    allocation: list[Allocation]


class InventoryList(Answer):
    """GPU nodes: the document reads `items`, clients read the two others."""

    items: list[InventoryItem]
    managedNodes: list[InventoryItem]
    unmanagedNodes: list[InventoryItem]


class WorkspaceInventoryItem(Answer):
    """Nodes of one kind on which a slice workspace holds GPUs. `memory` in MiB, `memoryPerGpu` in GiB."""

    nodeName: list[str]
    instanceType: str
    memory: int
    totalGpus: int
    gpuShape: str
    memoryPerGpu: int
    gpuPerNode: int
    totalGpuNodes: int
    clusterName: str


class WorkspaceInventory(Answer):
    """What a slice workspace holds."""

    items: list[WorkspaceInventoryItem]


# --- GPRs -------------------------------------------------------------------------------------------------------------


class GprWish(Request):
    """GPUs that somebody would like: `numberOfGPUs` on each of `numberOfGPUNodes`, for `exitDuration`."""

    sliceName: SliceName
    exitDuration: Duration = Field(examples=["0d0h5m"])
    numberOfGPUs: GpusPerNode
    numberOfGPUNodes: Nodes = 1
    clusterName: Word | None = None
    instanceType: Text = ""
    gpuShape: Text = ""
    memoryPerGPU: Annotated[Memory, Field(validation_alias=AliasChoices("memoryPerGPU", "memoryPerGpu"))] = 0
    priority: Priority | None = None
    gpuSharingMode: Text = "Virtual Machine"
    multiNode: Flag = False
    dedicatedNodes: Flag = False
    enableRDMA: Flag = False
    enableSecondaryNetwork: Flag = False
    preferredClusters: Words = Field(default_factory=list)
    enableAutoClusterSelection: Flag = False
    enableAutoGpuSelection: Flag = False
    idleTimeOutDuration: DurationOrNone = ""
    enforceIdleTimeOut: Flag = False
    enableEviction: Flag = False
    requeueOnFailure: Flag = True


class CreateGpr(GprWish):
    """A GPU provision request: `numberOfGPUs` on each of `numberOfGPUNodes`, for `exitDuration` from provisioning."""

    gprName: GprName


class GprReference(Request):
    """A GPR by its id."""

    gprId: Word


class SliceReference(Request):
    """A slice workspace by its name."""

    sliceName: SliceName


class UpdateGpr(Request):
    """What may change about a GPR. With `earlyRelease` the priority is of no account."""

    gprId: Word
    priority: Priority | None = None
    earlyRelease: Flag = False
    gprName: GprName | None = None


class GprCreated(Answer):
    """The id of the new GPR."""

    gprId: str


class WaitTime(Answer):
    """When a GPR would start if it were submitted now. Both times are empty where nobody can know; `reason` says why."""

    estimatedStartTime: str
    estimatedWaitTime: str
    clusterName: str
    nodes: list[str]
    position: int
    reason: str


class GprStatus(Answer):
    """How a GPR is. Instants that have not come yet are empty."""

    provisioningStatus: Literal["Queued", "Provisioned", "Complete", "Error"]
    failureReason: str
    numGpusAllocated: int
    startTimestamp: str
    completionTimestamp: str
    cost: str
    nodes: list[str] | None
    internalState: Literal["", "Queued", "Reserved", "Released"]
    retryCount: int
    delayedCount: int


class GprItem(Answer):
    """A GPR. `memoryPerGPU` in GiB."""

    gprId: str
    sliceName: str
    clusterName: str
    numberOfGPUs: int
    numberOfGPUNodes: int
    instanceType: str
    memoryPerGPU: int
    priority: int
    gpuSharingMode: str
    estimatedStartTime: str
    estimatedWaitTime: str
    exitDuration: str
    earlyRelease: bool
    gprName: str
    gpuShape: str
    multiNode: bool
    dedicatedNodes: bool
    enableRDMA: bool
    enableSecondaryNetwork: bool
    idleTimeOutDuration: str
    enforceIdleTimeOut: bool
    preferredClusters: list[str]
    enableAutoClusterSelection: bool
    enableAutoGpuSelection: bool
    enableEviction: bool
    requeueOnFailure: bool
    status: GprStatus


class GprList(Answer):
    """GPRs of a slice workspace, newest first."""

    items: list[GprItem]


# --- API keys ---------------------------------------------------------------------------------------------------------


class CreateApiKey(Request):
    """An API key to be made. Editor and Viewer keys are confined to a slice workspace."""

    name: NewName
    userName: NewName | None = None
    description: Text = ""
    role: Literal["Owner", "Editor", "Viewer"] = "Owner"
    validity: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = Field(
        None,
        description="The last day on which it is valid, in UTC; absent: until revoked.",
        json_schema_extra={"format": "date"},
    )
    sliceName: Annotated[Word | None, Field(validation_alias=AliasChoices("sliceName", "workspaceName"))] = None


class ApiKeyReference(Request):
    """An API key by its text."""

    apiKey: Word


class ApiKeyCreated(Answer):
    """The new API key; null when an idempotent request is repeated: its text is shown once."""

    apiKey: str | None


class ApiKeyItem(Answer):
    """An API key without its text."""

    name: str
    userName: str
    role: Literal["Owner", "Editor", "Viewer"]
    validity: str
    sliceName: str
    workspaceName: str
    apiKeyPrefix: str
    createdAt: str
    revoked: bool


class ApiKeyList(Answer):
    """API keys, oldest first."""

    items: list[ApiKeyItem]
