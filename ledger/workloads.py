"""Workloads in the ledger: lists of them, how many there are, how they are grouped. Kept by triggers (migration 0010)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from domain.failures import InvalidRequest, NotFound
from domain.gpr import Phase
from domain.workload import Field, Workload, WorkloadPhase
from ledger.statements import load
from ledger.workload_clauses import COUNTED, OF_A_WORKSPACE, Parameters, order, where

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from domain.workload import WorkloadFilter, WorkloadPage
    from ledger.connection import Connection, Row

_SQL = load("workloads")
_AND: Final = "/*and*/"
_BY: Final = "/*by*/"
_PAGE_BY: Final = {Field.PENDING_SECONDS: "page_by_pending", Field.RUNNING_SECONDS: "page_by_running"}
FEW: Final = 2000
"""So many are sorted in less time than it takes to notice."""
DELETED_AT_ONCE: Final = 1000
"""In one transaction, which others may wait for."""
HOLDING: Final = tuple(
    phase.value
    for phase in WorkloadPhase
    if phase not in {WorkloadPhase.PENDING, WorkloadPhase.STOPPED, WorkloadPhase.COMPLETED, WorkloadPhase.FAILED}
)
"""Phases in which a workload has its place on nodes."""


class Grouping(StrEnum):
    """What counts are told by."""

    TYPE = "type"
    CATEGORY = "category"
    PHASE = "phase"
    REQUESTED_POOL = "requested_pool"
    CURRENT_POOL = "current_pool"
    CLUSTER = "cluster"
    DEPARTMENT = "department"
    PROJECT = "project"


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are of a group, and what they hold. `keys`: one for each grouping, in order."""

    keys: tuple[str, ...]
    number: int
    allocated: int
    idle: int


@dataclass(frozen=True, slots=True)
class Waits:
    """How many of a group wait for as long as this bucket says: below the first bound is 0."""

    bucket: int
    keys: tuple[str, ...]
    number: int


@dataclass(frozen=True, slots=True)
class WorkloadType:
    """A type of workloads, and what new ones of it are given."""

    kind: str
    id: str
    name: str
    category: str
    category_id: str
    priority: str
    priority_id: str
    updated_at: datetime | None
    updated_by: str


@dataclass(frozen=True, slots=True)
class WorkloadCategory:
    """What types are sorted into."""

    id: str
    name: str
    description: str


@dataclass(frozen=True, slots=True)
class WorkloadPriority:
    """A class of priorities, with the number by which others know it."""

    id: str
    name: str
    value: int


@dataclass(frozen=True, slots=True)
class LeaseParts:
    """The last lease of a workload, and the GPUs that it has on each node."""

    fence: int
    cluster: str
    granted_at: datetime
    released_at: datetime | None
    nodes: tuple[tuple[str, tuple[int, ...]], ...]


async def page(
    connection: Connection,
    workspace_ids: Collection[UUID] | None,
    wanted: WorkloadFilter,
    part: WorkloadPage,
    now: datetime,
) -> list[Workload]:
    """One part of the list of these workspaces' workloads, or of all for None. Call it in a transaction."""
    await connection.fetch(_SQL["plan_each_anew"])
    parameters = Parameters([_listed(workspace_ids), wanted.is_deleted, part.limit, part.offset])
    is_few = workspace_ids is not None and await _visible(connection, workspace_ids, wanted) <= FEW
    if part.sort in _PAGE_BY and not is_few:
        parameters.values.append(int(now.timestamp()))
        by = "desc" if part.is_descending else ""
        text = _SQL[_PAGE_BY[part.sort]].replace(_BY, by)
    else:
        by = order(part.sort, parameters, now, is_descending=part.is_descending)
        text = _SQL["page_of_few" if is_few else "page"].replace(f"{_BY} w.sequence", by)
    text = text.replace(_AND, where(wanted.conditions, wanted.search, parameters, now))
    found = await connection.fetch(text, *parameters.values)
    return await of_sequences(connection, [row["sequence"] for row in found], now)


