"""What people look at: lists across workspaces, histories, notices. Nothing here changes anything.

Lists are read by keyset: a page costs the same at the beginning and at the end of a long history.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from domain.failures import NotFound
from domain.gpr import TERMINAL, Phase
from domain.history import Event, Notice
from ledger.gprs import NEWEST, gpr_of
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from domain.gpr import Gpr
    from ledger.connection import Connection, Row

_SQL = load("reading")
_EVENTS = load("events")

ALL_PHASES: Final = frozenset(Phase)


@dataclass(frozen=True, slots=True)
class Spelling:
    """A shape and an instance type in the inventory's spelling, and the shape's word where it names an instance type."""

    shape: str
    shape_as_type: str
    instance_type: str


async def workspace_ids_of(connection: Connection, principal_id: UUID) -> list[UUID]:
    """Workspaces of which the principal is, or was to their end, a member."""
    return [row["workspace_id"] for row in await connection.fetch(_SQL["workspace_ids_of"], principal_id)]


async def workspace_names_of(connection: Connection, principal_id: UUID) -> frozenset[str]:
    """Names in use of the workspaces of which the principal is a member."""
    return frozenset(row["name"] for row in await connection.fetch(_SQL["workspace_names_of"], principal_id))


async def names_of_workspaces(connection: Connection, ids: Collection[UUID]) -> dict[str, str]:
    """The names of these workspaces, by id."""
    return {row["id"]: row["name"] for row in await connection.fetch(_SQL["names_of_workspaces"], list(ids))}


async def gpr_page(
    connection: Connection,
    workspace_ids: Collection[UUID] | None,
    *,
    phases: Collection[Phase] = ALL_PHASES,
    limit: int,
    before: int = NEWEST,
) -> list[Gpr]:
    """Gprs of these workspaces, or of all for None, newest first; `before`: sequence of the last one seen."""
    live = not TERMINAL & set(phases)
    keyset = (before, list(phases), limit)
    if workspace_ids is None:
        rows = await connection.fetch(_SQL["live_gpr_ids" if live else "gpr_ids"], *keyset)
    else:
        rows = await connection.fetch(_SQL["live_gpr_ids_in" if live else "gpr_ids_in"], *keyset, list(workspace_ids))
    return await gprs_of(connection, [row["id"] for row in rows])


async def gprs_of(connection: Connection, ids: Collection[UUID]) -> list[Gpr]:
    """These Gprs, newest first."""
    return [gpr_of(row) for row in await connection.fetch(_SQL["gprs"], list(ids))]


async def held_phase(connection: Connection, gpr_id: UUID) -> Phase:
    """The phase of a Gpr, which then stays what it is until the transaction ends."""
    phase = await connection.fetchval(_SQL["hold_gpr"], gpr_id)
    if phase is None:
        raise NotFound(f"there is no Gpr {gpr_id}")
    return Phase(phase)


async def events_of_gpr(connection: Connection, gpr_id: UUID, *, limit: int, after: int = 0) -> list[Event]:
    """What was decided about a Gpr, oldest first; `after`: id of the last event seen."""
    return [_event(row, gpr_id) for row in await connection.fetch(_EVENTS["of_gpr"], gpr_id, after, limit)]


async def events_since(connection: Connection, *, limit: int, after: int = 0) -> list[Event]:
    """What was decided about anything, oldest first."""
    return [
        _event(row, row["gpr_id"], row["workspace_id"])
        for row in await connection.fetch(_EVENTS["since"], after, limit)
    ]


async def notices_of_gpr(connection: Connection, gpr_id: UUID) -> list[Notice]:
    """What its people are, were, or were to be told."""
    return [Notice(**row) for row in await connection.fetch(_SQL["notices_of"], gpr_id)]


async def active_fence(connection: Connection, workspace_id: UUID, cluster: str) -> int | None:
    """Fence of the lease that is active for this workspace on this cluster."""
    fence: int | None = await connection.fetchval(_SQL["active_fence"], workspace_id, cluster)
    return fence


async def hardware_spelling(connection: Connection, shape: str, instance_type: str) -> Spelling:
    """These words as the inventory spells them; "" for what no node has."""
    row = await connection.fetchrow(_SQL["hardware_spelling"], shape, instance_type)
    assert row is not None
    return Spelling(row["shape"] or "", row["shape_as_type"] or "", row["instance_type"] or "")


def _event(row: Row, gpr_id: UUID | None, workspace_id: UUID | None = None) -> Event:
    return Event(
        id=row["id"],
        at=row["at"],
        kind=row["kind"],
        gpr_id=gpr_id,
        workspace_id=workspace_id,
        fence=row["fence"],
        actor=row["actor"],
        detail=row["detail"],
    )
