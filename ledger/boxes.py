"""Boxes in the ledger: who may enter each, whether Jupyter runs in it, and what it has been told. The rest is its job's.

What a box is to know moves with its Gpr's version: whoever changes it makes a new version and tells the lifecycle.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from domain.box import Box, BoxOrders, Person
from domain.failures import AlreadyExists, NotFound
from domain.gpr import Phase
from domain.messages import CHANGED_SIGNAL, EXTENDED_SIGNAL, kick_arbiter, start_gpr, tell_gpr
from ledger import events, gprs, jobs, lifecycle, outbox
from ledger.sealing import KEYRING, NoSecretsKey
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from domain.box import BoxStatus
    from domain.gpr import GprRequest
    from domain.job import Job, JobSpec
    from ledger.connection import Connection, Row

_SQL = load("boxes")
SECONDS_PER_HOUR = 3600
_ID_DIGITS = 32
_SEAL = "sealed:"
"""So begins a token as it is kept; none that is not sealed has a colon."""
ID_TAKEN = "the id is in use; choose another one, or none"


@dataclass(frozen=True, slots=True)
class Begun:
    """How a box began: who asked for it, for what, and the message that told of it first."""

    owner_id: UUID
    request_hash: bytes
    message_id: int


async def submit(  # noqa: PLR0913, PLR0917 - one argument for each thing that only the caller knows
    connection: Connection,
    gpr_id: UUID,
    workspace_id: UUID,
    submitted_by: UUID,
    request: GprRequest,
    spec: JobSpec,
    options: dict[str, object],
    github_user: str,
    keys: Sequence[str],
    jupyter_wanted: bool,  # noqa: FBT001 - a column
    now: datetime,
    *,
    jupyter_token: str = "",
    request_hash: bytes = b"",
) -> list[int]:
    """Write a new queued box, and who owns it; the ids of the messages to deliver after the commit.

    AlreadyExists for an id in use; the transaction is of no more use then. NoSecretsKey as of a job with variables.
    """
    try:
        await gprs.insert(connection, gpr_id, workspace_id, submitted_by, request, options, now)
        await jobs.insert(connection, gpr_id, workspace_id, spec)
    except (asyncpg.UniqueViolationError, AlreadyExists) as error:
        raise AlreadyExists(ID_TAKEN) from error
    row = (gpr_id, submitted_by, github_user, jupyter_wanted, _sealed(jupyter_token), request_hash)
    await connection.execute(_SQL["insert"], *row)
    if github_user:
        await connection.execute(_SQL["add_person"], gpr_id, github_user.lower(), True, [], now)
    if keys:
        await connection.execute(_SQL["add_person"], gpr_id, "", True, list(keys), now)
    messages = await outbox.put_all(connection, [start_gpr(str(gpr_id), is_job=True, is_box=True), kick_arbiter()])
    await connection.execute(_SQL["set_message"], gpr_id, messages[0])
    return messages


async def begun(connection: Connection, gpr_id: UUID) -> Begun | None:
    """How the box with this id began; None where the id is free. AlreadyExists where it is something else's."""
    row = await connection.fetchrow(_SQL["begun"], gpr_id)
    if row is None:
        return None
    if row["owner_id"] is None:
        raise AlreadyExists(ID_TAKEN)
    return Begun(row["owner_id"], row["request_hash"], row["message_id"])


async def find(connection: Connection, gpr_id: UUID) -> Box:
    """One box, or NotFound."""
    found = await _boxes(connection, [await jobs.find(connection, gpr_id)])
    if not found:
        raise NotFound(f"there is no box {gpr_id}")
    return found[0]


async def page(
    connection: Connection,
    principal_id: UUID,
    statuses: Collection[BoxStatus] | None,
    limit: int,
    offset: int,
    *,
    workspace_id: UUID | None = None,
) -> tuple[list[Box], int]:
    """Boxes that somebody asked for, newest first, of these statuses or of all; and how many such there are in all.

    With a workspace only those in it.
    """
    wanted = None if statuses is None else list(statuses)
    rows = await connection.fetch(_SQL["page"], principal_id, wanted, limit, offset, workspace_id)
    if not rows and offset:  # beyond the last one: any page tells how many there are
        first = await connection.fetchrow(_SQL["page"], principal_id, wanted, 1, 0, workspace_id)
        return [], first["total"] if first else 0
    found = await _boxes(connection, await jobs.all_of(connection, [row["id"] for row in rows]))
    return found, rows[0]["total"] if rows else 0


async def id_by_prefix(connection: Connection, principal_id: UUID, prefix: str) -> UUID | None:
    """The one box of this principal whose id begins with these hexadecimal digits; None where there is none, or more."""
    digits = prefix.replace("-", "")
    first, last = (UUID(digits.ljust(_ID_DIGITS, filler)) for filler in "0f")
    rows = await connection.fetch(_SQL["ids_by_prefix"], principal_id, first, last)
    return rows[0]["gpr_id"] if len(rows) == 1 else None


async def want_jupyter(
    connection: Connection,
    gpr_id: UUID,
    wanted: bool,  # noqa: FBT001 - a column
    token: str,
    now: datetime,
) -> list[int]:
    """Have Jupyter run or not; with this token, unless it has one. The ids of the messages to deliver.

    NoSecretsKey where it is to run and this process has no key to seal the token with.
    """
    await connection.execute(_SQL["want_jupyter"], gpr_id, wanted, _sealed(token) if wanted else "")
    await events.record(connection, now, "jupyter_wanted", gpr_id=gpr_id, detail={"wanted": wanted})
    return await _changed(connection, gpr_id)


