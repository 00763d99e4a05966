"""What is sent to the native API. What is left out here the server decides."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict

from domain.identity import Role


class Body(BaseModel):
    """One JSON object of ours."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def given(self) -> dict[str, Any]:
        """Only what the caller set, so that defaults stay the server's."""
        return self.model_dump(mode="json", exclude_unset=True)


class NewGpr(Body):
    """A request for GPUs: `gpus_per_node` on each of `nodes`, for `duration` (as in 1d2h30m) once active."""

    workspace: str
    name: str
    duration: str
    nodes: int = 1
    gpus_per_node: int = 1
    priority: int | None = None
    shape: str = ""
    instance_type: str = ""
    memory_gib: int = 0
    clusters: Sequence[str] = ()
    pool: str = ""
    requeue_on_failure: bool = True
    preemptible: bool = False
    idle_timeout: str | None = None
    release_when_idle: bool = False


class GprChange(Body):
    """What may change about a Gpr; what is not set stays."""

    priority: int | None = None
    name: str | None = None


class NewWorkspace(Body):
    """A tenant to be made: each namespace on each cluster."""

    name: str
    clusters: Sequence[str]
    namespaces: Sequence[str]
    username: str = ""
    email: str = ""
    description: str = ""
    pool: str = ""


class NewPool(Body):
    """Nodes to be set aside for those who name the pool; `cluster/name` where several clusters have a node so named."""

    name: str
    description: str = ""
    nodes: Sequence[str] = ()


class PoolChange(Body):
    """What may change about a pool; what is not set stays."""

    description: str | None = None
    nodes: Sequence[str] | None = None
    add: Sequence[str] = ()
    remove: Sequence[str] = ()


class QuotaSetting(Body):
    """What may be in use at once of a namespace; what is not set: as much as there is."""

    description: str = ""
    gpus: int | None = None
    cpu_millis: int | None = None
    memory_mib: int | None = None


class PriceSetting(Body):
    """What a GPU of a shape costs for an hour, from an instant on; None: no price from then on."""

    shape: str
    per_gpu_hour: Decimal | None
    starts_at: datetime | None = None


class NewKey(Body):
    """An API key, for oneself or, by an administrator, for anybody."""

    name: str
    principal: str | None = None
    administrator: bool = False
    role: Role = Role.OWNER
    workspace: str | None = None
    valid_for: str | None = None
