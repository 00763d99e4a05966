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
OLD_SECONDS: Final = 2.0
"""An answer that is older is not given; who asks waits for a new one."""
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
    """Asks each part about once a second at most, however many want to know.

    Who asks often is answered at once with what was found last, while it is looked anew: a part that is slow or away
    holds up nobody who has just heard.
    """

    def __init__(self, backends: Backends) -> None:
        self._backends = backends
        self._look: asyncio.Task[Health] | None = None
        self._found: Health | None = None
        self._found_at = 0.0

    async def health(self) -> Health:
        """Each part's state, at most two seconds old."""
        return await self._no_older_than(OLD_SECONDS)

    async def ready(self) -> bool:
        """Whether requests can be served: the ledger answered within the last second."""
        return (await self._no_older_than(KEPT_SECONDS)).ledger.state is not State.AWAY

    async def _no_older_than(self, seconds: float) -> Health:
        age = asyncio.get_running_loop().time() - self._found_at
        if self._found is None or age >= seconds:
            return await asyncio.shield(self._looking())
        if age >= KEPT_SECONDS:
            self._looking()
        return self._found

    def _looking(self) -> asyncio.Task[Health]:
        """The look that goes on, or a new one."""
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._look_anew())
        return self._look

    async def _look_anew(self) -> Health:
        self._found = await _ask(self._backends)
        self._found_at = asyncio.get_running_loop().time()
        return self._found


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