async def add_person(connection: Connection, gpr_id: UUID, name: str, now: datetime) -> list[int]:
    """Let somebody in, by their name on GitHub. Repeating it tries again if there are no keys yet."""
    await connection.execute(_SQL["add_person"], gpr_id, name.lower(), False, [], now)
    await events.record(connection, now, "person_added", gpr_id=gpr_id, detail={"name": name.lower()})
    return await _changed(connection, gpr_id)


async def extend(connection: Connection, box: Box, hours: int, now: datetime, actor: str) -> list[int]:
    """Have it last longer; the ids of the messages to deliver. WrongPhase for one that is not provisioned or active."""
    gpr = box.job.gpr
    if gpr.phase is Phase.PROVISIONING:
        after = await lifecycle.lengthen(connection, gpr.id, hours * SECONDS_PER_HOUR, now, actor)
    else:
        later = (gpr.end_at or now) + timedelta(hours=hours)
        after = await lifecycle.move_end(connection, gpr.id, later, now, actor)
    await connection.execute(_SQL["extended"], gpr.id, hours)
    return await outbox.put_all(connection, [tell_gpr(EXTENDED_SIGNAL, after), kick_arbiter()])


async def people_without_keys(connection: Connection, gpr_id: UUID) -> list[str]:
    """Names on GitHub of those who may enter and whose keys are not here, also if that was tried before."""
    return [row["name"] for row in await connection.fetch(_SQL["without_keys"], gpr_id)]


async def cached_keys(connection: Connection, name: str, since: datetime) -> tuple[str, ...] | None:
    """Somebody's keys as they were fetched last, for any box, if that was not before `since`."""
    keys = await connection.fetchval(_SQL["cached_keys"], name.lower(), since)
    return None if keys is None else tuple(keys)


async def write_keys(
    connection: Connection, gpr_id: UUID, name: str, keys: Sequence[str], failure: str, now: datetime
) -> None:
    """Write somebody's keys, or why there are none. What is news is a new version of the Gpr, of which its caller tells."""
    version = await connection.fetchval(_SQL["lock"], gpr_id)
    if version is None:
        raise NotFound(f"there is no box {gpr_id}")
    row = (gpr_id, name.lower(), list(keys), failure, now, version + 1)
    if await connection.fetchval(_SQL["write_keys"], *row) is not None:
        await connection.execute(_SQL["changed"], gpr_id)


async def orders(connection: Connection, gpr_id: UUID, now: datetime) -> BoxOrders:
    """All that the box is to know now. NoSecretsKey where this process cannot open it."""
    jupyter = await connection.fetchrow(_SQL["jupyter"], gpr_id)
    if jupyter is None:
        raise NotFound(f"there is no box {gpr_id}")
    keys = [key for row in await connection.fetch(_SQL["authorized_keys"], gpr_id) for key in row["keys"]]
    told = await connection.fetch(_SQL["notices"], gpr_id, now)
    return BoxOrders(
        authorized_keys=tuple(dict.fromkeys(keys)),
        jupyter_token=_opened(jupyter["jupyter_token"]) if jupyter["jupyter_wanted"] else "",
        notices=tuple(row["message"] for row in told),
    )


async def told(connection: Connection, gpr_id: UUID, version: int, now: datetime) -> None:
    """The box knows what was to be known at this version of its Gpr, if not more."""
    await connection.execute(_SQL["told"], gpr_id, version)
    await connection.execute(_SQL["told_people"], gpr_id, version, now)


async def tell(connection: Connection, gpr_id: UUID) -> list[int]:
    """Have a box told of what is new in the ledger; the ids of the messages to deliver. Nothing where it is no box."""
    if await connection.fetchval(_SQL["jupyter"], gpr_id) is None:
        return []
    return await _changed(connection, gpr_id)


async def _changed(connection: Connection, gpr_id: UUID) -> list[int]:
    await connection.execute(_SQL["changed"], gpr_id)
    standing = await lifecycle.standing(connection, gpr_id)
    return [await outbox.put(connection, tell_gpr(CHANGED_SIGNAL, standing))]


async def _boxes(connection: Connection, found: list[Job]) -> list[Box]:
    ids = [job.gpr.id for job in found]
    own = {row["gpr_id"]: row for row in await connection.fetch(_SQL["of_gprs"], ids)}
    people = defaultdict(list)
    for row in await connection.fetch(_SQL["people"], ids):
        people[row["gpr_id"]].append(_person(row))
    return [_box(own[job.gpr.id], job, people[job.gpr.id]) for job in found if job.gpr.id in own]


def _box(row: Row, job: Job, people: list[Person]) -> Box:
    return Box(
        job=job,
        github_user=row["github_user"],
        disk_id=row["disk_id"],
        disk_name=row["disk_name"],
        grace_seconds=row["grace_seconds"],
        jupyter_wanted=row["jupyter_wanted"],
        jupyter_token=_shown(row),
        people=tuple(people),
        extended_hours=row["extended_hours"],
    )


def _sealed(token: str) -> str:
    return f"{_SEAL}{KEYRING.seal(token)}" if token else ""


def _opened(kept: str) -> str:
    """As it was written. Rows of before tokens were sealed have them as they are."""
    return KEYRING.opened(kept.removeprefix(_SEAL)) if kept.startswith(_SEAL) else kept


def _shown(row: Row) -> str:
    """Where it cannot be opened nobody is led to Jupyter, but the box is still theirs to see."""
    try:
        return _opened(row["jupyter_token"])
    except NoSecretsKey:
        return ""


def _person(row: Row) -> Person:
    return Person(
        name=row["name"],
        is_owner=row["is_owner"],
        keys=tuple(row["keys"]),
        fetched_at=row["fetched_at"],
        told_at=row["told_at"],
        failure=row["failure"],
    )
