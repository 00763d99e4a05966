"""Lists, filters, orders, counts and telemetry of workloads by the length of their history: `python -m bench.workloads`.

Two ledgers, one with 1,000 workloads and one with 100,000, of which as many live in both; an API process on each; one caller,
who asks them in turns for the same. What counts is the ratio of the larger's p99 to the smaller's. A short form with `--quick`.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, get_args
from urllib.parse import urlencode

from api.dialects.runai.words import SortWord
from bench._conditions import arguments
from bench._figures import Cell, Report, Samples, milliseconds
from bench._http import Caller
from bench._parts import durable_postgres, migrated, start_api
from cli.stack.guard import guarded
from cli.stack.testing import running_temporal
from ledger.access import ensure_administrator

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from cli.stack.postgres import Postgres
    from cli.stack.roster import Roster

LIVE, WORKSPACES = 500, 50
ROUNDS, ROUNDS_QUICK = 300, 40
WANTED: Final = 1.5

WORLD = """
insert into principal (id, name, created_at)
    select md5('p' || i)::uuid, 'person-' || i, now() from generate_series(1, 50) i;
insert into cluster (name, server, version, sufficient, registered_at, seen_at)
    select 'c' || i, '', '1.36', true, now(), now() from generate_series(1, 4) i;
insert into node (cluster, name, shape, instance_type, gpus, memory_mib, state, observed_at)
    select 'c' || c, 'n' || n, 'H100', 'p5', 8, 81559, 'ready', now()
    from generate_series(1, 4) c, generate_series(1, 25) n;
insert into workspace (id, name, tenant, owner_id, clusters, phase, department, created_at)
    select md5('w' || i)::uuid, 'project-' || i, 't' || i, md5('p' || i)::uuid, '{c1}', 'ready', 'department-' || i % 5, now()
    from generate_series(1, 50) i;
insert into membership (workspace_id, principal_id, role) select id, owner_id, 'owner' from workspace
"""
GPRS = """
insert into gpr (id, external_id, workspace_id, submitted_by, name, nodes, gpus_per_node, duration_seconds, priority, exclusive,
                 requeue_on_failure, phase, submitted_at, active_at, stopped_at, finished_at, end_cause, clusters)
select md5('g' || i)::uuid, 'gpr-' || i, md5('w' || (1 + i % 50))::uuid, md5('p' || (1 + i % 50))::uuid,
       'work-' || substr(md5(i::text), 1, 8), 1, 1, 600, (i * 7) % 301, false, true,
       case when i <= 200 then 'active' when i <= 500 then 'queued' when i % 9 = 0 then 'failed'
            when i % 7 = 1 then 'released' else 'expired' end,
       now() - make_interval(secs => i * 60), case when i <= 200 or i > 500 then now() - make_interval(secs => i * 60 - 300) end,
       case when i > 500 then now() - make_interval(secs => i * 60 - 3000) end,
       case when i > 500 then now() - make_interval(secs => i * 60 - 3030) end,
       case when i > 500
            then case when i % 9 = 0 then 'job_failed' when i % 7 = 1 then 'early_release' else 'expired' end end,
       array['c' || (1 + i % 4)]
from generate_series($1::integer, $2::integer) i
"""
LEASES = """
insert into lease (gpr_id, workspace_id, cluster, exclusive, granted_at, released_at)
select id, workspace_id, clusters[1], false, submitted_at, finished_at from gpr where phase <> 'queued'
"""
LEASE_GPUS = """
insert into lease_gpu (fence, cluster, node, ordinal, released_at)
select fence, cluster, 'n' || (1 + place % 25), (place / 25) % 8, released_at
from (select l.*, row_number() over (partition by cluster order by released_at is not null, fence) - 1 as place from lease l) l
"""
FENCES = "update gpr set fence = l.fence from lease l where l.gpr_id = gpr.id and gpr.phase = 'active'"
JOBS = """
insert into job (gpr_id, workspace_id, namespace, name, kind, spec, state, ended)
select id, workspace_id, 'ns', name, (array['training', 'inference', 'notebook', 'training'])[1 + sequence % 4],
       '{"image": "busybox", "command": ["sleep"], "args": ["60"]}', case when phase = 'active' then 'running' else '' end,
       finished_at is not null
