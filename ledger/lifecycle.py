"""A Gpr's moves from phase to phase, each one decision under the row's lock.

Every function may be called twice, late, or against another one: it looks at the row first, moves it only when the move
is still right, and answers with the standing that the ledger then holds. Whoever loses a race learns who won.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from domain.failures import InvalidRequest, NotFound, WrongPhase
from domain.gpr import EndCause, Phase, may_come_back, phase_after
from domain.instants import spoken
from domain.job import JobKind
from domain.messages import RELEASE_SIGNAL, NodeGpus, Standing, kick_arbiter, tell_gpr
from ledger import disks, events, leases, outbox, prices
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from ledger.connection import Connection, Row

_SQL = load("gprs")
_BOXES = load("boxes")
_PREEMPTION = load("preemption")

NOTICE_MINUTES = (30, 15, 5)
"""Before the end of a lease, when it is long enough for the notice to be news."""
RETRIES_MAX = 5
"""Provisionings that may fail before a Gpr that asked to be requeued fails itself."""
RETRY_BACKOFF_SECONDS = (5, 15, 45, 120, 300)


async def standing(connection: Connection, gpr_id: UUID) -> Standing:
    """What the ledger holds about this Gpr now."""
    row = await connection.fetchrow(_SQL["standing"], gpr_id)
    if row is None:
        raise NotFound(f"there is no Gpr {gpr_id}")
    gpus = [] if row["fence"] is None else await connection.fetch(_SQL["standing_gpus"], row["fence"])
    return Standing(
        gpr_id=str(row["id"]),
        version=row["version"],
        phase=Phase(row["phase"]),
        workspace=row["workspace"],
        name=row["name"],
        priority=row["priority"],
        fence=row["fence"] or 0,
        cluster=row["cluster"],
        tenant=row["tenant"],
        namespaces=list(row["namespaces"]),
        gpus=[NodeGpus(part["node"], list(part["ordinals"]), part["agent"]) for part in gpus],
        end_at=row["end_at"],
        next_notice_at=row["next_notice_at"],
        end_cause=row["end_cause"] or "",
        exclusive=row["exclusive"],
        is_job=row["kind"] is not None,
        is_box=row["kind"] == JobKind.BOX,
        disk_id=row["disk_id"],
        resource=row["resource"],
    )


async def activate(connection: Connection, gpr_id: UUID, fence: int, now: datetime) -> Standing:
    """Tokens and access are there: the lease's time begins to run, and its notices are set."""
    row = await _locked(connection, gpr_id)
    moved = await connection.fetchrow(_SQL["to_active"], gpr_id, fence, now)
    if moved is not None:
        end_at = moved["end_at"]
        if end_at is not None:
            await _set_notices(connection, gpr_id, now, end_at, row["grace_seconds"])
        await disks.used(connection, fence, now)
        detail = {"end_at": end_at.isoformat() if end_at else None}
        await events.record(connection, now, "activated", gpr_id=gpr_id, fence=fence, detail=detail)
        await outbox.put(connection, kick_arbiter())
    return await standing(connection, gpr_id)


async def begin_release(  # noqa: PLR0913 - who ended it and why are one thought
    connection: Connection,
    gpr_id: UUID,
    cause: EndCause,
    now: datetime,
    *,
    actor: str = "",
    failure: str = "",
    failed_nodes: Sequence[str] = (),
) -> Standing:
    """End it, in whatever phase it is: a queued one is cancelled, one that holds GPUs is torn down; else nothing.

    But one that is torn down and would be queued again, and is cancelled then, does not come back.
    """
    row = await _locked(connection, gpr_id)
    phase = Phase(row["phase"])
    if phase is Phase.QUEUED:
        await connection.execute(_SQL["cancel_queued"], gpr_id, cause, now)
        await events.record(connection, now, "cancelled", gpr_id=gpr_id, actor=actor, detail={"cause": cause})
    elif phase in {Phase.PROVISIONING, Phase.ACTIVE}:
        await connection.execute(_SQL["to_releasing"], gpr_id, cause, failure, list(failed_nodes), now)
        await connection.execute(_SQL["withdraw_notices"], gpr_id, now)
        detail = {"cause": cause, "failure": failure}
        await events.record(connection, now, "releasing", gpr_id=gpr_id, fence=row["fence"], actor=actor, detail=detail)
    elif cause is EndCause.CANCELLED and may_come_back(phase, row["end_cause"] or ""):
        await connection.execute(_SQL["withdraw"], gpr_id, cause)
        detail = {"cause": cause}
        await events.record(connection, now, "withdrawn", gpr_id=gpr_id, fence=row["fence"], actor=actor, detail=detail)
    return await standing(connection, gpr_id)


