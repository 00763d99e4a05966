# ruff: noqa: N815 - the fields are the client's words, spelled as on the wire
"""The words of the gpuctl API's bodies, as its document and its clients spell them: camelCase, but snake_case in details.

The documents inside (`yamlContent`) have modules of their own.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from api.wording import Flag, Word
from domain.job import JobStatus

YAML_CHARACTERS_MAX: Final = 64 * 1024
BATCH_MAX: Final = 1000
BATCH_BYTES_MAX: Final = 2 * 1024 * 1024
"""A thousand jobs, each three times as long as most are; to read so much takes seconds at worst."""
LABEL_VALUE_LENGTH_MAX: Final = 63

_LABEL_NAME: Final = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_LABEL_KEY: Final = r"^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$"
_NO_NUL: Final = r"^[^\x00]*$"
_SUBDOMAIN: Final = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"

StatusWord = Annotated[
    str, WithJsonSchema({"type": "string", "enum": ["", *JobStatus, *(status.capitalize() for status in JobStatus)]})
]
"""Either as answers spell it or as a bare word; empty: whatever it is."""
YamlContent = Annotated[str, StringConstraints(max_length=YAML_CHARACTERS_MAX)]
LABEL_KEY: Final = Field(json_schema_extra={"pattern": _LABEL_KEY, "maxLength": 253})
"""Documented here; the domain checks it with a better sentence. Kubernetes allows 317 characters, and nobody has so long."""
LABEL_VALUE: Final = Field(json_schema_extra={"pattern": rf"^({_LABEL_NAME})?$", "maxLength": LABEL_VALUE_LENGTH_MAX})
LabelKey = Annotated[Word, LABEL_KEY]
LabelValue = Annotated[str, LABEL_VALUE]
PoolName = Annotated[
    str, Field(json_schema_extra={"pattern": r"^(?!default$)[a-z0-9]([a-z0-9-]*[a-z0-9])?$", "maxLength": 63})
]
PoolText = Annotated[str, Field(json_schema_extra={"pattern": _NO_NUL, "maxLength": 1000})]
GpuWord = Annotated[str, Field(json_schema_extra={"pattern": _NO_NUL, "maxLength": 63})]
NodeNames = Annotated[
    list[Annotated[str, StringConstraints(pattern=_SUBDOMAIN, max_length=253)]], Field(max_length=1000)
]
GpuTypes = Annotated[list[GpuWord], Field(max_length=1000)]

_Item = TypeVar("_Item")


class Request(BaseModel):
    """A body that a client sends."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Answer(BaseModel):
    """Something that Berth sends."""

    model_config = ConfigDict(frozen=True, serialize_by_alias=True)


class Failure(Answer):
    """Every answer that is not a success."""

    error: str


class Page(Answer, Generic[_Item]):
    """Some of the items; `total` counts all of them."""

    total: int
    items: list[_Item]


# --- jobs -------------------------------------------------------------------------------------------------------------


class JobSubmission(Request):
    """A job as YAML. With `dryRun` it is checked and planned, and nothing is made."""

    yamlContent: YamlContent
    dryRun: Flag = False


class JobBatch(Request):
    """Several jobs, each taken or refused on its own."""

    yamlContents: Annotated[list[YamlContent], Field(max_length=BATCH_MAX)]
    dryRun: Flag = False


class JobCreated(Answer):
    """A job was taken."""

    jobId: str
    name: str
    kind: str
    status: Literal["pending"] = "pending"
    createdAt: datetime
    message: str


class BatchSuccess(Answer):
    """A job of a batch that was taken."""

    jobId: str
    name: str


class BatchFailure(Answer):
    """A job of a batch that was refused: its place, counted from 0, and why."""

    index: int
    error: str


class BatchResult(Answer):
    """What became of a batch."""

    success: list[BatchSuccess]
    failed: list[BatchFailure]


