"""How many requests there are, of everybody together: numbers that anybody may know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.statements import load

if TYPE_CHECKING:
    from ledger.connection import Connection

_SQL = load("census")


@dataclass(frozen=True, slots=True)
class LiveCounts:
    """What waits or holds GPUs. Preparing: it has them and cannot be used yet."""

    queued: int
    preparing: int
    active: int


async def live(connection: Connection) -> LiveCounts:
    """All that lives, whosever it is."""
    row = await connection.fetchrow(_SQL["live"])
    assert row is not None
    return LiveCounts(row["queued"], row["preparing"], row["active"])