async def end_for_user(
    connection: Connection, gpr_id: UUID, cause: EndCause, now: datetime, actor: str
) -> tuple[Standing, list[int]]:
    """End it because somebody asked, and tell its lifecycle; the ids of the messages to deliver after the commit."""
    after = await begin_release(connection, gpr_id, cause, now, actor=actor)
    messages = [tell_gpr(RELEASE_SIGNAL, after), kick_arbiter()]
    return after, [await outbox.put(connection, message) for message in messages]


async def expire(connection: Connection, gpr_id: UUID, now: datetime) -> Standing:
    """Begin the release if the lease's end has come by the ledger's own `end_at`, which a late signal may have moved."""
    row = await _locked(connection, gpr_id)
    if Phase(row["phase"]) is Phase.ACTIVE and row["end_at"] is not None and row["end_at"] <= now:
        is_preempted = await connection.fetchval(_PREEMPTION["ends"], row["fence"])
        return await begin_release(connection, gpr_id, EndCause.PREEMPTED if is_preempted else EndCause.EXPIRED, now)
    return await standing(connection, gpr_id)


async def provisioning_failed(
    connection: Connection, gpr_id: UUID, fence: int, failure: str, failed_nodes: Sequence[str], now: datetime
) -> Standing:
    """Give up this grant; teardown follows, then the queue again, for a while without the nodes that failed, or the end."""
    row = await _locked(connection, gpr_id)
    if Phase(row["phase"]) is Phase.PROVISIONING and row["fence"] == fence:
        return await begin_release(
            connection, gpr_id, EndCause.PROVISIONING_FAILED, now, failure=failure, failed_nodes=failed_nodes
        )
    return await standing(connection, gpr_id)


async def finish_release(
    connection: Connection, gpr_id: UUID, fence: int, stuck_nodes: Sequence[str], now: datetime
) -> tuple[Standing, list[int]]:
    """Everything was seen to be free (but for `stuck_nodes`, which keep their GPUs): close the lease, come to rest.

    Its disk is copied then. Also the ids of the messages to deliver after the commit.
    """
    row = await _locked(connection, gpr_id)
    if Phase(row["phase"]) is not Phase.RELEASING or row["fence"] != fence:
        return await standing(connection, gpr_id), []
    await leases.release(connection, fence, stuck_nodes, now)
    await _come_to_rest(connection, gpr_id, row, now, stuck_nodes)
    messages = [*await disks.let_go(connection, gpr_id, fence, now), kick_arbiter()]
    return await standing(connection, gpr_id), await outbox.put_all(connection, messages)


async def deliver_notices(connection: Connection, gpr_id: UUID, now: datetime) -> Standing:
    """Mark the notices that are due as delivered: they stand in the ledger for every dialect to show."""
    await _locked(connection, gpr_id)
    for notice in await connection.fetch(_SQL["deliver_notices"], gpr_id, now):
        await events.record(connection, now, "noticed", gpr_id=gpr_id, detail={"kind": notice["kind"]})
    return await standing(connection, gpr_id)


async def set_priority(connection: Connection, gpr_id: UUID, priority: int, now: datetime, actor: str) -> list[int]:
    """Change the priority of a queued Gpr; the ids of the messages to deliver after the commit."""
    row = await _locked(connection, gpr_id)
    if Phase(row["phase"]) is not Phase.QUEUED:
        raise WrongPhase(f"the priority counts only in the queue, and the Gpr is {row['phase']}", phase=row["phase"])
    await connection.execute(_SQL["set_priority"], gpr_id, priority)
    await events.record(connection, now, "priority_set", gpr_id=gpr_id, actor=actor, detail={"priority": priority})
    return [await outbox.put(connection, kick_arbiter())]


async def rename(connection: Connection, gpr_id: UUID, name: str) -> None:
    """Change the name that people see."""
    await _locked(connection, gpr_id)
    await connection.execute(_SQL["set_name"], gpr_id, name)


async def move_end(connection: Connection, gpr_id: UUID, end_at: datetime, now: datetime, actor: str) -> Standing:
    """Move the end of an active lease; the caller has made sure that nothing promised stands in the way."""
    row = await _locked(connection, gpr_id)
    if Phase(row["phase"]) is not Phase.ACTIVE:
        raise WrongPhase(f"only an active lease has an end to move, and the Gpr is {row['phase']}", phase=row["phase"])
    if end_at <= now:
        raise InvalidRequest("the new end of a lease must lie in the future; release it instead")
    await connection.execute(_SQL["set_end"], gpr_id, end_at)
    await connection.execute(_SQL["withdraw_notices"], gpr_id, now)
    await _set_notices(connection, gpr_id, now, end_at, row["grace_seconds"])
    detail = {"end_at": end_at.isoformat()}
    await events.record(connection, now, "extended", gpr_id=gpr_id, fence=row["fence"], actor=actor, detail=detail)
    return await standing(connection, gpr_id)


