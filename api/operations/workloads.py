"""What one can ask of workloads: of everything that Berth runs, whichever dialect it came by.

Visible are those of one's workspaces, gone ones included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final, Protocol, TypeVar
from uuid import NAMESPACE_URL, UUID, uuid5

from api.operations.permission import require_administrator, visible_workspace_ids
from domain.failures import NotFound
from domain.gpr import Phase
from domain.job import Job, ObservedPod
from domain.workload import Measure, Workload, WorkloadFilter, WorkloadPage, WorkloadPhase
from ledger import boxes, jobs, workloads
from ledger.workloads import Count, LeaseParts
from ledger.workloads import Grouping as Grouping  # noqa: PLC0414 - what dialects ask with
from ledger.workloads import WorkloadCategory as WorkloadCategory  # noqa: PLC0414 - what dialects are given
from ledger.workloads import WorkloadPriority as WorkloadPriority  # noqa: PLC0414 - likewise
from ledger.workloads import WorkloadType as WorkloadType  # noqa: PLC0414 - likewise

if TYPE_CHECKING:
    from api.operations.call import Call
    from ledger.connection import Connection


class _HasId(Protocol):
    @property
    def id(self) -> str: ...


_Named = TypeVar("_Named", bound=_HasId)

WAIT_BOUNDS: Final = (300, 3600, 86_400)
"""Seconds between the four buckets by which waits are told."""
_NAMED: Final = frozenset({Grouping.CLUSTER, Grouping.DEPARTMENT, Grouping.PROJECT})
_ENTERED: Final = frozenset({WorkloadPhase.RUNNING, WorkloadPhase.DEGRADED})


@dataclass(frozen=True, slots=True)
class TelemetryQuery:
    """What is to be counted, by what. The filter's conditions are on what is counted as it comes."""

    measure: Measure
    by: tuple[Grouping, ...]
    wanted: WorkloadFilter


@dataclass(frozen=True, slots=True)
class Group:
    """One of what counts are told by: its value, and what that is called where it is an id."""

    by: Grouping
    value: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """How much of a group. `bucket` is of waits: its place among those that the bounds make."""

    groups: tuple[Group, ...]
    value: int
    bucket: int | None = None


