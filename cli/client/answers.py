"""What the native API answers, typed. Fields that a newer server adds are kept, so that `--json` loses nothing."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.gpr import TERMINAL, EndCause, Phase
from domain.hardware import NodeState
from domain.identity import Role
from domain.priority import Band
from domain.slices import GPU_RESOURCE, Slicing
from domain.workspace import WorkspacePhase


class Answer(BaseModel):
    """One JSON object of the server's."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Estimate(Answer):
    """When a queued Gpr is expected to start, its place in the queue (0: not ranked yet), and why it waits."""

    starts_at: datetime | None = None
    position: int = 0
    reason_code: str = ""
    reason: str = ""
    earliest: datetime | None = None
    latest: datetime | None = None


class Promise(Answer):
    """A start that nobody who comes later can move: no later than `starts_at`; None: the hardware was lost."""

    made_at: datetime
    starts_at: datetime | None = None
    cluster: str = ""
    nodes: list[str] = []
    moves: int = 0


class NodeGpus(Answer):
    """GPUs of one node, by their place on it."""

    node: str
    gpus: list[int]


class Lease(Answer):
    """What a Gpr holds, or held last."""

    cluster: str
    fence: int | None = None
    held: bool
    nodes: list[NodeGpus]


class Gpr(Answer):
    """A request for GPUs, wherever it is in its life."""

    id: UUID
    external_id: str
    name: str
    workspace: str
    phase: Phase
    nodes: int
    gpus_per_node: int
    gpus: int
    shape: str = ""
    instance_type: str = ""
    memory_gib: int = 0
    clusters: list[str] = []
    pool: str = ""
    duration: str
    duration_seconds: int | None = None
    priority: int
    band: Band
    requeue_on_failure: bool = True
    preemptible: bool = False
    preemptions: int = 0
    submitted_by: str = ""
    submitted_at: datetime
    active_at: datetime | None = None
    end_at: datetime | None = None
    finished_at: datetime | None = None
    end_cause: EndCause | None = None
    failure: str = ""
    retries: int = 0
    cost: Decimal | None = None
    delays: int = 0
    suspended_at: datetime | None = None
    estimate: Estimate | None = None
    promise: Promise | None = None
    lease: Lease | None = None
    version: int

    @property
    def ended(self) -> bool:
        """Whether it has come to rest, with everything that it held free again."""
        return self.phase in TERMINAL


class Event(Answer):
    """Something that was decided."""

    id: int
    at: datetime
    kind: str
    gpr_id: UUID | None = None
    workspace_id: UUID | None = None
    fence: int | None = None
    actor: str = ""
    detail: dict[str, Any] = {}


class Notice(Answer):
    """What people should know before it happens."""

    kind: str
    due_at: datetime
    message: str
    delivered_at: datetime | None = None
    withdrawn_at: datetime | None = None


class Workspace(Answer):
    """A tenant. `role` is what the caller is to it; None: administrator of the installation only."""

    id: UUID
    name: str
    phase: WorkspacePhase
    failure: str = ""
    clusters: list[str]
    namespaces: list[str]
    username: str = ""
    email: str = ""
    description: str = ""
    pool: str = ""
    role: Role | None = None
    created_at: datetime


class Kubeconfig(Answer):
    """A kubeconfig for a workspace's namespaces; it dies at `expires_at`, or with the lease."""

    kubeconfig: str
    expires_at: datetime
    clusters: list[str]


class Holder(Answer):
    """Who holds GPUs of a node."""

    gpr: str
    workspace: str
    gpus: int
    granted_at: datetime


class Node(Answer):
    """A GPU node; `holders` names only those that the caller may see, `foreign_gpus` are used by pods outside Berth."""

    cluster: str
    name: str
    shape: str
    instance_type: str = ""
    gpus: int
    free_gpus: int
    held_gpus: int = 0
    foreign_gpus: int = 0
    resource: str = GPU_RESOURCE
    slicing: Slicing = Slicing.NONE
    memory_mib: int = 0
    memory_gib: int = 0
    region: str = ""
    cloud_provider: str = ""
    state: NodeState
    condition: str = ""
    holders: list[Holder] = []


class Cluster(Answer):
    """A registered cluster. `away_since` is set while it does not answer."""

    name: str
    server: str
    version: str
    sufficient: bool
    lacks: list[str] = []
    seen_at: datetime
    away_since: datetime | None = None


class PoolNode(Answer):
    """A node by the place where it is."""

    cluster: str
    node: str


class PoolWeight(Answer):
    """What a workspace weighs in a pool, and what it had there lately."""

    pool: str
    workspace: str
    weight: int
    gpu_hours_used: float = 0.0
    set_by: str = ""
    set_at: datetime


class Pool(Answer):
    """Nodes that serve only requests that name the pool; with the weights in it that the caller may see."""

    name: str
    description: str = ""
    nodes: list[PoolNode] = []
    created_by: str = ""
    created_at: datetime
    weights: list[PoolWeight] = []


class Amounts(Answer):
    """GPUs, thousandths of a CPU, MiB of memory. As a limit, None: as much as there is."""

    gpus: int | None = None
    cpu_millis: int | None = None
    memory_mib: int | None = None


class Quota(Answer):
    """What may be in use at once of a namespace, and what is."""

    namespace: str
    workspace: str
    limit: Amounts
    gpus_now: int | None = None
    used: Amounts
    description: str = ""
    set_by: str = ""
    set_at: datetime


class Price(Answer):
    """What a GPU of a shape costs for an hour, from an instant on until the next price of its shape."""

    shape: str
    starts_at: datetime
    per_gpu_hour: Decimal | None = None
    set_by: str = ""
    set_at: datetime


class Key(Answer):
    """An API key without its secret."""

    id: UUID
    name: str
    prefix: str
    principal: str
    role: Role
    workspace: str | None = None
    created_at: datetime
    valid_until: datetime | None = None
    revoked_at: datetime | None = None


class CreatedKey(Key):
    """A new API key; `key` is its text, which is shown this once."""

    key: str | None = None


class Caller(Answer):
    """Who the credential stands for, and what it may at most."""

    principal: str
    principal_id: UUID
    administrator: bool
    role: Role
    workspace: str | None = None
    key_id: UUID
    expires_at: datetime | None = None


class Health(Answer):
    """The state of the server and of each part that it needs, in the server's words."""
