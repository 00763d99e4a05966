"""How each part is that the API stands on.

Probes and people ask without a login, so an answer is shared by those who ask at the same moment and kept for a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from domain.failures import Unavailable
from ledger import inventory, outbox

if TYPE_CHECKING:
    from api.backends import Backends
    from domain.hardware import Cluster

ASK_SECONDS_MAX: Final = 3.0
KEPT_SECONDS: Final = 1.0
BACKLOG_SECONDS_MAX: Final = 30.0
"""Messages older than this mean that neither the API nor the relay gets through."""


class State(StrEnum):
    """How a part is."""

    OK = "ok"
    DEGRADED = "degraded"
    """It works, but not all of it, or late."""
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class Part:
    """One part, and in words what is wrong with it."""

    state: State
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """All parts at one moment."""

    at: datetime
    ledger: Part
    temporal: Part
    undelivered: Part
    backlog: outbox.Backlog | None
    clusters: dict[str, Part]

    @property
    def state(self) -> State:
        """Away without the ledger, degraded where anything else is not well."""
        if self.ledger.state is State.AWAY:
            return State.AWAY
        parts = (self.temporal, self.undelivered, *self.clusters.values())
        return State.OK if all(part.state is State.OK for part in parts) else State.DEGRADED


class Checkup:
    """Asks each part at most once a second, however many want to know."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends
        self._asking = asyncio.Lock()
        self._known: Health | None = None
        self._known_until = 0.0

    async def health(self) -> Health:
        """Each part's state, at most a second old."""
        async with self._asking:
            now = asyncio.get_running_loop().time()
            if self._known is None or now >= self._known_until:
                self._known = await _ask(self._backends)
                self._known_until = asyncio.get_running_loop().time() + KEPT_SECONDS
            return self._known

    async def ready(self) -> bool:
        """Whether requests can be served: the ledger answers."""
        return (await self.health()).ledger.state is not State.AWAY


async def _ask(backends: Backends) -> Health:
    (ledger, clusters), temporal, (undelivered, backlog) = await asyncio.gather(
        _ledger(backends), _part(backends.courier.ping()), _backlog(backends)
    )
    return Health(
        at=backends.clock(),
        ledger=ledger,
        temporal=temporal,
        undelivered=undelivered,
        backlog=backlog,
        clusters={one.name: _cluster(one) for one in clusters},
    )


async def _ledger(backends: Backends) -> tuple[Part, list[Cluster]]:
    found: list[Cluster] = []

    async def look() -> None:
        async with backends.ledger.reading() as connection:
            found.extend(await inventory.clusters(connection))

    return await _part(look()), found


async def _backlog(backends: Backends) -> tuple[Part, outbox.Backlog | None]:
    found: list[outbox.Backlog] = []

    async def look() -> None:
        found.append(await outbox.backlog(backends.ledger))

    part = await _part(look())
    backlog = found[0] if found else None
    if backlog is not None and backlog.oldest_seconds > BACKLOG_SECONDS_MAX:
        detail = f"{backlog.waiting} messages undelivered, the oldest for {backlog.oldest_seconds:.0f} s"
        part = Part(State.DEGRADED, detail)
    return part, backlog


async def _part(question: Awaitable[None]) -> Part:
    try:
        async with asyncio.timeout(ASK_SECONDS_MAX):
            await question
    except Unavailable as failure:
        return Part(State.AWAY, failure.message)
    except TimeoutError:
        return Part(State.AWAY, f"no answer within {ASK_SECONDS_MAX:.0f} s")
    return Part(State.OK)


def _cluster(cluster: Cluster) -> Part:
    if cluster.away_since is not None:
        return Part(State.AWAY, f"does not answer since {cluster.away_since:%Y-%m-%dT%H:%M:%SZ}")
    if not cluster.sufficient:
        return Part(State.DEGRADED, "; ".join(cluster.lacks))
    return Part(State.OK)