async def of_sequences(connection: Connection, sequences: Sequence[int], now: datetime) -> list[Workload]:
    """These workloads, in this order."""
    if not sequences:
        return []
    return [_workload(row) for row in await connection.fetch(_SQL["rows"], list(sequences), now)]


async def find(connection: Connection, gpr_id: UUID, now: datetime) -> Workload:
    """One workload, or NotFound."""
    row = await connection.fetchrow(_SQL["sequence_of"], gpr_id)
    if row is None:
        raise NotFound(f"there is no workload {gpr_id}")
    return (await of_sequences(connection, [row["sequence"]], now))[0]


async def count(
    connection: Connection, workspace_ids: Collection[UUID] | None, wanted: WorkloadFilter, now: datetime
) -> int:
    """How many there are. Where it can be told from what is counted as it comes, no workload is looked at."""
    fields = {condition.field for condition in wanted.conditions}
    await connection.fetch(_SQL["plan_each_anew"])
    if wanted.search or not fields <= COUNTED:
        parameters = Parameters([_listed(workspace_ids), wanted.is_deleted])
        text = _SQL["count"].replace(_AND, where(wanted.conditions, wanted.search, parameters, now))
        return int(await connection.fetchval(text, *parameters.values))
    parameters = Parameters([_listed(workspace_ids), wanted.is_deleted, _is_total(workspace_ids, fields)])
    text = _SQL["tally"].replace(_AND, where(wanted.conditions, "", parameters, now))
    return int(await connection.fetchval(text, *parameters.values))


async def counts(
    connection: Connection,
    workspace_ids: Collection[UUID] | None,
    wanted: WorkloadFilter,
    by: Sequence[Grouping],
    now: datetime,
) -> list[Count]:
    """How many there are, by up to two groupings; conditions on what is counted only."""
    fields = {condition.field for condition in wanted.conditions}
    is_total = _is_total(workspace_ids, fields) and Grouping.PROJECT not in by
    await connection.fetch(_SQL["plan_each_anew"])
    one, two = _two(by)
    parameters = Parameters([_listed(workspace_ids), wanted.is_deleted, is_total, one, two, list(HOLDING)])
    text = _SQL["groups"].replace(_AND, where(wanted.conditions, "", parameters, now))
    rows = await connection.fetch(text, *parameters.values)
    return [Count(_keys(row, by), row["number"], row["allocated"], row["idle"]) for row in rows]


async def waits(
    connection: Connection,
    workspace_ids: Collection[UUID] | None,
    wanted: WorkloadFilter,
    by: Sequence[Grouping],
    bounds: Sequence[int],
    now: datetime,
) -> list[Waits]:
    """How long what waits has waited by now. What waits is in no pool, whatever it asked for."""
    await connection.fetch(_SQL["plan_each_anew"])
    parameters = Parameters([_listed(workspace_ids), wanted.is_deleted, now, *_two(by), [float(one) for one in bounds]])
    text = _SQL["waits"].replace(_AND, where(wanted.conditions, "", parameters, now))
    return [
        Waits(row["bucket"], _keys(row, by), row["number"]) for row in await connection.fetch(text, *parameters.values)
    ]


async def names(connection: Connection, ids: Collection[str], workspace_ids: Collection[UUID]) -> dict[str, str]:
    """What clusters, departments and workspaces with these ids are called."""
    if not ids:
        return {}
    return {row["id"]: row["name"] for row in await connection.fetch(_SQL["names"], list(ids), list(workspace_ids))}


async def types(connection: Connection) -> list[WorkloadType]:
    """All types, by name."""
    return [WorkloadType(**row) for row in await connection.fetch(_SQL["types"])]


