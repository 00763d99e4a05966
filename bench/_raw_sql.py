"""What PostgreSQL takes for the statements of each EGS call, through a pool as large as the API's, without the API.

The statements are the ledger's own, in its order and in as many transactions; only nobody asks who calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from domain.gpr import Phase
from domain.identifiers import external_gpr_id
from ledger.access import secret_hash
from ledger.gprs import NEWEST
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.connection import Connection, Ledger

ACCESS, EVENTS, GPRS, OUTBOX = load("access"), load("events"), load("gprs"), load("outbox")
INVENTORY, READING, WORKSPACES = load("inventory"), load("reading"), load("workspaces")

RAW = "bench-raw"
"""Workflow that the messages written here are for; nobody delivers them."""
GPR = """
insert into gpr (id, external_id, workspace_id, submitted_by, name, nodes, gpus_per_node, duration_seconds, priority,
                 exclusive, requeue_on_failure, phase, submitted_at)
select $1, $2, id, $4, 'raw', 1, 1, 3600, 101, true, true, 'queued', $5
from workspace where id = $3 and phase in ('creating', 'ready') for share returning id
"""
EVERY_PHASE = [phase.value for phase in Phase]
PAGE = 500


@dataclass(slots=True)
class RawSql:
    """One caller for whom the work is done."""

    ledger: Ledger
    principal: UUID
    key: str
    workspaces: tuple[str, str]
    """One whose list is read, one that takes what is made."""
    gpr: str
    """EGS's id of the one that is shown and changed."""
    turns: Iterator[int]

    async def login(self) -> None:
        """One look."""
        async with self.ledger.reading() as connection:
            await connection.fetchrow(ACCESS["key_by_secret"], secret_hash(self.key))

    async def create(self) -> None:
        """The Gpr, its event, two messages."""
        gpr_id, now = uuid4(), datetime.now(UTC)
        async with self.ledger.transaction() as connection:
            workspace = await self._workspace(connection, self.workspaces[1])
            await connection.fetchval(GPR, gpr_id, external_gpr_id(gpr_id), workspace, self.principal, now)
            await connection.execute(EVENTS["record"], now, "submitted", gpr_id, workspace, None, "", {})
            for _ in range(2):
                await connection.fetchval(OUTBOX["put"], RAW, "Gpr", str(gpr_id), None, None)

    async def listing(self) -> None:
        """Which rows, then the rows with what belongs to them."""
        async with self.ledger.reading() as connection:
            workspace = await self._workspace(connection, self.workspaces[0])
        async with self.ledger.reading() as connection:
            rows = await connection.fetch(READING["gpr_ids_in"], NEWEST, EVERY_PHASE, PAGE, [workspace])
            await connection.fetch(READING["gprs"], [row["id"] for row in rows])

    async def show(self) -> None:
        """The row, and its workspace."""
        async with self.ledger.reading() as connection:
            gpr_id = await connection.fetchval(GPRS["id_of_external"], self.gpr)
            await self._read(connection, gpr_id)

    async def update(self) -> None:
        """Hold it, look at it, change it, tell."""
        now = datetime.now(UTC)
        async with self.ledger.transaction() as connection:
            gpr_id = await connection.fetchval(GPRS["id_of_external"], self.gpr)
            await connection.fetchval(READING["hold_gpr"], gpr_id)
            await self._read(connection, gpr_id)
            await connection.fetchrow(GPRS["lock"], gpr_id)
            await connection.execute(GPRS["set_priority"], gpr_id, a_priority(self.turns))
            await connection.execute(EVENTS["record"], now, "priority_set", gpr_id, None, None, "raw", {})
            await connection.fetchval(OUTBOX["put"], RAW, "Arbiter", "", None, None)
            await connection.fetchrow(GPRS["one"], gpr_id)

    async def inventory(self) -> None:
        """Nodes, and who holds their GPUs."""
        async with self.ledger.reading() as connection:
            await connection.fetch(INVENTORY["holders"], None)
            await connection.fetch(INVENTORY["nodes"], None)

    async def _workspace(self, connection: Connection, name: str) -> UUID:
        row = await connection.fetchrow(WORKSPACES["in_use_by_name"], name, self.principal)
        assert row is not None
        found: UUID = row["id"]
        return found

    async def _read(self, connection: Connection, gpr_id: UUID) -> None:
        row = await connection.fetchrow(GPRS["one"], gpr_id)
        assert row is not None
        await connection.fetchrow(WORKSPACES["one"], row["workspace_id"], self.principal)


def a_priority(turns: Iterator[int]) -> int:
    """Another one than the last time."""
    return 101 + next(turns) % 100


def turns() -> Iterator[int]:
    """Counts."""
    return count()