from gpr where sequence % 2 = 0
"""
SOMEBODY = "select id::text from gpr where phase = 'active' limit 1"

SORTS: Final = get_args(SortWord)
RARE: Final = "c4ca4238"
"""In the name of one workload, the first."""
FILTERS: Final = (
    *(
        f"name=={'work-'}{RARE}",
        f"name=@{RARE[1:]}",
        f"name=${RARE[2:]}",
        f"name=^work-{RARE[:3]}",
        "name!=nobody",
        "name!@nobody",
    ),
    *("phase==Running", "phase!=Completed", "phase==Completed", "type==Training", "category=@e", "nodepool==default"),
    *(
        "projectName==project-7",
        "submittedBy==person-7",
        "departmentName=^department",
        "allocatedGPU>=1",
        "idleGpus>=1",
    ),
    *("priority>=125", "priorityClassName==medium", "totalPendingTimeSeconds>=600", "totalRunningTimeSeconds<=60"),
    "phase==Completed,type==Training,projectName==project-7",
)
LONGER: Final = "answers more where there is more: of 1,000 not enough match to fill a page, so it is told apart"
LINEAR: Final = "reads what it counts or leaves out, so it is told apart"


def main() -> None:
    """Both ledgers, every call."""
    sizes = arguments(__doc__, small=1_000, large=100_000, rounds=0, quick=False)
    sizes.rounds = sizes.rounds or (ROUNDS_QUICK if sizes.quick else ROUNDS)
    report = Report(
        "workloads",
        {"workloads": f"{sizes.small} and {sizes.large}", "live in each": LIVE, "requests of each": sizes.rounds},
    )
    with guarded() as roster, durable_postgres(roster) as postgres, running_temporal() as temporal:
        report.begin(PostgreSQL="18, fsync on")
        asyncio.run(_run(report, sizes, roster, postgres, temporal.address))
    report.end(sizes.json)


@dataclass(slots=True)
class Place:
    """One ledger with so many workloads, and who asks the API on it."""

    workloads: int
    caller: Caller
    member: Caller
    keys: tuple[str, str]
    """Of the caller and of the member."""
    somebody: str
    samples: dict[str, Samples] = field(default_factory=dict)
    answered: dict[str, int] = field(default_factory=dict)
    """How many workloads, series or groups there are in an answer."""

    async def login(self) -> None:
        """Again and again: all of it takes longer than a login lasts."""
        for caller, key in zip((self.caller, self.member), self.keys, strict=True):
            await caller.login(key)

    def caller_of(self, name: str) -> Caller:
        """Who asks this."""
        return self.member if name.startswith("a member's") else self.caller


async def _run(report: Report, sizes: Namespace, roster: Roster, postgres: Postgres, temporal: str) -> None:
    async with AsyncExitStack() as stack:
        places = [await _founded(stack, roster, postgres, temporal, size) for size in (sizes.small, sizes.large)]
        now = datetime.now(UTC)
        flat, linear = _calls(now), _linear_calls(sizes.large, now)
        for name, path in [*flat.items(), *linear.items()]:
            for place in places:
                place.samples[name] = Samples()
                await place.login()
                place.answered[name] = _entries(await place.caller_of(name).ask("GET", _path(path, place)))
            for _ in range(sizes.rounds):
                for place in places:
                    await place.samples[name].time(partial(place.caller_of(name).fetch, "GET", _path(path, place)))
    alike = [name for name in flat if places[0].answered[name] == places[1].answered[name]]
    _tell(report, places, alike, f"ratio of the p99, wanted at most {WANTED}")
    _tell(report, places, [name for name in flat if name not in alike], LONGER)
    _tell(report, places, list(linear), LINEAR)
    worst = max(_ratio(places, name) for name in alike)
    above = sum(_ratio(places, name) > WANTED for name in alike)
    report.ratio("largest ratio of the p99", worst, f"at most {WANTED}")
    report.ratio(f"calls above {WANTED}, of {len(alike)}", above, "none")


async def _founded(stack: AsyncExitStack, roster: Roster, postgres: Postgres, temporal: str, workloads: int) -> Place:
    ledger = await stack.enter_async_context(migrated(postgres))
    key = await ensure_administrator(ledger, datetime.now(UTC))
    assert key is not None
    async with ledger.reading() as connection:
        await connection.execute(WORLD)
        for first in range(1, workloads + 1, 5_000):
            await connection.execute(GPRS, first, min(workloads, first + 4_999))
        await connection.execute(LEASES, timeout=300)
        await connection.execute(LEASE_GPUS, timeout=300)
        await connection.execute(JOBS, timeout=300)
        await connection.execute(FENCES, timeout=300)
        await connection.execute("select workload_write(array(select id from gpr))", timeout=300)
        await connection.execute("select workload_fold()")
        await connection.execute("vacuum analyze", timeout=300)
        somebody = await connection.fetchval(SOMEBODY)
    caller = Caller(start_api(roster, f"api-{workloads}", ledger.url, temporal))
    await caller.login(key)
    member = Caller(caller.url)
    made = await caller.ask("POST", "/berth/v1/keys", {"name": "bench", "principal": "person-7"})
    return Place(workloads, caller, member, (key, made["key"]), somebody)


def _calls(now: datetime) -> dict[str, str]:
    """What is wanted to take as long however long the history is."""
    lists = {f"list, by {word}": _query(sortBy=word) for word in SORTS}
    lists |= {f"list, by {word}, descending": _query(sortBy=word, sortOrder="desc") for word in SORTS}
    lists |= {f"list where {term}": _query(filterBy=term) for term in FILTERS}
    recent = f"createdAt>={now - timedelta(hours=4):%Y-%m-%dT%H:%M:%SZ}"
    lists |= {
        "list": _query(),
        "list of 500": _query(limit="500"),
        "list of what is deleted, newest first": _query(deleted="true", sortBy="deletedAt", sortOrder="desc"),
        "list where 11 terms": _query(filterBy=",".join([recent, *(f"name!=x{number}" for number in range(10))])),
        "list where createdAt is recent, by name": _query(filterBy=recent, sortBy="name"),
        "list that is searched for what is rare": _query(search=RARE),
        "list that is searched for what is everywhere": _query(search="work project"),
        "a member's list": _query(),
        "a member's list, by name": _query(sortBy="name"),
    }
    counts = {
        "count": "/count?",
        "count where phase==Completed": _count("phase==Completed"),
        "count where type, category and project": _count("type==Training,category==Train,projectName==project-7"),
        f"count where name=@{RARE}": _count(f"name=@{RARE}"),
        "count where phase==Running,allocatedGPU>=1": _count("phase==Running,allocatedGPU>=1"),
        "a member's count": "/count?",
    }
    telemetry = {
        f"telemetry {kind}{by and f' by {by}'}": f"/telemetry?{urlencode({'telemetryType': kind, 'groupBy': by})}"
        for kind in ("WORKLOADS_COUNT", "GPU_ALLOCATION", "PENDING_TIME_DISTRIBUTION", "IDLE_ALLOCATED_GPUS")
        for by in ("", "ProjectId", "Type,Phase", "DepartmentId,ClusterId")
    }
    span = {"start": f"{now - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}", "end": f"{now:%Y-%m-%dT%H:%M:%SZ}"}
    one = {
        "get": "/{somebody}?",
        "elements": "/{somebody}/elements?",
        "metrics": f"/{{somebody}}/metrics?{urlencode({'metricType': 'GPU_UTILIZATION,GPU_ALLOCATION', **span})}",
    }
    return lists | counts | telemetry | one


def _linear_calls(large: int, now: datetime) -> dict[str, str]:
    """What is as long as what it counts or leaves out, which no index changes."""
    old = f"{now - timedelta(minutes=large // 2):%Y-%m-%dT%H:%M:%SZ}"
    return {
        "list, the last part": _query(offset="{last}"),
        "list, the last part, by name": _query(offset="{last}", sortBy="name"),
        "count where half are meant, by their time": _count(f"createdAt>={old}"),
        "count where name!@nobody": _count("name!@nobody"),
    }


def _query(**parameters: str) -> str:
    return f"?{urlencode(parameters, safe='{}')}"


def _count(terms: str) -> str:
    return f"/count?{urlencode({'filterBy': terms})}"


def _path(path: str, place: Place) -> str:
    filled = path.replace("{somebody}", place.somebody).replace("{last}", str(int(place.workloads * 0.8) - 60))
    return f"/api/v1/workloads{filled}"


def _entries(answer: dict[str, Any]) -> int:
    """Of a list or of groups; one of a single thing."""
    return next((len(part) for part in answer.values() if isinstance(part, list)), 1)


def _ratio(places: Sequence[Place], name: str) -> float:
    small, large = (place.samples[name].p99 for place in places)
    return large / small


def _tell(report: Report, places: Sequence[Place], names: Sequence[str], title: str) -> None:
    rows: list[list[Cell]] = []
    for name in names:
        row: list[Cell] = [name]
        for place in places:
            row += [milliseconds(place.samples[name].p50), milliseconds(place.samples[name].p99)]
        ratios = (places[1].samples[name].p50 / places[0].samples[name].p50, _ratio(places, name))
        rows.append([*row, *ratios, " and ".join(str(place.answered[name]) for place in places)])
    columns = ["ms"]
    for place in places:
        columns += [f"p50 at {place.workloads}", f"p99 at {place.workloads}"]
    report.table(title, [*columns, "p50 ratio", "p99 ratio", "entries"], rows)


if __name__ == "__main__":
    main()
