"""What there is of each kind of GPU, and when so many would be free.

Many ask, and often. So an answer is worked out by one for all who ask meanwhile, and kept for two seconds from then on:
however long the queue is, most of the time nothing is worked out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from api.operations.estimates import PATIENCE_SECONDS, Busy
from arbitration.supply import KindSupply as KindSupply  # noqa: PLC0414 - what dialects are answered with
from arbitration.supply import Supply as Supply  # noqa: PLC0414 - likewise
from arbitration.supply import Wish as Wish  # noqa: PLC0414 - likewise
from arbitration.supply import supply, wishes
from domain.failures import Unavailable
from domain.gpu_kinds import NodeModel
from domain.limits import PoolNode
from ledger import inventory, pools

if TYPE_CHECKING:
    from api.backends import Backends
    from domain.gpu_kinds import GpuKind

SIZES: Final = (1, 2, 4, 8, 16)
"""Numbers of GPUs that people ask for."""
KEPT: Final = timedelta(seconds=2)
AT_ONCE_SECONDS: Final = 1.0
"""How long somebody waits for a start time who wants something else."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How to ask for a number of GPUs of a kind; when they could be had, as far as that is known at once."""

    wish: Wish
    starts_at: datetime | None


class AvailabilityBoard:
    """What a process knows of the supply of these kinds."""

    def __init__(self, backends: Backends, kinds: Sequence[GpuKind]) -> None:
        self._backends = backends
        self._kinds = kinds
        self._known: tuple[datetime, Supply] | None = None
        self._asking: asyncio.Task[Supply] | None = None

    async def look(self) -> Supply:
        """The supply; what was answered within the last two seconds is answered again. Raises Unavailable."""
        if self._known is not None and timedelta(0) <= self._backends.clock() - self._known[0] < KEPT:
            return self._known[1]
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._asked)
        return await asyncio.shield(self._asking)  # one who goes away does not take the answer from the others

    async def choose(self, kind: GpuKind, gpus: int) -> Choice:
        """The way to ask that starts first; any, where the plan takes too long to say which that is."""
        if kind.product:
            try:
                async with asyncio.timeout(AT_ONCE_SECONDS):
                    wish, estimate = (await self.look()).kinds[kind.name].soonest[gpus]
                return Choice(wish, estimate.starts_at)
            except (TimeoutError, Unavailable):
                pass  # the request itself is worth more than its start time
        return Choice(wishes(kind, await self._models(), gpus)[0], None)

    async def _ask(self) -> Supply:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), self._backends.planning:
                return await supply(self._backends.ledger, self._kinds, SIZES, self._backends.clock())
        except TimeoutError as error:
            raise Busy("too many estimates are being made; try again in a moment") from error

    def _asked(self, task: asyncio.Task[Supply]) -> None:
        self._asking = None
        if not task.cancelled() and task.exception() is None:
            self._known = (self._backends.clock(), task.result())

    async def _models(self) -> list[NodeModel]:
        async with self._backends.ledger.reading() as connection:
            pooled = await pools.of_nodes(connection)
            nodes = await inventory.bare_nodes(connection)
        free = [node for node in nodes if PoolNode(node.cluster, node.host) not in pooled]
        return sorted({NodeModel(node.shape, node.instance_type, node.gpus) for node in free})
