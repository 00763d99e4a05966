"""Faults of GPUs, and GPUs that are set aside: quarantined by a fault, or by an administrator, until something lifts it.

A quarantine is Berth's own. It is seen by the planner and by nobody else: other tools' taints and conditions stand beside
it, in the state of the node, and nothing here touches them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from domain import faults
from domain.failures import AlreadyExists, NotFound
from domain.faults import Reach
from domain.health import GpuFault, GpuNow, Quarantine, Reading
from domain.messages import kick_arbiter, start_recovery
from ledger import events, idleness, outbox
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from domain.faults import Meaning
    from ledger.connection import Connection, Row

_SQL = load("health")

ACTOR: Final = "berth: health"
FAULTS_PER_PASS: Final = 200
WITHHELD: Final = timedelta(days=1)
FRESH: Final = timedelta(seconds=60)
"""Older than that a reading is none."""
FAULT_NOTICE: Final = "gpu_fault"
NEWEST: Final = 2**62


@dataclass(frozen=True, slots=True)
class Place:
    """A GPU by where it is; without an ordinal all of a node's."""

    cluster: str
    node: str
    ordinal: int | None

    def __str__(self) -> str:
        what = "all GPUs" if self.ordinal is None else f"GPU {self.ordinal}"
        return f"{what} of {self.node} in {self.cluster}"


@dataclass(frozen=True, slots=True)
class Judged:
    """What a look at new faults led to, in words, and the ids of the messages to deliver after the commit."""

    said: tuple[str, ...] = ()
    messages: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Recovery:
    """A quarantine as its recovery sees it."""

    id: UUID
    place: Place
    ordinals: tuple[int, ...]
    is_open: bool
    is_held: bool
    has_agent: bool
    clean_seconds: int | None
    clean_since: datetime | None
    waits_for: str


# --- faults -----------------------------------------------------------------------------------------------------------


async def judge_faults(connection: Connection, now: datetime, *, clean_seconds: int) -> Judged:
    """Look at the faults that nobody has looked at, and set aside what they say. Repeating it finds none."""
    await connection.execute(_SQL["lock"])
    await connection.execute(_SQL["settle_withheld"], now - WITHHELD)
    said: list[str] = []
    messages: list[int] = []
    for row in await connection.fetch(_SQL["open_faults"], FAULTS_PER_PASS):
        words, sent = await _judge(connection, row, now, clean_seconds)
        said += words
        messages += sent
    return Judged(tuple(said), tuple(messages))


async def _judge(connection: Connection, row: Row, now: datetime, clean_seconds: int) -> tuple[list[str], list[int]]:
    meaning = faults.meaning_of(row["kind"], row["code"])
    if meaning.reach is Reach.NOTHING:
        await connection.execute(_SQL["set_verdict"], row["id"], "noted")
        await _record(connection, "gpu_fault_noted", row, now)
        return [], []
    place = Place(row["cluster"], row["node"], None if meaning.reach is Reach.NODE else row["ordinal"])
    is_covered = await connection.fetchval(_SQL["open_at"], place.cluster, place.node, place.ordinal) is not None
    if not is_covered and not await _may_set_aside(connection, place):
        return await _withhold(connection, row, place, now), []
    await connection.execute(_SQL["set_verdict"], row["id"], "quarantined")
    await connection.execute(_SQL["not_clean"], place.cluster, place.node, row["ordinal"])
    messages = [] if is_covered else await _quarantine_for(connection, row, place, meaning, now, clean_seconds)
    if row["verdict"] is None:
        messages += await _tell_holders(connection, row, place, now)
    words = f"{place}: {faults.spoken(row['kind'], row['code'])}"
    return ([] if is_covered else [f"set aside {words}"]), messages


