"""Real parts for a bench: a durable PostgreSQL, API processes, and a whole stack of the bench's own."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from cli.stack.folders import REPOSITORY
from cli.stack.own import API, OwnProcesses
from cli.stack.ports import LOOPBACK, free_anywhere
from cli.stack.postgres import Postgres
from cli.stack.probe import Endpoint
from cli.stack.processes import Program
from ledger.connection import Ledger
from ledger.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from cli.stack.roster import Roster


ECHO = "echo"


@contextmanager
def durable_postgres(roster: Roster) -> Iterator[Postgres]:
    """PostgreSQL as the local stack runs it: a commit is on the disk."""
    postgres = Postgres(roster, free_anywhere(1)[0])
    postgres.start()
    yield postgres
    postgres.stop()


@asynccontextmanager
async def migrated(postgres: Postgres) -> AsyncIterator[Ledger]:
    """A ledger in a new database."""
    ledger = Ledger(postgres.create_database())
    await migrate(ledger)
    yield ledger
    await ledger.close()


def start_api(roster: Roster, name: str, database_url: str, temporal_address: str, **settings: str) -> str:
    """An API process of its own, which answers as often as it is asked; its URL. It is stopped with the roster."""
    port = free_anywhere(1)[0]
    environment = {
        "DATABASE_URL": database_url,
        "TEMPORAL_ADDRESS": temporal_address,
        "BERTH_API_HOST": LOOPBACK,
        "BERTH_API_PORT": str(port),
        "BERTH_LOG_FORMAT": "json",
        "BERTH_API_REQUESTS_PER_KEY": "",
        **settings,
    }
    processes = OwnProcesses((), {API: port}, environment, roster.folder / "log")
    roster.start(replace(processes.program(API), name=name))
    return f"http://{LOOPBACK}:{port}"


def start_echo(roster: Roster) -> str:
    """A server that answers every request with the same words; its URL. It is stopped with the roster."""
    port = free_anywhere(1)[0]
    url = f"http://{LOOPBACK}:{port}"
    argv = [sys.executable, "-m", "bench._echo", str(port)]
    roster.start(Program(ECHO, argv, ready=lambda: Endpoint(url).answers("/"), folder=REPOSITORY))
    return url
