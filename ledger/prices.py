"""The price list, and what Gprs have cost by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.prices import Price
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal
    from uuid import UUID

    from ledger.connection import Connection

_SQL = load("prices")


async def prices(connection: Connection) -> list[Price]:
    """Every price that was ever set, by shape and time."""
    return [Price(**row) for row in await connection.fetch(_SQL["all"])]


async def set_price(connection: Connection, price: Price) -> None:
    """Let it count from its instant on; an earlier one of the same instant is replaced."""
    await connection.execute(_SQL["set"], price.shape, price.starts_at, price.per_gpu_hour, price.set_by, price.set_at)


async def costs(connection: Connection, gpr_ids: Sequence[UUID], now: datetime) -> Mapping[UUID, Decimal]:
    """What each has cost until now, or in all; those that never ran, or have no price, are left out."""
    if not gpr_ids:
        return {}
    return {row["id"]: row["cost"] for row in await connection.fetch(_SQL["costs"], list(gpr_ids), now)}
