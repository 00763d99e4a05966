"""Every start that was ever shown, held against what became of it. Written by the estimate pass (`ledger/arbitration.py`)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from domain.honesty import HORIZON_NAMES, HORIZONS, Accuracy, ShownEstimate
from ledger.statements import load

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from ledger.connection import Connection, Ledger

_SQL = load("honesty")

KEPT: Final = timedelta(days=30)
KEPT_MAX: Final = 2_000_000
"""Of a queue that is long and restless, the newest."""
FORGOTTEN_AT_ONCE: Final = 20_000
LESSONS_MAX: Final = 2_000
JUDGED_MAX: Final = 100_000
"""Estimates that one answer looks at, the newest."""


async def settle(connection: Connection, gpr_id: UUID, started_at: datetime) -> list[ShownEstimate]:
    """It has started: hold that against all that was shown of it. What was settled before is not answered again."""
    return [ShownEstimate(**row) for row in await connection.fetch(_SQL["settle"], gpr_id, started_at)]


async def lessons(connection: Connection) -> list[tuple[float, float]]:
    """(seconds ahead that a start was said to be, seconds after which it came), oldest first."""
    rows = await connection.fetch(_SQL["lessons"], LESSONS_MAX)
    return [(row["ahead"], row["waited"]) for row in reversed(rows)]


async def accuracy(connection: Connection, since: datetime) -> list[Accuracy]:
    """How far off estimates were of what has started since then, by horizon; horizons without any are left out."""
    rows = await connection.fetch(_SQL["accuracy"], since, list(HORIZONS), JUDGED_MAX)
    return [
        Accuracy(
            HORIZON_NAMES[row["horizon"]],
            row["shown"],
            row["median_seconds"],
            row["p90_seconds"],
            row["inside_share"],
        )
        for row in rows
    ]


async def forget_old(ledger: Ledger, now: datetime) -> None:
    """Drop some of what is too old, or too much, to be judged by."""
    async with ledger.transaction() as connection:
        await connection.execute(_SQL["forget_old"], now - KEPT, FORGOTTEN_AT_ONCE)
        await connection.execute(_SQL["forget_many"], KEPT_MAX, FORGOTTEN_AT_ONCE)
