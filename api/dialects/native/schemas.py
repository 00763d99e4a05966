"""The words of `/berth/v1`. They are Berth's own, so a field says what the thing is called inside.

Requests refuse unknown fields; answers may gain fields, never lose or rename them.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.wording import (
    Amount,
    Clusters,
    Duration,
    Flag,
    GprName,
    GpusPerNode,
    Instant,
    MemoryGib,
    Namespaces,
    NewName,
    Nodes,
    PrincipalName,
    Priority,
    Text,
    Word,
    Words,
)
from domain.gpr import EndCause, Phase
from domain.hardware import NodeState
from domain.identity import Role
from domain.priority import Band
from domain.slices import Slicing
from domain.workspace import WorkspacePhase


class Request(BaseModel):
    """A body that a client sends."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Answer(BaseModel):
    """A body that Berth sends."""

    model_config = ConfigDict(frozen=True)


# --- Gprs -------------------------------------------------------------------------------------------------------------


class GprSubmission(Request):
    """A request for GPUs: `gpus_per_node` on each of `nodes`, for `duration` from the moment it becomes active."""

    workspace: Word
    name: GprName = Field(description="For people: up to 40 letters, digits, '.', '_' or '-'.")
    duration: Duration = Field(description="As in 1d2h30m.", examples=["1h30m"])
    nodes: Nodes = 1
    gpus_per_node: GpusPerNode = 1
    priority: Priority | None = Field(
        None, description="Low 0-100, medium 101-200, high 201-300; absent: its type's, else 101."
    )
    shape: Text = Field("", description="GPU product as the inventory names it; empty: any.")
    instance_type: Text = Field("", description="Node type; empty: any.")
    memory_gib: MemoryGib = Field(0, description="At least, per GPU.")
    clusters: Words = Field(default_factory=list, description="In order of preference; empty: all of the workspace.")
    pool: Text = Field("", description="Only nodes of this pool; empty: the workspace's, or nodes of none.")
    requeue_on_failure: Flag = Field(True, description="Queue again when provisioning fails, rather than fail.")
    preemptible: Flag = Field(
        False,
        description="Its lease may be ended early, for a request of a stronger band or one to which is guaranteed what it borrows; "
        "then it is queued again.",
    )
    idle_timeout: Duration | None = Field(None, description="Tell me when nobody has used its GPUs for so long.")
    release_when_idle: Flag = Field(False, description="And then, after a warning, release it. Needs `idle_timeout`.")


class GprChange(Request):
    """What may change about a Gpr; absent fields stay."""

    priority: Priority | None = Field(None, description="Only while queued.")
    name: GprName | None = None


class EstimateView(Answer):
    """When a queued Gpr is expected to start, its place in the queue (from 1; 0: not ranked yet), and why it waits."""

    starts_at: datetime | None
    position: int
    reason_code: str
    reason: str
    earliest: datetime | None = Field(None, description="It starts between this instant and `latest`, most likely.")
    latest: datetime | None = None


class PromiseView(Answer):
    """A start that nobody who comes later can move. Null in `starts_at`: the hardware was lost; see the notices."""

    made_at: datetime
    starts_at: datetime | None = Field(description="It starts no later than this.")
    cluster: str
    nodes: list[str]
    moves: int = Field(description="How often hardware was lost, and another start had to be promised.")


class NodeGpusView(Answer):
    """GPUs of one node, by their place on it."""

    node: str
    gpus: list[int]


class LeaseView(Answer):
    """What a Gpr holds, or held last. `held` is false once everything was seen to be free."""

    cluster: str
    fence: int | None
    held: bool
    nodes: list[NodeGpusView]


