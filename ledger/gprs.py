"""Gprs in the ledger: submitted and read. Their moves from phase to phase are in `ledger/lifecycle.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.failures import NotFound, WrongPhase
from domain.gpr import Estimate, Gpr, GprRequest, Phase
from domain.hardware import Gpu
from domain.identifiers import external_gpr_id
from domain.job import JobKind
from domain.messages import kick_arbiter, start_gpr
from ledger import events, outbox
from ledger.arbitration import promise_of
from ledger.statements import load

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from domain.messages import OutboxMessage
    from ledger.connection import Connection, Row

_SQL = load("gprs")
_IDLENESS = load("idleness")
NEWEST = 2**62
"""Keyset bound of the first page."""


async def submit(  # noqa: PLR0913 - one argument for each thing that only the caller knows
    connection: Connection,
    gpr_id: UUID,
    workspace_id: UUID,
    submitted_by: UUID,
    request: GprRequest,
    options: dict[str, object],
    now: datetime,
) -> list[int]:
    """Write a new queued Gpr; the ids of the messages to deliver after the commit. WrongPhase if its workspace is going."""
    await insert(connection, gpr_id, workspace_id, submitted_by, request, options, now)
    return await outbox.put_all(connection, [start_gpr(str(gpr_id)), kick_arbiter()])


async def insert(  # noqa: PLR0913 - one argument for each thing that only the caller knows
    connection: Connection,
    gpr_id: UUID,
    workspace_id: UUID,
    submitted_by: UUID,
    request: GprRequest,
    options: dict[str, object],
    now: datetime,
) -> None:
    """Write it without telling anybody. WrongPhase if its workspace is going."""
    written = await connection.fetchval(
        _SQL["submit"],
        gpr_id,
        external_gpr_id(gpr_id),
        workspace_id,
        submitted_by,
        request.name,
        request.nodes,
        request.gpus_per_node,
        request.shape,
        request.instance_type,
        request.memory_gib,
        list(request.clusters),
        request.duration_seconds,
        request.priority,
        request.exclusive,
        request.requeue_on_failure,
        options,
        now,
        request.pool,
        request.spread,
        request.namespace,
        request.cpu_millis,
        request.memory_mib,
        request.disk_id,
        request.grace_seconds,
        request.preemptible,
    )
    if written is None:
        raise WrongPhase("the workspace is being deleted")
    if request.idle_seconds is not None:
        await connection.execute(_IDLENESS["wish"], gpr_id, request.idle_seconds, request.ends_when_idle)
    await events.record(connection, now, "submitted", gpr_id=gpr_id, workspace_id=workspace_id, detail=_wish(request))


async def find(connection: Connection, gpr_id: UUID) -> Gpr:
    """One Gpr, or NotFound."""
    row = await connection.fetchrow(_SQL["one"], gpr_id)
    if row is None:
        raise NotFound(f"there is no Gpr {gpr_id}")
    return gpr_of(row)


async def id_of_external(connection: Connection, external_id: str) -> UUID | None:
    """The id behind a dialect's id."""
    found: UUID | None = await connection.fetchval(_SQL["id_of_external"], external_id)
    return found


async def page_of_workspace(
    connection: Connection, workspace_id: UUID, *, limit: int, before: int = NEWEST
) -> list[Gpr]:
    """Gprs of a workspace, newest first; `before` is the sequence of the last one of the page before."""
    return [gpr_of(row) for row in await connection.fetch(_SQL["page_of_workspace"], workspace_id, before, limit)]


async def holding_in_workspace(connection: Connection, workspace_id: UUID) -> int:
    """How many of its Gprs hold GPUs."""
    return int(await connection.fetchval(_SQL["live_in_workspace"], workspace_id))


async def queued_in_workspace(connection: Connection, workspace_id: UUID) -> list[UUID]:
    """Its queued Gprs, oldest first."""
    return [row["id"] for row in await connection.fetch(_SQL["queued_in_workspace"], workspace_id)]


async def unfinished(connection: Connection) -> list[OutboxMessage]:
    """What starts the lifecycles that must be running."""
    return [
        start_gpr(row["id"], is_job=row["kind"] is not None, is_box=row["kind"] == JobKind.BOX)
        for row in await connection.fetch(_SQL["unfinished"])
    ]


def gpr_of(row: Row) -> Gpr:
    """A Gpr from a row that has the columns of `one`."""
    return Gpr(
        id=row["id"],
        external_id=row["external_id"],
        workspace_id=row["workspace_id"],
        workspace=row["workspace"],
        sequence=row["sequence"],
        request=_request(row),
        phase=Phase(row["phase"]),
        estimate=Estimate(
            row["starts_at"],
            row["position"] or 0,
            row["reason_code"],
            row["reason"],
            row["starts_earliest"],
            row["starts_latest"],
        ),
        submitted_at=row["submitted_at"],
        active_at=row["active_at"],
        end_at=row["end_at"],
        finished_at=row["finished_at"],
        end_cause=row["end_cause"] or "",
        failure=row["failure"],
        retries=row["retries"],
        delays=row["delays"],
        fence=row["fence"],
        cluster=row["lease_cluster"] or "",
        gpus=tuple(Gpu(node, ordinal) for node, ordinal in row["gpus"] or ()),
        options=row["options"],
        version=row["version"],
        submitted_by=row["submitted_by_name"],
        suspended_at=row["suspended_at"],
        spent=row["spent"],
        promise=promise_of(row),
        preemptions=row["preemptions"],
    )


def _wish(request: GprRequest) -> dict[str, object]:
    """What was asked for, so that the history alone says whether it was given."""
    return {
        "nodes": request.nodes,
        "gpus_per_node": request.gpus_per_node,
        "duration_seconds": request.duration_seconds,
        "priority": request.priority,
        "exclusive": request.exclusive,
    }


def _request(row: Row) -> GprRequest:
    return GprRequest(
        name=row["name"],
        nodes=row["nodes"],
        gpus_per_node=row["gpus_per_node"],
        duration_seconds=row["duration_seconds"],
        priority=row["priority"],
        shape=row["shape"],
        instance_type=row["instance_type"],
        memory_gib=row["memory_gib"],
        clusters=tuple(row["clusters"]),
        exclusive=row["exclusive"],
        requeue_on_failure=row["requeue_on_failure"],
        pool=row["pool"],
        spread=row["spread"],
        namespace=row["namespace"],
        cpu_millis=row["cpu_millis"],
        memory_mib=row["memory_mib"],
        disk_id=row["disk_id"],
        grace_seconds=row["grace_seconds"],
        preemptible=row["preemptible"],
    )
