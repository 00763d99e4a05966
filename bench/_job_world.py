"""A ledger with so many jobs in the list, an API process on it, and its callers: what each may ask, and the same in SQL."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Final
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5

from bench._http import Caller
from bench._parts import start_api
from domain.identifiers import external_gpr_id
from ledger.access import ensure_administrator
from ledger.connection import Ledger
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench._load import Load, Step
    from cli.stack.roster import Roster
    from ledger.connection import Connection

CLUSTER: Final = "speaks"
NAMESPACE: Final = "bench-jobs"
SPEAKER: Final = "speaker"
"""The job that runs, and its pod."""
LIST, RUNNING, PAGES, DETAIL, SUBMIT = "list, 100 rows", "list, running", "500 jobs, 5 pages", "detail", "submit"
READS: Final = (LIST, RUNNING, PAGES, DETAIL)
ROWS: Final = 100
POOL: Final = 20
KEPT_LINES: Final = 200
HAPPENINGS: Final = 8

GPRS, JOBS, READING = load("gprs"), load("jobs"), load("reading")
ACCESS, EVENTS, OUTBOX = load("access"), load("events"), load("outbox")

WORLD: Final = """
with who as (insert into principal (id, name, created_at) values ($1, 'crowd', $3) returning id),
     place as (insert into cluster (name, server, version, sufficient, registered_at, seen_at)
               values ($4, '', '', true, $3, $3) returning name),
     home as (insert into workspace (id, name, tenant, owner_id, clusters, phase, created_at)
              select $2, $5, $5, id, array[$4], 'ready', $3 from who returning id)
insert into workspace_namespace (workspace_id, cluster, namespace) select id, $4, $5 from home
"""
QUEUED_AND_OVER: Final = """
with asked as (
    insert into gpr (id, external_id, workspace_id, submitted_by, name, nodes, gpus_per_node, duration_seconds, priority,
                     exclusive, requeue_on_failure, phase, submitted_at, active_at, finished_at, end_cause, namespace, spread)
    select gen_random_uuid(), 'bench-' || number, $1, $2, 'job-' || number, 1, 1, 3600, 101, false, true,
           case when number % 2 = 0 then 'queued' else 'released' end, $3,
           case when number % 2 = 1 then $3::timestamptz end, case when number % 2 = 1 then $3::timestamptz end,
           case when number % 2 = 1 then 'completed' end, $4, true
    from generate_series(1, $5) as number returning id, name, phase)
insert into job (gpr_id, workspace_id, namespace, name, kind, spec, state, ready, wanted, pods, observed_at, logs,
                 happenings, ended)
select id, $1, $4, name, 'training', jsonb_set($6, '{name}', to_jsonb(name)),
       case phase when 'queued' then '' else 'succeeded' end, 0, 1,
       case phase when 'queued' then '[]' else jsonb_build_array(jsonb_set($7, '{name}', to_jsonb(name || '-0-x7k2p'))) end,
       $3, case phase when 'queued' then '{}' else jsonb_build_object(name || '-0-x7k2p', $8::jsonb) end,
       case phase when 'queued' then '[]' else $9::jsonb end, phase <> 'queued'
from asked
"""
"""Half of them wait, half have ended today and are shown with all that is kept of such."""
ONE_THAT_RUNS: Final = """
with asked as (
    insert into gpr (id, external_id, workspace_id, submitted_by, name, nodes, gpus_per_node, priority, exclusive,
                     requeue_on_failure, phase, submitted_at, active_at, namespace)
    values (gen_random_uuid(), 'bench-runs', $1, $2, $5, 1, 0, 101, false, true, 'active', $3, $3, $4) returning id),
     held as (insert into lease (gpr_id, workspace_id, cluster, exclusive, granted_at)
              select id, $1, $8, false, $3 from asked)
insert into job (gpr_id, workspace_id, namespace, name, kind, spec, state, ready, wanted, pods, observed_at)
select id, $1, $4, $5, 'compute', $6, 'running', 1, 1, jsonb_build_array($7::jsonb), $3 from asked
"""
GPR: Final = """
insert into gpr (id, external_id, workspace_id, submitted_by, name, nodes, gpus_per_node, priority, exclusive,
                 requeue_on_failure, phase, submitted_at, namespace)