class GprView(Answer):
    """A Gpr. Instants that have not come yet are null."""

    id: UUID
    external_id: str = Field(description="The id that EGS clients see.")
    name: str
    workspace: str
    phase: Phase
    nodes: int
    gpus_per_node: int
    gpus: int = Field(description="In all.")
    shape: str
    instance_type: str
    memory_gib: int
    clusters: list[str]
    pool: str
    duration: str = Field(description="Empty: until it ends by itself or is told to.")
    duration_seconds: int | None
    priority: int
    band: Band
    requeue_on_failure: bool
    preemptible: bool
    preemptions: int = Field(description="How often its lease made room for another request.")
    submitted_by: str
    submitted_at: datetime
    active_at: datetime | None
    end_at: datetime | None
    finished_at: datetime | None
    end_cause: EndCause | None
    failure: str
    retries: int
    cost: Decimal | None = Field(description="Until now, or in all; null without a price, or before it ran.")
    delays: int = Field(description="How often its estimate moved to later.")
    suspended_at: datetime | None = Field(description="Since when it waits to be resumed.")
    estimate: EstimateView | None = Field(description="Only while queued.")
    promise: PromiseView | None = Field(None, description="What was asked to be promised; kept once it has started.")
    lease: LeaseView | None
    version: int = Field(description="Grows with every change.")


class GprPage(Answer):
    """Gprs, newest first."""

    items: list[GprView]
    next: str | None = Field(description="Send it as `after` for the next page; null on the last one.")


class EventView(Answer):
    """Something that was decided about a Gpr, a workspace or a node."""

    id: int
    at: datetime
    kind: str
    gpr_id: UUID | None
    workspace_id: UUID | None
    fence: int | None
    actor: str
    detail: dict[str, object]


class EventPage(Answer):
    """Events, oldest first."""

    items: list[EventView]
    next: str | None = Field(description="Send it as `after` for what came later; null when there was nothing.")


class NoticeView(Answer):
    """What people should know before it happens."""

    kind: str
    due_at: datetime
    message: str
    delivered_at: datetime | None
    withdrawn_at: datetime | None


class NoticeList(Answer):
    """A Gpr's notices in the order in which they are due."""

    items: list[NoticeView]


# --- workspaces -------------------------------------------------------------------------------------------------------


class WorkspaceSubmission(Request):
    """A tenant to be made: each namespace on each cluster."""

    name: NewName
    clusters: Clusters
    namespaces: Namespaces
    username: Text = ""
    email: Text = ""
    description: Text = ""
    pool: Text = Field("", description="Of its Gprs that name none.")


class WorkspaceView(Answer):
    """A workspace, and what the caller is to it (null: only administrator of the installation)."""

    id: UUID
    name: str
    phase: WorkspacePhase
    failure: str = Field(description="What its making or deletion waits for, or failed at.")
    clusters: list[str]
    namespaces: list[str]
    username: str
    email: str
    description: str
    pool: str
    role: Role | None
    created_at: datetime


class WorkspacePage(Answer):
    """Workspaces in use, oldest first."""

    items: list[WorkspaceView]
    next: str | None = Field(description="Send it as `after` for the next page; null on the last one.")


class KubeconfigView(Answer):
    """A kubeconfig for the workspace's namespaces; its tokens die at `expires_at`, or with the lease."""

    kubeconfig: str
    expires_at: datetime
    clusters: list[str]


# --- hardware ---------------------------------------------------------------------------------------------------------


class HolderView(Answer):
    """Who holds GPUs of a node."""

    gpr: str
    workspace: str
    gpus: int
    granted_at: datetime


class NodeView(Answer):
    """A GPU node. `held_gpus` counts leases of every workspace; `holders` names only those that the caller may see."""

    cluster: str
    name: str
    shape: str
    instance_type: str
    gpus: int
    free_gpus: int
    held_gpus: int
    foreign_gpus: int = Field(description="Used by pods that are not Berth's.")
    resource: str = Field(
        description="What Kubernetes counts its GPUs by: `nvidia.com/gpu`, or a kind of MIG instance."
    )
    slicing: Slicing = Field(
        description="What one of its GPUs is: a whole one, a MIG instance, or one that others use at the same time. Of a "
        "node that is cut each part is an item named `node/part`, and the node itself has no GPUs."
    )
    memory_mib: int
    memory_gib: int
    region: str
    cloud_provider: str
    state: NodeState
    condition: str
    holders: list[HolderView]