class JobItem(Answer):
    """A pod of a job; or the job itself while it has none. What is not known yet is `N/A`."""

    jobId: str
    name: str
    namespace: str
    kind: str
    status: str
    ready: str
    node: str
    ip: str
    age: str


class JobPage(Page[JobItem]):
    """Jobs, pod by pod."""


class JobResources(Answer):
    """What each replica of a job asks for."""

    cpu: str
    memory: str
    gpu: int


class JobEvent(Answer):
    """Something that happened to a job or its pods."""

    age: str
    type: str
    reason: str
    source: str = Field(serialization_alias="from")
    object: str
    message: str


class PodAccess(Answer):
    """Straight to the pod. Null until it runs."""

    pod_ip: str | None
    port: int | None
    url: str | None


class NodePortAccess(Answer):
    """Through a port of a node. Null where there is none."""

    node_ip: str | None
    node_port: int | None
    url: str | None


class AccessMethods(Answer):
    """How a job that listens is reached."""

    pod_ip_access: PodAccess
    node_port_access: NodePortAccess


class JobDetail(Answer):
    """A job. `access_methods` is null for one that does not listen."""

    job_id: str
    name: str
    namespace: str
    kind: str
    resource_type: Literal["Pod", "Job", "Deployment", "StatefulSet"]
    status: str
    age: str
    started: datetime | None
    completed: datetime | None
    priority: str
    pool: str
    resources: JobResources
    metrics: dict[str, Any]
    yaml_content: dict[str, Any]
    events: list[JobEvent]
    access_methods: AccessMethods | None


class JobDeleted(Answer):
    """A job ends."""

    jobId: str
    status: Literal["terminating"] = "terminating"
    message: str


class Logs(Answer):
    """The last lines of a job's log."""

    logs: list[str]
    lastTimestamp: datetime | None


class LogFrame(Answer):
    """One message of the log's stream."""

    type: Literal["log"] = "log"
    data: str


# --- pools ------------------------------------------------------------------------------------------------------------


class NewPool(Request):
    """A pool that is asked for. The YAML of kind `pool` is read here as well."""

    name: PoolName
    description: PoolText | None = None
    nodes: NodeNames | None = None
    gpuType: GpuTypes | None = None


class ChangedPool(Request):
    """What is to become of a pool; what is absent stays. `nodes` are all that it has then."""

    description: PoolText | None = None
    nodes: NodeNames | None = None
    gpuType: GpuTypes | None = None


class PoolItem(Answer):
    """A pool in the list, which is a bare array."""

    name: str
    description: str | None
    gpuTotal: int
    gpuUsed: int
    gpuFree: int
    gpuType: list[str]
    status: str


class PoolDetail(Answer):
    """A pool by itself, in the other spelling."""

    name: str
    description: str | None
    nodes: list[str]
    gpu_total: int
    gpu_used: int
    gpu_free: int
    gpu_types: list[str]
    status: str


class PoolChanged(Answer):
    """A pool was made, changed or deleted."""

    name: str
    status: Literal["created", "updated", "deleted"]
    message: str


# --- nodes ------------------------------------------------------------------------------------------------------------


class NodeToPool(Request):
    """The pool that a node is to be in."""

    pool: Word


class NodePoolChanged(Answer):
    """A node came into a pool, or left it."""

    node: str
    pool: str
    message: str


class NodeItem(Answer):
    """A node in the list."""

    nodeName: str
    status: Literal["active", "not_ready"]
    gpuTotal: int
    gpuUsed: int
    gpuFree: int
    boundPools: list[str]
    cpu: str
    memory: str
    gpuType: str | None
    createdAt: datetime | None


class NodePage(Page[NodeItem]):
    """Nodes."""


class NodeResources(Answer):
    """What a node has, and what of it is in use."""

    cpuTotal: str
    cpuUsed: str
    memoryTotal: str
    memoryUsed: str
    gpuTotal: int
    gpuUsed: int
    gpuFree: int


class Label(Answer):
    """A label of a node."""

    key: str
    value: str