select $1, $2, id, $4, $5, 1, 1, 150, false, true, 'queued', $6, $7
from workspace where id = $3 and phase in ('creating', 'ready') for share returning id
"""
FORGET: Final = """
with gone as (delete from job where name like 'taken-%' returning gpr_id)
update gpr set phase = 'cancelled', finished_at = now() where id in (select gpr_id from gone)
"""
UNDELIVERED: Final = (
    "select count(*) from outbox where delivered_at is null and attempts = 0 and workflow_id <> 'bench-raw'"
)


@dataclass(slots=True)
class JobTown:
    """One ledger with this many jobs in its list, an API process on it, and who calls."""

    jobs: int
    ledger: Ledger
    url: str
    key: str
    server: int
    principal: UUID
    workspace: UUID
    callers: list[Caller]
    numbers: Iterator[int] = field(default_factory=count)
    api: dict[str, Load] = field(default_factory=dict)
    floor: dict[str, Load] = field(default_factory=dict)

    def calls(self, kind: str, callers: int) -> list[Step]:
        """What each caller does."""
        return [self._calls(caller)[kind] for caller in self.callers[:callers]]

    def statements(self, kind: str, callers: int) -> list[Step]:
        """The ledger's own statements for it, without the API."""
        steps: Mapping[str, Step] = {
            LIST: partial(self._read_page, None, 0),
            RUNNING: partial(self._read_page, "running", 0),
            PAGES: self._read_pages,
            DETAIL: self._read_one,
            SUBMIT: self._write_one,
        }
        return [steps[kind]] * callers

    async def withdraw_taken(self) -> None:
        """Make the list as long as it was."""
        async with self.ledger.transaction() as connection:
            await connection.execute(FORGET)

    async def undelivered(self) -> int:
        """Messages that Temporal has not heard."""
        async with self.ledger.reading() as connection:
            return int(await connection.fetchval(UNDELIVERED))

    def _calls(self, caller: Caller) -> Mapping[str, Step]:
        page = partial(caller.fetch, "GET")
        return {
            LIST: partial(page, f"/api/v1/jobs?pageSize={ROWS}"),
            RUNNING: partial(page, f"/api/v1/jobs?pageSize={ROWS}&status=running"),
            PAGES: partial(_pages, caller),
            DETAIL: partial(page, f"/api/v1/jobs/{self._a_name()}"),
            SUBMIT: partial(self._submit, caller),
        }

    def _a_name(self) -> str:
        """One that is over."""
        return f"job-{self.jobs // 2 * 2 - 1}"

    async def _submit(self, caller: Caller) -> None:
        document = a_document(f"taken-{next(self.numbers)}")
        await caller.fetch("POST", "/api/v1/jobs", {"yamlContent": json.dumps(document)})

    async def _read_page(self, status: str | None, offset: int) -> None:
        async with self.ledger.reading() as connection:
            await _page(connection, status, offset)

    async def _read_pages(self) -> None:
        for offset in range(0, 500, ROWS):
            await self._read_page(None, offset)

    async def _read_one(self) -> None:
        async with self.ledger.reading() as connection:
            job_id = await connection.fetchval(JOBS["by_name"], None, self._a_name(), None)
            await connection.fetchrow(JOBS["one"], job_id)
            await connection.fetchrow(GPRS["one"], job_id)

    async def _write_one(self) -> None:
        gpr_id, now, name = uuid4(), datetime.now(UTC), f"taken-{next(self.numbers)}"
        async with self.ledger.transaction() as connection:
            who = (gpr_id, external_gpr_id(gpr_id), self.workspace, self.principal)
            await connection.fetchval(GPR, *who, name, now, NAMESPACE)
            await connection.execute(EVENTS["record"], now, "submitted", gpr_id, self.workspace, None, "", {})
            await connection.execute(JOBS["insert"], gpr_id, self.workspace, NAMESPACE, name, "training", _spec(name))
            columns = [["bench-raw"] * 2, ["Job"] * 2, [str(gpr_id)] * 2, [None] * 2, [None] * 2]
            await connection.fetch(OUTBOX["put_all"], *columns)


async def found(roster: Roster, plain: Ledger, temporal: str, jobs: int, callers: int, **settings: str) -> JobTown:
    """Write the ledger, start the API, let everybody in."""
    now, principal, workspace = datetime.now(UTC), uuid5(NAMESPACE_OID, "who"), uuid5(NAMESPACE_OID, "where")
    async with plain.transaction() as connection:
        await connection.execute(WORLD, principal, workspace, now, CLUSTER, NAMESPACE)
        said = [f"{now.isoformat()} line {number} of a log that is kept at the end" for number in range(KEPT_LINES)]
        kept = [_spec(""), _pod(""), said, [_happening(number) for number in range(HAPPENINGS)]]
        await connection.execute(QUEUED_AND_OVER, workspace, principal, now, NAMESPACE, jobs, *kept)
        await connection.execute(
            ONE_THAT_RUNS, workspace, principal, now, NAMESPACE, SPEAKER, _spec(SPEAKER), _pod(SPEAKER), CLUSTER
        )
    async with plain.reading() as connection:
        await connection.execute("vacuum analyze")
    key = await ensure_administrator(plain, now)
    assert key is not None
    name = f"api-{jobs}"
    url = start_api(roster, name, plain.url, temporal, **settings)
    record = roster.record(name)
    assert record is not None
    askers = [Caller(url, key) for _ in range(callers)]
    return JobTown(jobs, Ledger(plain.url, connections_max=POOL), url, key, record.pid, principal, workspace, askers)


def a_document(name: str, **sections: Mapping[str, object]) -> dict[str, object]:
    """A training job as gpuctl's users write one."""
    content: dict[str, object] = {
        "kind": "training",
        "version": "v0.1",
        "job": {"name": name, "namespace": NAMESPACE, "duration": "1h"},
        "environment": {"image": "pytorch:2", "command": ["python", "train.py"]},
        "resources": {"gpu": 1, "cpu": 4, "memory": "16Gi"},
    }
    return content | sections


async def _page(connection: Connection, status: str | None, offset: int) -> None:
    where = (None, None, None, None, status, datetime.now(UTC), ROWS, offset)
    ids = list({row["gpr_id"] for row in await connection.fetch(JOBS["page"], *where)})
    await connection.fetch(JOBS["of_gprs"], ids)
    await connection.fetch(READING["gprs"], ids)


async def _pages(caller: Caller) -> None:
    for number in range(1, 6):
        await caller.fetch("GET", f"/api/v1/jobs?pageSize={ROWS}&page={number}")


def _spec(name: str) -> dict[str, object]:
    return {"name": name, "kind": "training", "namespace": NAMESPACE, "image": "pytorch:2", "gpus_per_replica": 1}


def _pod(name: str) -> dict[str, object]:
    return {"name": name, "phase": "Running", "node": "gpu-1", "ip": "10.0.0.1", "is_ready": True}


def _happening(number: int) -> dict[str, object]:
    event = {"kind": "Pod", "name": "it-0", "is_warning": False, "reason": "Pulled", "count": 1}
    message = "Successfully pulled image in 3.1 s. Image size: 3145728000 bytes."
    return {"uid": str(number), "message": message, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ"), **event}
