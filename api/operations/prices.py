"""The price list: everybody sees it, administrators set it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from api.operations.permission import require_administrator
from domain.failures import InvalidRequest
from domain.prices import Price
from ledger import prices, reading

if TYPE_CHECKING:
    from api.operations.call import Call


@dataclass(frozen=True, slots=True)
class NewPrice:
    """A price to be set. `starts_at` None: from now on. `per_gpu_hour` None: no price from then on."""

    shape: str
    per_gpu_hour: Decimal | None
    starts_at: datetime | None = None


async def listing(call: Call) -> list[Price]:
    """Every price, by shape and time."""
    async with call.backends.ledger.reading() as connection:
        return await prices.prices(connection)


async def set_price(call: Call, wish: NewPrice) -> Price:
    """Let a price count from its instant on. Repeating it changes nothing but who set it last."""
    require_administrator(call)
    async with call.backends.ledger.transaction() as connection:
        shape = (await reading.hardware_spelling(connection, wish.shape, "")).shape
        if not shape:
            raise InvalidRequest(f"no node has the shape {wish.shape!r}")
        price = Price(shape, wish.starts_at or call.now, wish.per_gpu_hour, call.actor, call.now)
        await prices.set_price(connection, price)
    return price