class NodeDetail(Answer):
    """A node by itself."""

    nodeName: str
    status: Literal["active", "not_ready"]
    resources: NodeResources
    labels: list[Label]
    boundPools: list[str]
    createdAt: datetime | None
    lastUpdatedAt: datetime | None


class GpuItem(Answer):
    """A GPU of a node. `utilization` in percent and `memoryUsage` are null where nobody measures them."""

    gpuId: str
    type: str
    status: str
    utilization: float | None
    memoryUsage: str | None


class GpuDetail(Answer):
    """The GPUs of a node."""

    nodeName: str
    gpuCount: int
    gpus: list[GpuItem]


class GpuDetailPage(Page[GpuDetail]):
    """The GPUs of all nodes."""


# --- labels -----------------------------------------------------------------------------------------------------------


class AddLabel(Request):
    """A label to be put on a node. One that is there stays, unless `overwrite`."""

    key: LabelKey
    value: LabelValue
    overwrite: Flag = False


class UpdateLabel(Request):
    """The new value of a label."""

    value: LabelValue


class NodeLabels(Answer):
    """All labels of a node."""

    node: str
    labels: dict[str, str]


class LabelOfNode(Answer):
    """One label of a node, with the instants that clients look for."""

    key: str
    value: str
    createdAt: datetime | None
    lastUpdatedAt: datetime | None


class NodeLabel(Answer):
    """One label of one node."""

    nodeName: str
    label: LabelOfNode


class LabelAdded(Answer):
    """A label was put on a node; `label` is `{key: value}`."""

    nodeName: str
    label: dict[str, str]
    message: str


class LabelChanged(Answer):
    """A label was changed (`label` is `key=value`) or taken off (`label` is its key)."""

    node: str
    label: str
    message: str


class LabelFailure(Answer):
    """A node of a batch on which the label was not put, and why."""

    nodeName: str
    error: str


class LabelBatchResult(Answer):
    """What became of a label for several nodes."""

    success: list[str]
    failed: list[LabelFailure]
    message: str


class LabelMatch(Answer):
    """A node that has the label that was asked for."""

    nodeName: str
    labelKey: str
    labelValue: str


class LabelPage(Page[LabelMatch]):
    """Nodes that have a label."""


class GpuLabels(Answer):
    """The labels of a node that speak of GPUs, and its pools."""

    nodeName: str
    gpuLabels: list[Label]
    boundPools: list[str]


class GpuLabelsPage(Page[GpuLabels]):
    """The labels of all nodes that speak of GPUs."""


# --- quotas and namespaces --------------------------------------------------------------------------------------------


class QuotaSubmission(Request):
    """Limits for several namespaces as YAML."""

    yamlContent: YamlContent


class QuotaCreated(Answer):
    """The limits of one namespace, as they were set. `unlimited` where there are none."""

    name: str
    namespace: str
    cpu: str
    memory: str
    gpu: str
    status: Literal["created", "updated"]


class QuotasCreated(Answer):
    """A quota was taken."""

    message: str
    name: str
    created: list[QuotaCreated]


class Quota(Answer):
    """Limits of a namespace and what of them is in use, under the keys `cpu`, `memory` and `nvidia.com/gpu`."""

    name: str
    namespace: str
    hard: dict[str, str]
    used: dict[str, str]
    status: str


class QuotaPage(Page[Quota]):
    """Quotas."""


class QuotaDeleted(Answer):
    """A quota is gone. `jobId` is the namespace: clients expect it there."""

    jobId: str
    status: Literal["deleted"] = "deleted"
    message: str


class NamespaceItem(Answer):
    """A namespace in the list."""

    name: str
    status: str
    age: str


class NamespacePage(Page[NamespaceItem]):
    """Namespaces."""


class NamespaceDetail(Answer):
    """A namespace by itself."""

    name: str
    status: str
    age: str
    labels: dict[str, str]
    quota: Quota | None


class NamespaceDeleted(Answer):
    """A namespace is gone."""

    name: str
    status: Literal["deleted"] = "deleted"
    message: str
