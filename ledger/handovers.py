"""How long GPUs take from one lease to the next, as leases that are over have shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain.handover import USUAL, Handover, Seen, learnt
from ledger.statements import load

if TYPE_CHECKING:
    from datetime import datetime

    from ledger.connection import Connection, Ledger

_SQL = load("handovers")

LESSONS_MAX: Final = 200
"""The newest: what runs here changes."""


async def known(connection: Connection) -> Handover:
    """What plans allow for now."""
    row = await connection.fetchrow(_SQL["known"])
    return Handover(**row) if row else USUAL


async def learn(ledger: Ledger, now: datetime) -> Handover | None:
    """Look at the newest leases. What plans allow for from now on, where that changes."""
    async with ledger.transaction() as connection:
        before = await known(connection)
        row = await connection.fetchrow(_SQL["newest"], LESSONS_MAX)
        assert row is not None
        after = learnt(before, Seen(row["leases"], row["provisioning"] or 0, row["teardown"] or 0))
        if after == before:
            return None
        await connection.execute(_SQL["keep"], after.provisioning_seconds, after.teardown_seconds, now)
    return after