async def end_sooner(
    connection: Connection, gpr_id: UUID, end_at: datetime, kind: str, message: str, now: datetime
) -> Standing:
    """Let an active lease, whose row is held, end sooner than it was to, and have its people told now."""
    row = await _locked(connection, gpr_id)
    await connection.execute(_SQL["set_end"], gpr_id, end_at)
    await connection.execute(_SQL["withdraw_notices"], gpr_id, now)
    await _set_notices(connection, gpr_id, now, end_at, row["grace_seconds"])
    await connection.execute(_SQL["add_notice"], gpr_id, kind, now, message)
    return await standing(connection, gpr_id)


async def end_as_before(connection: Connection, gpr_id: UUID, end_at: datetime | None, now: datetime) -> None:
    """Undo that; None: it has no known end again. The caller sees to its notices."""
    await connection.execute(_SQL["set_end"], gpr_id, end_at)
    await connection.execute(_SQL["withdraw_notices"], gpr_id, now)


async def lengthen(connection: Connection, gpr_id: UUID, seconds: int, now: datetime, actor: str) -> Standing:
    """Have a lease that is being provisioned last longer: its end is not known yet."""
    row = await _locked(connection, gpr_id)
    if Phase(row["phase"]) is not Phase.PROVISIONING or row["duration_seconds"] is None:
        raise WrongPhase(f"there is no duration to lengthen, and the Gpr is {row['phase']}", phase=row["phase"])
    await connection.execute(_SQL["lengthen"], gpr_id, seconds)
    detail = {"seconds": seconds}
    await events.record(connection, now, "lengthened", gpr_id=gpr_id, fence=row["fence"], actor=actor, detail=detail)
    return await standing(connection, gpr_id)


async def _locked(connection: Connection, gpr_id: UUID) -> Row:
    row = await connection.fetchrow(_SQL["lock"], gpr_id)
    if row is None:
        raise NotFound(f"there is no Gpr {gpr_id}")
    return row


async def _set_notices(
    connection: Connection, gpr_id: UUID, now: datetime, end_at: datetime, grace_seconds: int
) -> None:
    """People are told of the end that they are shown; where a grace follows it, also when it has come."""
    shown_end = end_at - timedelta(seconds=grace_seconds)
    for minutes in NOTICE_MINUTES:
        due_at = shown_end - timedelta(minutes=minutes)
        if due_at > now:
            message = f"the lease ends in {minutes} minutes, at {spoken(shown_end)}"
            await connection.execute(_SQL["add_notice"], gpr_id, f"ends_in_{minutes}_minutes", due_at, message)
    if grace_seconds and shown_end > now:
        message = f"the time is up: everything here ends in {grace_seconds} seconds, at {spoken(end_at)}"
        await connection.execute(_SQL["add_notice"], gpr_id, "time_is_up", shown_end, message)


async def _come_to_rest(
    connection: Connection, gpr_id: UUID, row: Row, now: datetime, stuck_nodes: Sequence[str]
) -> None:
    history = await connection.fetchrow(_SQL["failure_history"], gpr_id)
    assert history is not None
    requeue = history["requeue_on_failure"] and history["retries"] < RETRIES_MAX
    cause = EndCause(history["end_cause"])
    after = phase_after(cause, was_active=history["active_at"] is not None, requeue=requeue)
    if after is Phase.QUEUED:
        failures = int(cause is EndCause.PROVISIONING_FAILED)
        not_before = now + timedelta(seconds=RETRY_BACKOFF_SECONDS[history["retries"]]) if failures else None
        spent = (await prices.costs(connection, [gpr_id], now)).get(gpr_id, 0)
        await connection.execute(_SQL["requeue"], gpr_id, not_before, failures, spent)
        if cause is EndCause.PREEMPTED:
            await connection.execute(_PREEMPTION["rested"], gpr_id)
        await connection.execute(_BOXES["tell_anew"], gpr_id)
    else:
        await connection.execute(_SQL["to_rest"], gpr_id, after, now)
    detail = {"phase": after, "stuck_nodes": list(stuck_nodes)}
    await events.record(connection, now, "rested", gpr_id=gpr_id, fence=row["fence"], detail=detail)
