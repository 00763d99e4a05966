"""Brings the ledger's schema up to date: numbered files, each run once, under a lock, in one transaction."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from domain.failures import BerthFailure
from ledger.statements import load

if TYPE_CHECKING:
    from ledger.connection import Connection, Ledger

_SQL = load("migrate")

MIGRATION_SECONDS_MAX: Final = 3600.0
"""Of one file: a large table may be read whole, which no other statement may."""


class MigrationChanged(BerthFailure):
    """A migration that was already run has been edited; write a new one instead."""

    code = "migration_changed"


async def migrate(ledger: Ledger) -> list[str]:
    """Run what has not been run yet; the names of those. Safe to call from many processes at once."""
    async with ledger.transaction() as connection:
        await connection.execute(_SQL["lock"])
        await connection.execute(_SQL["create_table"])
        done = {row["name"]: row["checksum"] for row in await connection.fetch(_SQL["done"])}
        return [name for name, text in _migrations() if await _run(connection, name, text, done)]


async def _run(connection: Connection, name: str, text: str, done: dict[str, str]) -> bool:
    checksum = hashlib.sha256(text.encode()).hexdigest()
    if name in done:
        if done[name] != checksum:
            raise MigrationChanged(f"migration {name} was changed after it was run")
        return False
    await connection.execute(text, timeout=MIGRATION_SECONDS_MAX)
    await connection.execute(_SQL["record"], name, checksum)
    return True


def _migrations() -> list[tuple[str, str]]:
    folder = files("ledger") / "migrations"
    return sorted((file.name, file.read_text("utf-8")) for file in folder.iterdir() if file.name.endswith(".sql"))