async def _may_set_aside(connection: Connection, place: Place) -> bool:
    groups = await connection.fetch(_SQL["set_aside"], place.cluster, place.node)
    more = 1
    if place.ordinal is None:
        more = await connection.fetchval(_SQL["gpus_of_node"], place.cluster, place.node) or 1
    return all(faults.may_set_aside(group["total"], group["already"], more) for group in groups)


async def _withhold(connection: Connection, row: Row, place: Place, now: datetime) -> list[str]:
    """Too much is set aside already: people must look. Said once; looked at again in every pass."""
    if row["verdict"] == "withheld":
        return []
    await connection.execute(_SQL["set_verdict"], row["id"], "withheld")
    await _record(connection, "quarantine_withheld", row, now)
    await _tell_holders(connection, row, place, now)
    share = f"{faults.SHARE_MAX:.0%}"
    return [
        f"did not set aside {place}, {faults.spoken(row['kind'], row['code'])}: over {share} of its pool are already"
    ]


async def _quarantine_for(
    connection: Connection, row: Row, place: Place, meaning: Meaning, now: datetime, clean_seconds: int
) -> list[int]:
    quarantine = Quarantine(
        id=uuid4(),
        cluster=place.cluster,
        node=place.node,
        ordinal=place.ordinal,
        remedy=meaning.remedy,
        reason=f"{faults.spoken(row['kind'], row['code'])} on GPU {row['ordinal']}",
        begun_by=ACTOR,
        begun_at=now,
        fault_id=row["id"],
        clean_seconds=clean_seconds if meaning.is_seen_to_mend else None,
    )
    return await _write(connection, quarantine, now)


async def _tell_holders(connection: Connection, row: Row, place: Place, now: datetime) -> list[int]:
    """People whose lease is on it are told; nothing of theirs is ended."""
    what = f"{faults.spoken(row['kind'], row['code'])} on GPU {row['ordinal']} of {row['node']}"
    message = f"a device that your lease holds has reported a fault: {what}; what runs there may fail"
    messages: list[int] = []
    for lease in await connection.fetch(_SQL["leases_at"], place.cluster, place.node, place.ordinal):
        kind = f"{FAULT_NOTICE}_{row['id']}"
        messages += await idleness.tell(connection, lease["gpr_id"], kind, message, now)
        detail = {"node": row["node"], "ordinal": row["ordinal"], "kind": row["kind"], "code": row["code"]}
        await events.record(
            connection, now, "gpu_fault", gpr_id=lease["gpr_id"], fence=lease["fence"], actor=ACTOR, detail=detail
        )
    return messages


# --- quarantine -------------------------------------------------------------------------------------------------------


async def quarantine(connection: Connection, place: Place, reason: str, actor: str, now: datetime) -> list[int]:
    """Set a GPU, or a node's, aside until somebody lifts it. AlreadyExists where it is. The messages to deliver."""
    await connection.execute(_SQL["lock"])
    wish = Quarantine(
        id=uuid4(),
        cluster=place.cluster,
        node=place.node,
        ordinal=place.ordinal,
        remedy=faults.Remedy.NONE,
        reason=reason or "by an administrator",
        begun_by=actor,
        begun_at=now,
    )
    messages = await _write(connection, wish, now)
    if not messages:
        raise AlreadyExists(f"{place} is set aside already")
    return messages


async def lift(connection: Connection, place: Place, actor: str, now: datetime) -> list[int]:
    """Let a GPU be used again, and its node if that was set aside as a whole. Repeating it changes nothing."""
    await connection.execute(_SQL["lock"])
    lifted = [
        await _lift(connection, row["id"], actor, now)
        for row in await connection.fetch(_SQL["open_at"], place.cluster, place.node, place.ordinal)
    ]
    return await outbox.put_all(connection, [kick_arbiter()]) if any(lifted) else []


async def unfinished(connection: Connection) -> list[UUID]:
    """Quarantines whose recovery must be running somewhere."""
    return [row["id"] for row in await connection.fetch(_SQL["unfinished"])]


