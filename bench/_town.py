"""A ledger with a queue of some length, an API process on it, and its callers: what each may ask, and the same in SQL."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from bench._http import Caller
from bench._parts import start_api
from bench._raw_sql import RAW, RawSql, a_priority, turns
from bench._world import a_workspace_with_a_page, fill
from ledger.access import ensure_administrator
from ledger.connection import Ledger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench._load import Load, Step
    from cli.stack.roster import Roster

LOGIN, CREATE, LIST, SHOW, UPDATE = "login", "create", "list, 100 rows", "get", "update"
INVENTORY, READY = "inventory", "/readyz"
CALLS = (LOGIN, CREATE, LIST, SHOW, UPDATE, INVENTORY)
POOL = 20
"""Connections of the raw side: as many as the API has."""
LOOK_SECONDS = 0.05
FULL, TAKING, CHANGING = "full", "taking", "changing"
"""Workspaces: one whose list is read, one that takes what is made, one whose Gprs are changed."""

UNDELIVERED = f"select count(*) from outbox where delivered_at is null and attempts = 0 and workflow_id <> '{RAW}'"
FORGET = """
update outbox set delivered_at = now()
where id in (select id from outbox where delivered_at is null for update skip locked)
"""
QUEUE_UP = """
update gpr set phase = 'queued', finished_at = null, external_id = 'gpr-' || left(id::text, 13)
where workspace_id = (select id from workspace where name = $1) returning external_id
"""
EMPTY = """
update gpr set phase = 'cancelled', finished_at = now()
where phase = 'queued' and workspace_id = (select id from workspace where name = $1)
"""


@dataclass(slots=True)
class Town:
    """One ledger with a queue of this length, an API process on it, and who calls."""

    queued: int
    ledger: Ledger
    server: int
    key: str
    callers: list[Caller]
    raw: list[RawSql]
    api: dict[tuple[str, int], Load] = field(default_factory=dict)
    floor: dict[tuple[str, int], Load] = field(default_factory=dict)

    def calls(self, kind: str, callers: int) -> list[Step]:
        """What each caller does."""
        steps = (self._calls(caller, raw) for caller, raw in zip(self.callers, self.raw, strict=True))
        return [step[kind] for step, _ in zip(steps, range(callers), strict=False)]

    def statements(self, kind: str, callers: int) -> list[Step]:
        """The same without the API."""
        return [self._statements(raw)[kind] for raw in self.raw[:callers]]

    async def withdraw_taken(self) -> None:
        """Make the queue as long as it was."""
        async with self.ledger.transaction() as connection:
            await connection.execute(EMPTY, TAKING)

    def _calls(self, caller: Caller, raw: RawSql) -> Mapping[str, Step]:
        wish = {"gprName": "bench", "sliceName": TAKING, "exitDuration": "1h", "numberOfGPUs": 1}
        return {
            LOGIN: partial(caller.login, self.key),
            CREATE: partial(caller.fetch, "POST", "/api/v1/gpr", wish),
            LIST: partial(caller.fetch, "GET", f"/api/v1/gpr/list?sliceName={FULL}"),
            SHOW: partial(caller.fetch, "GET", f"/api/v1/gpr?gprId={raw.gpr}"),
            UPDATE: partial(_update, caller, raw),
            INVENTORY: partial(caller.fetch, "GET", "/api/v1/inventory/list"),
            READY: partial(caller.fetch, "GET", "/readyz"),
        }

    def _statements(self, raw: RawSql) -> Mapping[str, Step]:
        listed = {LOGIN: raw.login, CREATE: raw.create, LIST: raw.listing, SHOW: raw.show}
        return listed | {UPDATE: raw.update, INVENTORY: raw.inventory}


async def found(roster: Roster, plain: Ledger, temporal: str, nodes: int, queue: int) -> Town:
    """Write the ledger, start the API, log everybody in."""
    crowd = await fill(plain, nodes=nodes, queue=queue, now=datetime.now(UTC))
    for name in (FULL, TAKING, CHANGING):
        await a_workspace_with_a_page(plain, crowd, name)
    key = await ensure_administrator(plain, datetime.now(UTC))
    assert key is not None
    async with plain.transaction() as connection:
        gprs = [row["external_id"] for row in await connection.fetch(QUEUE_UP, CHANGING)]
        await connection.execute("analyze")
    name = f"api-{queue}"
    callers = [Caller(start_api(roster, name, plain.url, temporal))]
    callers += [Caller(callers[0].url) for _ in gprs[1:]]
    for caller in callers:
        await caller.login(key)
    ledger = Ledger(plain.url, connections_max=POOL)
    raw = [RawSql(ledger, crowd.principal, key, (FULL, TAKING), gpr, turns()) for gpr in gprs]
    record = roster.record(name)
    assert record is not None
    return Town(queue, ledger, record.pid, key, callers, raw)


async def _update(caller: Caller, raw: RawSql) -> None:
    await caller.fetch("PUT", "/api/v1/gpr", {"gprId": raw.gpr, "priority": a_priority(raw.turns)})


async def drained(town: Town, seconds: float) -> None:
    """Temporal has heard of everything that was submitted, or what it has not heard of in time is forgotten."""
    until = time.perf_counter() + seconds
    async with town.ledger.reading() as connection:
        while await connection.fetchval(UNDELIVERED) and time.perf_counter() < until:  # noqa: ASYNC110 - no event
            await asyncio.sleep(LOOK_SECONDS)
        await connection.execute(FORGET)