class NodeList(Answer):
    """GPU nodes by cluster and name."""

    items: list[NodeView]


class ClusterView(Answer):
    """A registered cluster. `away_since` is set while it does not answer."""

    name: str
    server: str
    version: str
    sufficient: bool = Field(description="Whether exclusive leases can be kept on it.")
    lacks: list[str]
    seen_at: datetime
    away_since: datetime | None


class ClusterList(Answer):
    """Registered clusters by name."""

    items: list[ClusterView]


class AmountsView(Answer):
    """GPUs, thousandths of a CPU, MiB of memory. As a limit, null: as much as there is."""

    gpus: int | None
    cpu_millis: int | None
    memory_mib: int | None


class QuotaSetting(Request):
    """What may be in use at once of a namespace, over all clusters of its workspace; absent: as much as there is."""

    description: Text = ""
    gpus: Annotated[int, Field(strict=True, ge=0, le=100_000)] | None = None
    cpu_millis: Annotated[int, Field(strict=True, ge=0, le=10**12)] | None = None
    memory_mib: Annotated[int, Field(strict=True, ge=0, le=10**12)] | None = None


class QuotaView(Answer):
    """What may be in use at once of a namespace, and what is."""

    namespace: str
    workspace: str
    limit: AmountsView
    gpus_now: int | None = Field(description="As many GPUs as count now, by overrides; null: as much as there is.")
    used: AmountsView
    description: str
    set_by: str
    set_at: datetime


class QuotaList(Answer):
    """Quotas by namespace."""

    items: list[QuotaView]


class PriceSetting(Request):
    """What a GPU of a shape costs for an hour, from an instant on."""

    shape: Word
    per_gpu_hour: Amount | None = Field(description="In the installation's currency; null: no price from then on.")
    starts_at: Instant | None = Field(None, description="Absent: from now on.")


class PriceView(Answer):
    """A price, which counts until the next one of its shape."""

    shape: str
    starts_at: datetime
    per_gpu_hour: Decimal | None
    set_by: str
    set_at: datetime


class PriceList(Answer):
    """Every price, by shape and time."""

    items: list[PriceView]


# --- access -----------------------------------------------------------------------------------------------------------


class KeySubmission(Request):
    """An API key to be made, for oneself or, by an administrator, for anybody."""

    name: NewName
    principal: PrincipalName | None = Field(
        None,
        description="Administrators only: made when it does not exist, unless it is a login's, as in jschmidt@aws. "
        "Absent: oneself.",
    )
    administrator: Flag = Field(False, description="Administrators only: the principal is made an administrator.")
    role: Role = Field(Role.OWNER, description="The key may never more than this.")
    workspace: Word | None = Field(None, description="Confines the key to one workspace.")
    valid_for: Duration | None = Field(None, description="As in 90d; absent: until revoked.")


class KeyView(Answer):
    """An API key without its secret."""

    id: UUID
    name: str
    prefix: str = Field(description="The first characters of the key.")
    principal: str
    role: Role
    workspace: str | None
    created_at: datetime
    valid_until: datetime | None
    revoked_at: datetime | None


class KeyCreated(KeyView):
    """A new API key; its text is shown this once. Null when an idempotent request is repeated: it is not kept."""

    key: str | None


class KeyList(Answer):
    """API keys, oldest first."""

    items: list[KeyView]


class CallerView(Answer):
    """Who the credential stands for, and what it may at most."""

    principal: str
    principal_id: UUID
    administrator: bool
    role: Role
    workspace: str | None
    key_id: UUID
    expires_at: datetime | None


# --- failures ---------------------------------------------------------------------------------------------------------


class FailureView(Answer):
    """What went wrong: a stable code, a sentence for people, and what helps to mend it."""

    code: str
    message: str
    details: dict[str, object]


class FailureAnswer(Answer):
    """The body of every answer that is not a success."""

    error: FailureView
