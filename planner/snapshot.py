"""All that a plan is made from: what exists, what is held, what is asked for.

Plain frozen values, so that a plan can be repeated, compared and tried on a changed copy.
Reading them from the ledger is the caller's work; times are UTC and aware.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from domain.priority import PRIORITY_MAX
from domain.slices import host_of

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node that Berth may use; its GPUs have the ordinals 0 to gpus - 1."""

    cluster: str
    name: str
    shape: str
    instance_type: str
    memory_gib: int
    gpus: int
    usable: bool = True
    """False: nothing new is placed here, and its GPUs are no future capacity either."""
    unusable_reason: str = ""
    blocked_ordinals: frozenset[int] = frozenset()
    """GPUs to leave alone on a usable node: unhealthy, or in use by strangers."""
    pools: frozenset[str] = frozenset()
    """Pools that it belongs to; without any it serves the claims that name none."""
    sliced: bool = False
    """Its GPUs are instances of GPUs, or shared: for those alone who ask for its shape by name."""

    @property
    def host(self) -> str:
        """The node that Kubernetes knows: its own name, but for a part of a node that is cut."""
        return host_of(self.name)


@dataclass(frozen=True, slots=True)
class HeldGpu:
    """One GPU by the place where it sits."""

    cluster: str
    node: str
    ordinal: int


@dataclass(frozen=True, slots=True)
class Closure:
    """Maintenance: a node is away from an instant until another. What runs stays until its end; nothing is placed into it."""

    cluster: str
    node: str
    begins_at: datetime
    ends_at: datetime
    name: str
    """For people, in reasons."""


UNLIMITED: Final = 1 << 40
"""The total of a limit at a time at which it does not count."""


@dataclass(frozen=True, slots=True)
class Limit:
    """So much of something may be in use at once, whoever uses it."""

    key: str
    total: int
    spoken: str
    """For people, in reasons: `8 GPUs of namespace vision`."""
    changes: tuple[tuple[datetime, int], ...] = ()
    """(from when on, its total then), in order of time; `total` until the first. They end nothing that runs."""
    guaranteed: bool = False
    """Claims wait for it only where they cannot be preempted. Who may have back what is lent is reckoned with all that is held."""


Uses = tuple[tuple[str, int], ...]
"""How much of which limit, by key."""


@dataclass(frozen=True, slots=True)
class LeaseView:
    """What is held now, until it is seen to be free."""

    fence: int
    gpr_id: str
    gpr_name: str
    workspace: str
    exclusive: bool
    until: datetime | None
    """When the lease is expected to end; None: nobody knows."""
    gpus: tuple[HeldGpu, ...]
    uses: Uses = ()
    preemptible: bool = False
    """It may be ended early, once it works and its guaranteed time is over: for a claim of a stronger band, or what it borrows."""
    priority: int = PRIORITY_MAX
    begun_at: datetime | None = None
    """Since when it works: what is lost when it is ended early. None: it does not yet."""
    guaranteed_until: datetime | None = None
    """Not ended early before this instant; None: it may be at once."""
    preempted: bool = False
    """It ends early: `until` is when."""
    pool: str = ""
    """That it was asked for in, whatever pools its nodes are in now; empty: none."""
    taken_back: bool = False
    """It ends early for a claim of its own band, to which what it borrows is guaranteed."""
    guarantees: tuple[str, ...] = ()
    """Keys of the limits that are guaranteed to its workspace and to what that belongs to, the innermost first.

    It counts against them only if it cannot be preempted. Without a limit of that key nothing is guaranteed."""

    @property
    def gpus_in_all(self) -> int:
        """That it holds."""
        return len(self.gpus)


@dataclass(frozen=True, slots=True)
class Claim:
    """One queued Gpr: what it asks for, and how strong it is."""

    gpr_id: str
    gpr_name: str
    workspace: str
    exclusive: bool
    sequence: int
    """Order of submission, unique."""
    priority: int
    """0 to 300, higher goes first."""
    nodes: int
    gpus_per_node: int
    duration_seconds: int | None
    """None: until it ends by itself or is told to, and nobody knows when."""
    clusters: tuple[str, ...]
    """Clusters it may run on, the preferred first; empty: any, with no preference."""
    shape: str = ""
    """Product or instance type, since clients send either; empty: any."""
    instance_type: str = ""
    memory_gib: int = 0
    """Memory of each GPU, at least; 0: any."""
    not_before: datetime | None = None
    excluded_nodes: frozenset[tuple[str, str]] = frozenset()
    """(cluster, node) on which this Gpr failed before."""
    workspace_name: str = ""
    """For people, in reasons; the workspace itself where it is not given."""
    planned_cluster: str = ""
    """Where the last forecast put it. Kept among equal starts: this is what makes forecasts come true."""
    planned_nodes: tuple[str, ...] = ()
    pool: str = ""
    """Only nodes of this pool; empty: only nodes of none."""
    spread: bool = True
    """Each of `nodes` is a node of its own; False: they may share nodes."""
    uses: Uses = ()
    submitted_at: datetime | None = None
    """Since when it waits, for ageing; None: it does not age."""
    pinned_start: datetime | None = None
    """A promise: from this instant on `planned_nodes` are kept for it, whoever comes. It may start earlier.

    Both are of one forecast, always: when a later forecast is earlier, the pin moves to it."""
    fixed_start: datetime | None = None
    """An advance reservation: kept for it from this instant on, ahead of everybody, and never started earlier.

    On `planned_nodes` while these will do, else on others."""
    preemptible: bool = False
    """Its lease may be ended early, for a claim of a stronger band or one to which is guaranteed what it borrows."""
    was_preempted: bool = False
    """Its lease was ended early for a stronger claim: it waits at the top of its band, and ends nobody's lease."""
    was_taken_back: bool = False
    """Its lease was ended early for a claim of its own band: it ends nobody's lease."""
    has_preempted: bool = False
    """Leases end early for it already: no more do."""
    guarantees: tuple[str, ...] = ()
    """As of a lease."""

    @property
    def gpus_in_all(self) -> int:
        """That it asks for."""
        return self.nodes * self.gpus_per_node


@dataclass(frozen=True, slots=True)
class Standing:
    """What is due to a workspace, and what it had lately: in one pool, or wherever no standing is of the pool."""

    workspace: str
    weight: int = 1
    """Its part beside the weights of others; 1 or more."""
    used: int = 0
    """GPU-seconds until now, the older the less (`planner.usage`). What its leases will still take is not in it."""
    pool: str = ""
    """Pools of which there is any standing are reckoned apart: what is had and asked for there counts there alone."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The world at one instant."""

    now: datetime
    nodes: tuple[NodeView, ...]
    leases: tuple[LeaseView, ...]
    queue: tuple[Claim, ...]
    limits: tuple[Limit, ...] = ()
    turnaround_seconds: int = 5
    """From the end of a lease to the next start on the same GPUs: the teardown."""
    standings: tuple[Standing, ...] = ()
    """For fair share among equals; a workspace without one (in a pool that has any) has used nothing and weighs 1.

    Empty: age alone decides."""
    notice_seconds: int = 60
    """From when a lease is told that it ends early to its end."""
    ageing_seconds: int = 0
    """So long a wait counts as one point of priority, up to the top of its band; 0: no wait does."""
    closures: tuple[Closure, ...] = ()
    """May overlap; those that are over make no difference."""