async def set_type(
    connection: Connection, type_id: str, category_id: str | None, priority_id: str | None, now: datetime, actor: str
) -> None:
    """What new workloads of a type are given; None leaves it as it is. NotFound, InvalidRequest for what there is not."""
    if not any(one.id == type_id for one in await types(connection)):
        raise NotFound(f"there is no workload type {type_id}")
    if await connection.fetchval(_SQL["set_type"], type_id, category_id, priority_id, now, actor) is None:
        raise InvalidRequest("there is no such category, or no such priority")


async def delete_some(
    connection: Connection, workspace_id: UUID, now: datetime, *, at_once: int = DELETED_AT_ONCE
) -> bool:
    """Some of what ended in a workspace that is going is deleted with it, at `now`; whether there may be more."""
    return len(await connection.fetch(_SQL["delete_some"], workspace_id, now, at_once)) == at_once


async def given_priority(connection: Connection, kind: str) -> int | None:
    """What new workloads of a kind are given that name no priority; None: nobody has said, and dialects have their own."""
    found: int | None = await connection.fetchval(_SQL["given_priority"], kind)
    return found


async def categories(connection: Connection) -> list[WorkloadCategory]:
    """All categories, by name."""
    return [WorkloadCategory(**row) for row in await connection.fetch(_SQL["categories"])]


async def priorities(connection: Connection) -> list[WorkloadPriority]:
    """All classes of priorities, weakest first."""
    return [WorkloadPriority(**row) for row in await connection.fetch(_SQL["priorities"])]


async def last_lease(connection: Connection, gpr_id: UUID) -> LeaseParts | None:
    """What it holds, or held last; None where it never held anything."""
    rows = await connection.fetch(_SQL["lease_parts"], gpr_id)
    if not rows:
        return None
    first = rows[0]
    nodes = tuple((row["node"], tuple(row["ordinals"])) for row in rows if row["node"] is not None)
    return LeaseParts(first["fence"], first["cluster"], first["granted_at"], first["released_at"], nodes)


async def _visible(connection: Connection, workspace_ids: Collection[UUID], wanted: WorkloadFilter) -> int:
    return int(await connection.fetchval(_SQL["visible"], list(workspace_ids), wanted.is_deleted))


def _listed(workspace_ids: Collection[UUID] | None) -> list[UUID] | None:
    return None if workspace_ids is None else list(workspace_ids)


def _is_total(workspace_ids: Collection[UUID] | None, fields: Collection[Field]) -> bool:
    return workspace_ids is None and not OF_A_WORKSPACE & set(fields)


def _two(by: Sequence[Grouping]) -> tuple[str, str]:
    padded = [*(one.value for one in by), "", ""]
    return padded[0], padded[1]


def _keys(row: Row, by: Sequence[Grouping]) -> tuple[str, ...]:
    return (row["one"], row["two"])[: len(by)]


_SAME: Final = (
    *("workspace_id", "sequence", "name", "kind", "type", "category", "cluster", "cluster_id", "department", "pool"),
    *("department_id", "submitter", "phase_updated_at", "created_at", "completed_at", "deleted_at", "priority"),
    *("priority_class", "allocated_gpus", "idle_gpus", "pending_seconds", "running_seconds", "namespace", "end_cause"),
    *("failure", "granted_at", "active_at", "stopped_at", "suspended_at", "reason_code", "reason", "starts_at"),
    *("nodes", "gpus_per_node", "memory_gib", "cpu_millis", "memory_mib", "job_state", "job_reason", "job_message"),
    *("job_observed_at", "pods_ready", "pods_wanted", "image", "preemptible", "options", "is_reserved"),
    *("shape", "resource"),
)
"""Columns that are fields of the same name."""


def _workload(row: Row) -> Workload:
    same: Mapping[str, Any] = {name: row[name] for name in _SAME}
    return Workload(
        id=row["gpr_id"],
        workspace=row["project"],
        phase=WorkloadPhase(row["phase"]),
        gpr_phase=Phase(row["gpr_phase"]),
        command=tuple(row["command"]),
        arguments=tuple(row["arguments"]),
        **same,
    )