@dataclass(frozen=True, slots=True)
class Element:
    """A part of what a workload is made of. Level 1 is its lease, 2 its nodes, 3 its pods on them."""

    id: UUID
    name: str
    level: int
    parent_id: UUID | None
    created_at: datetime | None
    kind: str
    """`lease`, `node` or `pod`."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """A port by which people reach a workload that runs. `name`: ssh, jupyter or service. No secret is part of it."""

    name: str
    host: str
    port: int


async def listing(call: Call, wanted: WorkloadFilter, part: WorkloadPage) -> tuple[list[Workload], bool]:
    """One part of the list, and whether more come after it."""
    async with call.backends.ledger.transaction() as connection:
        ids = await visible_workspace_ids(connection, call)
        found = await workloads.page(connection, ids, wanted, replace(part, limit=part.limit + 1), call.now)
    return found[: part.limit], len(found) > part.limit


async def count(call: Call, wanted: WorkloadFilter) -> int:
    """How many there are."""
    async with call.backends.ledger.transaction() as connection:
        return await workloads.count(connection, await visible_workspace_ids(connection, call), wanted, call.now)


async def find(call: Call, reference: str) -> Workload:
    """One workload, or NotFound."""
    async with call.backends.ledger.reading() as connection:
        return await visible(connection, call, reference)


async def telemetry(call: Call, query: TelemetryQuery) -> list[Measured]:
    """Counts of what is not deleted, by group; without groups, one."""
    async with call.backends.ledger.transaction() as connection:
        ids = await visible_workspace_ids(connection, call)
        found = await workloads.counts(connection, ids, query.wanted, query.by, call.now)
        named = await _names(connection, query.by, [one.keys for one in found])
    measured = [Measured(_groups(query.by, one.keys, named), _measured(one, query.measure)) for one in found]
    return measured or ([] if query.by else [Measured((), 0)])


async def waits(call: Call, query: TelemetryQuery) -> list[Measured]:
    """How many wait for how long, by bucket and group; without groups, every bucket."""
    async with call.backends.ledger.transaction() as connection:
        ids = await visible_workspace_ids(connection, call)
        found = await workloads.waits(connection, ids, query.wanted, query.by, WAIT_BOUNDS, call.now)
        named = await _names(connection, query.by, [one.keys for one in found])
    if query.by:
        return [Measured(_groups(query.by, one.keys, named), one.number, one.bucket) for one in found]
    numbers = {one.bucket: one.number for one in found}
    return [Measured((), numbers.get(bucket, 0), bucket) for bucket in range(len(WAIT_BOUNDS) + 1)]


async def elements(call: Call, reference: str) -> list[Element]:
    """What a workload is made of, level by level: its last lease, the nodes of that, and its pods."""
    async with call.backends.ledger.reading() as connection:
        workload = await visible(connection, call, reference)
        lease = await workloads.last_lease(connection, workload.id)
        job = await jobs.find(connection, workload.id) if workload.is_job else None
    if lease is None:
        return []
    return _elements(workload, lease, job.observed.pods if job and job.observed else ())


async def entrances(call: Call, reference: str) -> list[Entrance]:
    """Where people reach a workload; nothing as long as it cannot be entered."""
    async with call.backends.ledger.reading() as connection:
        workload = await visible(connection, call, reference)
        if not workload.is_job or workload.phase not in _ENTERED:
            return []
        job = await jobs.find(connection, workload.id)
        has_jupyter = workload.kind != "box" or (await boxes.find(connection, workload.id)).jupyter_wanted
    return [one for one in _entrances(job) if has_jupyter or one.name != "jupyter"]


async def types(call: Call) -> list[WorkloadType]:
    """All types of workloads."""
    async with call.backends.ledger.reading() as connection:
        return await workloads.types(connection)


async def find_type(call: Call, type_id: str) -> WorkloadType:
    """One type, or NotFound."""
    return _by_id(await types(call), type_id, "workload type")


async def set_type(call: Call, type_id: str, category_id: str | None, priority_id: str | None) -> WorkloadType:
    """What new workloads of a type are given; None leaves it as it is. For administrators."""
    require_administrator(call)
    async with call.backends.ledger.transaction() as connection:
        await workloads.set_type(connection, type_id, category_id, priority_id, call.now, call.actor)
    return await find_type(call, type_id)


async def categories(call: Call) -> list[WorkloadCategory]:
    """All categories."""
    async with call.backends.ledger.reading() as connection:
        return await workloads.categories(connection)


async def find_category(call: Call, category_id: str) -> WorkloadCategory:
    """One category, or NotFound."""
    return _by_id(await categories(call), category_id, "workload category")


async def priorities(call: Call) -> list[WorkloadPriority]:
    """All classes of priorities."""
    async with call.backends.ledger.reading() as connection:
        return await workloads.priorities(connection)


async def visible(connection: Connection, call: Call, reference: str) -> Workload:
    """The workload with this id, if the caller may see it, or NotFound."""
    missing = NotFound(f"workload {reference!r} not found", workload=reference)
    try:
        found = await workloads.find(connection, UUID(reference), call.now)
    except (ValueError, NotFound) as failure:
        raise missing from failure
    ids = await visible_workspace_ids(connection, call)
    if ids is not None and found.workspace_id not in ids:
        raise missing
    return found


def _measured(found: Count, measure: Measure) -> int:
    match measure:
        case Measure.NUMBER:
            return found.number
        case Measure.ALLOCATED_GPUS:
            return found.allocated
        case Measure.IDLE_GPUS:
            return found.idle


async def _names(connection: Connection, by: Sequence[Grouping], keys: Sequence[tuple[str, ...]]) -> dict[str, str]:
    ids = {key for row in keys for one, key in zip(by, row, strict=False) if one in _NAMED and key}
    projects = {key for row in keys for one, key in zip(by, row, strict=False) if one is Grouping.PROJECT and key}
    return await workloads.names(connection, ids, [UUID(one) for one in projects])


def _groups(by: Sequence[Grouping], keys: Sequence[str], named: dict[str, str]) -> tuple[Group, ...]:
    return tuple(Group(one, key, named.get(key, "")) for one, key in zip(by, keys, strict=True))


def _elements(workload: Workload, lease: LeaseParts, pods: Sequence[ObservedPod]) -> list[Element]:
    top = Element(_id_of("lease", str(lease.fence)), f"lease-{lease.fence}", 1, None, lease.granted_at, "lease")
    nodes = {
        name: Element(_id_of("lease", str(lease.fence), "node", name), name, 2, top.id, lease.granted_at, "node")
        for name, _ in lease.nodes
    }
    told = [
        Element(
            _id_of("workload", str(workload.id), "pod", pod.name),
            pod.name,
            3 if pod.node in nodes else 2,
            nodes[pod.node].id if pod.node in nodes else top.id,
            pod.created_at,
            "pod",
        )
        for pod in pods
    ]
    return sorted([top, *nodes.values(), *told], key=lambda one: (one.level, one.kind, one.name))


def _entrances(job: Job) -> list[Entrance]:
    observed = job.observed
    if observed is None or job.gpr.phase is not Phase.ACTIVE:
        return []
    pod = observed.entrance
    found = [Entrance(name, pod.node_address, port) for name, port in sorted(pod.node_ports.items())] if pod else []
    host = next((one.node_address or one.node for one in observed.pods if one.node), "")
    if observed.service_node_port and host:
        name = "jupyter" if job.spec.kind == "notebook" else "service"
        found.append(Entrance(name, host, observed.service_node_port))
    return found


def _id_of(*words: str) -> UUID:
    """The same for ever."""
    return uuid5(NAMESPACE_URL, "berth/" + "/".join(words))


def _by_id(found: Sequence[_Named], wanted: str, what: str) -> _Named:
    for one in found:
        if one.id == wanted:
            return one
    raise NotFound(f"{what} {wanted!r} not found")