async def _write(connection: Connection, wish: Quarantine, now: datetime) -> list[int]:
    written = await connection.fetchval(
        _SQL["quarantine"],
        wish.id,
        wish.cluster,
        wish.node,
        wish.ordinal,
        wish.remedy,
        wish.reason,
        wish.fault_id,
        wish.begun_by,
        wish.begun_at,
        wish.clean_seconds,
    )
    if written is None:
        return []
    detail = {"cluster": wish.cluster, "node": wish.node, "ordinal": wish.ordinal, "why": wish.reason}
    await events.record(connection, now, "gpu_quarantined", actor=wish.begun_by, detail=detail)
    messages = [kick_arbiter()]
    if wish.clean_seconds is not None:
        messages.append(start_recovery(str(wish.id)))
    return await outbox.put_all(connection, messages)


async def _lift(connection: Connection, quarantine_id: UUID, actor: str, now: datetime) -> bool:
    row = await connection.fetchrow(_SQL["lift"], quarantine_id, now, actor)
    if row is None:
        return False
    detail = {"cluster": row["cluster"], "node": row["node"], "ordinal": row["ordinal"]}
    await events.record(connection, now, "gpu_quarantine_lifted", actor=actor, detail=detail)
    return True


# --- recovery ---------------------------------------------------------------------------------------------------------


async def recovery(connection: Connection, quarantine_id: UUID) -> Recovery:
    """A quarantine as it stands, or NotFound."""
    row = await connection.fetchrow(_SQL["recovery"], quarantine_id)
    if row is None:
        raise NotFound(f"there is no quarantine {quarantine_id}")
    return Recovery(
        id=row["id"],
        place=Place(row["cluster"], row["node"], row["ordinal"]),
        ordinals=tuple(row["ordinals"]),
        is_open=row["lifted_at"] is None,
        is_held=row["is_held"],
        has_agent=row["has_agent"],
        clean_seconds=row["clean_seconds"],
        clean_since=row["clean_since"],
        waits_for=row["waits_for"],
    )


async def look(
    connection: Connection, quarantine_id: UUID, complaints: Sequence[str], now: datetime
) -> tuple[Recovery, list[int]]:
    """Lift it if all has been clean for long enough; else write what it waits for. The messages to deliver."""
    await connection.execute(_SQL["lock"])
    await connection.fetchval(_SQL["hold"], quarantine_id)
    standing = await recovery(connection, quarantine_id)
    if not standing.is_open or standing.clean_seconds is None:
        return standing, []
    rows = await connection.fetch(_SQL["readings"], quarantine_id, now - FRESH)
    waits_for = _unclean(standing, rows, complaints)
    if waits_for:
        await connection.execute(_SQL["waits"], quarantine_id, None, waits_for)
        return await recovery(connection, quarantine_id), []
    # another fault is another begin, also when nobody has judged it yet
    since = max([standing.clean_since or now, *(row["fault_at"] for row in rows if row["fault_at"])])
    if (now - since).total_seconds() >= standing.clean_seconds:
        await _lift(connection, quarantine_id, ACTOR, now)
        messages = await outbox.put_all(connection, [kick_arbiter()])
        return await recovery(connection, quarantine_id), messages
    left = f"readings are clean since {since:%Y-%m-%d %H:%M:%S} UTC; {standing.clean_seconds} s are wanted"
    await connection.execute(_SQL["waits"], quarantine_id, since, left)
    return await recovery(connection, quarantine_id), []


def _unclean(standing: Recovery, rows: Sequence[Row], complaints: Sequence[str]) -> str:
    """What keeps it from being well, in words."""
    if standing.is_held:
        return "a lease holds it"
    if complaints:
        return "; ".join(complaints)
    unread = [f"GPU {row['ordinal']}" for row in rows if row["read_at"] is None]
    if unread or not rows:
        return f"no readings of {', '.join(unread) or 'any GPU'}"
    return ""


# --- what people see --------------------------------------------------------------------------------------------------


