"""A workspace that goes takes its workloads with it some at a time, and in the end they are as if it had been all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.gpr import EndCause
from domain.workspace import WorkspacePhase
from ledger import lifecycle, workloads, workspaces
from tests.builders import a_gpr, a_workspace, now

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from ledger.connection import Ledger

ROWS = "select is_deleted, deleted_at, name from workload where workspace_id = $1 order by sequence"
NAMES = ("a", "b", "c")


async def over(ledger: Ledger) -> UUID:
    """A workspace with workloads that could not start in their time, and with no others."""
    workspace_id = await a_workspace(ledger)
    for name in NAMES:
        gpr_id = await a_gpr(ledger, workspace_id, exclusive=False, name=name)
        async with ledger.transaction() as connection:
            await lifecycle.begin_release(connection, gpr_id, EndCause.MISSED, now())
    return workspace_id


async def going(ledger: Ledger, workspace_id: UUID) -> None:
    async with ledger.transaction() as connection:
        await workspaces.begin_delete(connection, workspace_id, now(), "ada")


async def some(ledger: Ledger, workspace_id: UUID, at: datetime) -> bool:
    async with ledger.transaction() as connection:
        return await workloads.delete_some(connection, workspace_id, at, at_once=2)


async def deleted(ledger: Ledger, workspace_id: UUID) -> list[tuple[bool, datetime | None, str]]:
    async with ledger.reading() as connection:
        return [tuple(row) for row in await connection.fetch(ROWS, workspace_id)]


async def test_some_at_a_time_is_as_all_at_once(ledger: Ledger) -> None:
    many, once = await over(ledger), await over(ledger)
    at = now()
    for workspace_id in (many, once):
        await going(ledger, workspace_id)
    assert [await some(ledger, many, at) for _ in range(3)] == [True, False, False]
    assert await deleted(ledger, many) == [(True, at, name) for name in NAMES]
    for workspace_id in (many, once):
        async with ledger.transaction() as connection:
            await workspaces.to_end(connection, workspace_id, WorkspacePhase.DELETED, "", at)
        assert await deleted(ledger, workspace_id) == [(True, at, name) for name in NAMES]
    async with ledger.transaction() as connection:
        assert (
            await connection.fetchval("select sum(number) from workload_counts where not is_total and is_deleted") == 6
        )


async def test_nothing_is_deleted_with_a_workspace_that_stays(ledger: Ledger) -> None:
    workspace_id = await over(ledger)
    assert not await some(ledger, workspace_id, now())
    assert [one[0] for one in await deleted(ledger, workspace_id)] == [False] * 3


async def test_others_workloads_stay(ledger: Ledger) -> None:
    going_one, staying = await over(ledger), await over(ledger)
    await going(ledger, going_one)
    assert await some(ledger, going_one, now())
    assert [one[0] for one in await deleted(ledger, staying)] == [False] * 3
