"""A ledger that notes when each statement ran, so that a pass can be told apart into its parts without touching it."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ledger.connection import Ledger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ledger.connection import Connection

READS = frozenset(
    {"arbitration.lock", "arbitration.queue", "inventory.nodes", "inventory.holders", "leases.open", "leases.held_gpus"}
)
TIMED = frozenset({"fetch", "fetchrow", "fetchval", "execute", "executemany"})


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: its name in `ledger/sql`, and when it ran."""

    name: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Parts:
    """Seconds of a step's parts: until the last read, from there to the first write, from there to the end."""

    reading: float
    planning: float
    writing: float

    @property
    def whole(self) -> float:
        """All of it."""
        return self.reading + self.planning + self.writing


class WatchedLedger(Ledger):
    """The same ledger, watched."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.statements: list[Statement] = []

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A watched connection."""
        async with super().reading() as connection:
            yield _Watched(connection, self.statements)  # type: ignore[misc]

    def parts(self, began: float, ended: float) -> Parts:
        """Of what ran between these two instants; a step that wrote nothing planned until its end."""
        within = [statement for statement in self.statements if began <= statement.began <= ended]
        read = max(statement.ended for statement in within if statement.name in READS)
        written = min((statement.began for statement in within if statement.name not in READS), default=ended)
        return Parts(read - began, written - read, ended - written)


class _Watched:
    """Passes everything on."""

    def __init__(self, connection: Any, statements: list[Statement]) -> None:
        self._connection = connection
        self._statements = statements

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._connection, name)
        return self._timed(attribute) if name in TIMED else attribute

    def _timed(self, method: Any) -> Any:
        async def timed(query: str, *arguments: object, **options: object) -> Any:
            began = time.perf_counter()
            try:
                return await method(query, *arguments, **options)
            finally:
                name = query.partition("\n")[0].removeprefix("-- ")
                self._statements.append(Statement(name, began, time.perf_counter()))

        return timed