async def gpus(
    connection: Connection,
    now: datetime,
    *,
    cluster: str | None = None,
    node: str | None = None,
    gpu_id: int | None = None,
) -> list[GpuNow]:
    """GPUs as their agents know them, with their newest reading, by cluster, node and place."""
    rows = await connection.fetch(_SQL["gpus"], now - FRESH, cluster, node, gpu_id)
    return [_gpu(row) for row in rows]


async def place_of(connection: Connection, gpu_id: int) -> Place:
    """Where a GPU is, or NotFound."""
    row = await connection.fetchrow(_SQL["gpu"], gpu_id)
    if row is None:
        raise NotFound(f"there is no GPU {gpu_id}")
    return Place(row["cluster"], row["node"], row["ordinal"])


async def faults_of(connection: Connection, gpu_id: int, *, limit: int, before: int = NEWEST) -> list[GpuFault]:
    """What a GPU has reported, newest first."""
    rows = await connection.fetch(_SQL["faults"], gpu_id, before, limit)
    return [_fault(row) for row in rows]


async def quarantines_of(connection: Connection, place: Place, *, limit: int) -> list[Quarantine]:
    """When a GPU, or its node, was set aside, newest first."""
    rows = await connection.fetch(_SQL["quarantines"], place.cluster, place.node, place.ordinal, limit)
    return [_quarantine(row) for row in rows]


async def _record(connection: Connection, kind: str, row: Row, now: datetime) -> None:
    detail = {
        "cluster": row["cluster"],
        "node": row["node"],
        "ordinal": row["ordinal"],
        "kind": row["kind"],
        "code": row["code"],
    }
    await events.record(connection, now, kind, actor=ACTOR, detail=detail)


def _fault(row: Row) -> GpuFault:
    meaning = faults.meaning_of(row["kind"], row["code"])
    return GpuFault(
        id=row["id"],
        at=row["at"],
        kind=row["kind"],
        code=row["code"],
        detail=row["detail"],
        remedy=meaning.remedy,
        verdict=row["verdict"] or "",
    )


def _quarantine(row: Row) -> Quarantine:
    return Quarantine(
        id=row["id"],
        cluster=row["cluster"],
        node=row["node"],
        ordinal=row["ordinal"],
        remedy=faults.Remedy(row["remedy"]),
        reason=row["reason"],
        begun_by=row["begun_by"],
        begun_at=row["begun_at"],
        fault_id=row["fault_id"],
        clean_seconds=row["clean_seconds"],
        waits_for=row["waits_for"],
        lifted_by=row["lifted_by"],
        lifted_at=row["lifted_at"],
    )


def _gpu(row: Row) -> GpuNow:
    reading = Reading(
        at=row["read_at"],
        utilisation_percent=row["utilisation_percent"],
        memory_used_mib=row["memory_used_mib"],
        temperature_celsius=row["temperature_celsius"],
        power_watts=row["power_watts"],
        processes=row["processes"],
    )
    quarantined = row["quarantine_id"] is not None
    return GpuNow(
        id=row["id"],
        cluster=row["cluster"],
        node=row["node"],
        ordinal=row["ordinal"],
        uuid=row["uuid"],
        product=row["product"],
        memory_mib=row["memory_mib"],
        mig_profile=row["mig_profile"],
        parent_uuid=row["parent_uuid"],
        seen_at=row["seen_at"],
        reading=reading if row["read_at"] is not None else None,
        set_aside_because=row["quarantine_reason"] if quarantined else "",
        remedy=faults.Remedy(row["quarantine_remedy"]) if quarantined else faults.Remedy.NONE,
        set_aside_at=row["quarantine_begun_at"],
        set_aside_by=row["quarantine_begun_by"] or "",
        waits_for=row["quarantine_waits_for"] or "",
        holder_gpr=row["holder_gpr"] or "",
        holder_workspace=row["holder_workspace"] or "",
    )
