"""Every named statement is valid SQL against the migrated schema, and is used."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ledger.statements import load

if TYPE_CHECKING:
    from ledger.connection import Ledger

SUBJECTS = sorted(file.name.removesuffix(".sql") for file in (files("ledger") / "sql").iterdir())
LEDGER_CODE = "\n".join(path.read_text() for path in Path(str(files("ledger"))).glob("*.py"))


@pytest.mark.parametrize("subject", SUBJECTS)
async def test_postgresql_accepts_every_statement(ledger: Ledger, subject: str) -> None:
    async with ledger.reading() as connection:
        for name, statement in load(subject).items():
            assert await connection.prepare(statement), name


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_statement_is_used(subject: str) -> None:
    unused = [name for name in load(subject) if f'"{name}"' not in LEDGER_CODE]
    assert unused == []
