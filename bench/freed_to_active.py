"""From a freed GPU to the next active Gpr, and whole lifecycles: `python -m bench.freed_to_active`.

On a whole stack of its own. A lease is released early while the next Gpr of another workspace waits for the same node;
beside each such round, in turn, the bare calls that it cannot do without: the Kubernetes calls one after the other, and
a chain of workflows with as many empty activities and signals on the same Temporal server. No pods run in the leases.
Then many short leases at once: how late they end, and how many lifecycles a second that makes, against workflows of
the same shape whose steps are empty.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from temporalio.client import Client

from bench._conditions import arguments
from bench._empty import TASK_QUEUE, Life, LifeWorkflow, Stretch, StretchWorkflow, empty_worker
from bench._figures import Cell, Report, Samples, milliseconds
from bench._http import Caller
from clusters.access import make_anchor, revoke_anchor
from clusters.taints import node_path
from domain.identifiers import access_anchor_name, token_key
from ledger.connection import Ledger
from tests.system.installation import running_installation

if TYPE_CHECKING:
    from argparse import Namespace

    from clusters.connection import ClusterConnection
    from tests.system.installation import Installation

CLUSTER, NODE, SHAPE, NODE_GPUS = "worker-1", "worker-1-a100-1", "NVIDIA-A100-SXM4-40GB", 4
PAIR = ("bench-red", "bench-blue")
CHAIN = (5, 1, 4)
"""Steps of the Gpr that ends, of the arbiter, and of the Gpr that begins."""
LEASE_SECONDS = 1
LOOK_SECONDS = 0.005
SETTLE_SECONDS = 1.0
"""So that the passes for a submit are over before the release."""
STEP_SECONDS_MAX = 120.0

PHASE = "select phase from gpr where id = $1"
EVENTS = "select kind, at from event where gpr_id = $1 order by id"
ENDS = """
select g.end_at, e.fence as lease, min(e.at) filter (where e.kind = 'releasing') as releasing,
       min(e.at) filter (where e.kind = 'rested') as rested
from gpr g join event e on e.gpr_id = g.id join workspace w on w.id = g.workspace_id
where w.name like $1 and e.fence is not null and g.phase = 'expired' group by g.id, e.fence
"""
UNFINISHED = """
select count(*) from gpr g join workspace w on w.id = g.workspace_id
where w.name like $1 and g.phase not in ('released', 'expired', 'cancelled', 'failed')
"""


@dataclass(slots=True)
class Handovers:
    """What the rounds measured."""

    whole: Samples = field(default_factory=Samples)
    decided: Samples = field(default_factory=Samples)
    torn_down: Samples = field(default_factory=Samples)
    granted: Samples = field(default_factory=Samples)
    activated: Samples = field(default_factory=Samples)
    kubernetes: Samples = field(default_factory=Samples)
    temporal: Samples = field(default_factory=Samples)


@dataclass(slots=True)
class Doors:
    """Ways into the installation."""

    installation: Installation
    ledger: Ledger
    caller: Caller
    client: Client


def main() -> None:
    """Handovers, then lifecycles."""
    sizes = arguments(__doc__, rounds=30, workspaces=24, lives=4)
    words = {
        "lives": f"{sizes.workspaces} workspaces x {sizes.lives} leases of {LEASE_SECONDS} s",
        "rounds": sizes.rounds,
    }
    report = Report("freed_to_active", words)
    with running_installation() as installation:
        report.begin(
            PostgreSQL="18, fsync on", Temporal="development server, SQLite file", Kubernetes="1.36.3, kwok nodes"
        )
        asyncio.run(_measure(report, installation, sizes))
    report.end(sizes.json)


async def _measure(report: Report, installation: Installation, sizes: Namespace) -> None:
    environment = installation.stack.environment()
    ledger, caller = Ledger(environment["DATABASE_URL"]), Caller(installation.url)
    client = await Client.connect(environment["TEMPORAL_ADDRESS"])
    await caller.login(installation.key)
    doors = Doors(installation, ledger, caller, client)
    async with empty_worker(client):
        _tell_handovers(report, await _handovers(doors, sizes.rounds))
        await _lifecycles(report, doors, sizes)
    caller.close()
    await ledger.close()


# --- one GPU from hand to hand ----------------------------------------------------------------------------------------


async def _handovers(doors: Doors, rounds: int) -> Handovers:
    for name in PAIR:
        await asyncio.to_thread(doors.installation.egs.create_workspace, name, CLUSTER)
    found, cluster = Handovers(), doors.installation.cluster(CLUSTER)
    holder = await _submit(doors, PAIR[0], numberOfGPUs=NODE_GPUS, gpuShape=SHAPE)
    await _until_active(doors, holder)
    for number in range(rounds + 1):
        waiting = await _submit(doors, PAIR[(number + 1) % 2], numberOfGPUs=NODE_GPUS, gpuShape=SHAPE)
        await asyncio.sleep(SETTLE_SECONDS)
        await _handover(doors, found if number else Handovers(), holder, waiting)
        holder = waiting
        floors = found if number else Handovers()
        await floors.kubernetes.time(partial(asyncio.to_thread, _bare_calls, cluster, number))
        await _empty_chain(doors.client, floors.temporal)
    await _release(doors, holder)
    return found


async def _handover(doors: Doors, found: Handovers, holder: UUID, waiting: UUID) -> None:
    asked = datetime.now(UTC)
    await found.whole.time(lambda: _release_until_active(doors, holder, waiting))
    async with doors.ledger.reading() as connection:
        ended = {row["kind"]: row["at"] for row in await connection.fetch(EVENTS, holder)}
        begun = {row["kind"]: row["at"] for row in await connection.fetch(EVENTS, waiting)}
    instants = [asked, ended["releasing"], ended["rested"], begun["granted"], begun["activated"]]
    parts = (found.decided, found.torn_down, found.granted, found.activated)
    for part, since, until in zip(parts, instants, instants[1:], strict=False):
        part.seconds.append((until - since).total_seconds())


async def _release_until_active(doors: Doors, holder: UUID, waiting: UUID) -> None:
    await _release(doors, holder)
    await _until_active(doors, waiting)


def _bare_calls(cluster: ClusterConnection, number: int) -> None:
    """What a teardown and a provisioning cannot do without, one after the other."""
    key, path, fence = token_key("bench-floor"), node_path(NODE), 2**40 + number
    _set_tokens(cluster, path, key, None)
    revoke_anchor(cluster, PAIR[0], fence - 1)
    cluster.items("/api/v1/pods", fieldSelector=f"spec.nodeName={NODE}")
    cluster.get(path)
    _set_tokens(cluster, path, key, str(NODE_GPUS))
    cluster.get(path)
    make_anchor(cluster, PAIR[0], fence)
    _set_tokens(cluster, path, key, None)


def _set_tokens(cluster: ClusterConnection, path: str, key: str, count: str | None) -> None:
    cluster.merge(f"{path}/status", {"status": {"capacity": {key: count}, "allocatable": {key: count}}})


async def _empty_chain(client: Client, samples: Samples) -> None:
    names = [f"bench/{uuid4()}" for _ in CHAIN]
    handles = [
        await client.start_workflow(StretchWorkflow.run, Stretch(steps, then), id=name, task_queue=TASK_QUEUE)
        for steps, name, then in zip(CHAIN, names, [*names[1:], ""], strict=True)
    ]
    await asyncio.sleep(SETTLE_SECONDS)
    began = time.perf_counter()
    await handles[0].signal(StretchWorkflow.go)
    await handles[-1].result()
    samples.seconds.append(time.perf_counter() - began)


def _tell_handovers(report: Report, found: Handovers) -> None:
    rows = [
        ("asked -> next Gpr active, as seen", found.whole),
        ("  asked -> release decided", found.decided),
        ("  -> torn down", found.torn_down),
        ("  -> granted", found.granted),
        ("  -> active", found.activated),
        ("bare Kubernetes calls (8, one by one)", found.kubernetes),
        (f"empty workflows ({sum(CHAIN)} activities, {len(CHAIN)} signals)", found.temporal),
    ]
    table: list[list[Cell]] = [[name, milliseconds(samples.p50), milliseconds(samples.p99)] for name, samples in rows]
    report.table("freed to active", ["", "p50 ms", "p99 ms"], table)
    bare = found.kubernetes.p50 + found.temporal.p50
    report.ratio("freed to active, p50, to the bare calls", found.whole.p50 / bare, "at most 2")


# --- many short leases ------------------------------------------------------------------------------------------------


async def _lifecycles(report: Report, doors: Doors, sizes: Namespace) -> None:
    names = [f"bench-life-{number}" for number in range(sizes.workspaces)]
    for number, name in enumerate(names):
        cluster = doors.installation.stack.clusters()[number % 2]
        await asyncio.to_thread(doors.installation.egs.create_workspace, name, cluster)
    began = time.perf_counter()
    for name in names * sizes.lives:
        await _submit(doors, name, exitDuration=f"0d0h0m{LEASE_SECONDS}s")
    await _until_finished(doors.ledger)
    real = len(names) * sizes.lives / (time.perf_counter() - began)
    empty = await _empty_lifecycles(doors.client, sizes)
    await _tell_ends(report, doors)
    report.table(
        "lifecycles",
        ["", "per second"],
        [["Gprs, from submit to rest", real], ["empty workflows of that shape", empty]],
    )
    report.ratio("lifecycles per second to those of empty workflows", real / empty, "at least 0.5")


async def _empty_lifecycles(client: Client, sizes: Namespace) -> float:
    """As many at once as there are workspaces, one after the other in each."""

    async def lives() -> None:
        for _ in range(sizes.lives):
            name = f"bench/{uuid4()}"
            await client.execute_workflow(LifeWorkflow.run, Life(4, LEASE_SECONDS, 6), id=name, task_queue=TASK_QUEUE)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(sizes.workspaces):
            group.create_task(lives())
    return float(sizes.workspaces * sizes.lives / (time.perf_counter() - began))


async def _tell_ends(report: Report, doors: Doors) -> None:
    async with doors.ledger.reading() as connection:
        ends = await connection.fetch(ENDS, "bench-life-%")
    fenced = await asyncio.to_thread(_fenced_at, doors.installation)
    decided = Samples([(row["releasing"] - row["end_at"]).total_seconds() for row in ends])
    cut_off = Samples(
        [(fenced[row["lease"]] - row["end_at"]).total_seconds() for row in ends if row["lease"] in fenced]
    )
    free = Samples([(row["rested"] - row["end_at"]).total_seconds() for row in ends])
    kinds = {"release decided": decided, "fenced (audit log of the cluster)": cut_off, "seen to be free": free}
    rows: list[list[Cell]] = [
        [name, len(one.seconds), milliseconds(one.p50), milliseconds(one.p99)] for name, one in kinds.items()
    ]
    report.table("end of the lease -> ", ["", "leases", "p50 ms", "p99 ms"], rows)
    report.ratio("expiry overrun until fenced, p99, seconds", cut_off.p99, "under 2 s")


def _fenced_at(installation: Installation) -> dict[int, datetime]:
    """When each lease's anchor went: the last thing that fencing does."""
    found: dict[int, datetime] = {}
    for cluster in installation.stack.clusters():
        lines = (line for log in installation.audit_logs(cluster) for line in log.read_text().splitlines())
        for entry in map(json.loads, lines):
            name = entry.get("objectRef", {}).get("name", "")
            if entry["verb"] == "delete" and name.startswith(access_anchor_name(0)[:-1]):
                fence = int(name.rpartition("-")[2])
                found.setdefault(fence, datetime.fromisoformat(entry["requestReceivedTimestamp"]))
    return found


# --- by the API, as users do ------------------------------------------------------------------------------------------


async def _submit(doors: Doors, workspace: str, **wish: object) -> UUID:
    body = {"gprName": "bench", "sliceName": workspace, "exitDuration": "1h", "numberOfGPUs": 1, **wish}
    external = (await doors.caller.ask("POST", "/api/v1/gpr", body))["data"]["gprId"]
    async with doors.ledger.reading() as connection:
        found: UUID = await connection.fetchval("select id from gpr where external_id = $1", external)
    return found


async def _release(doors: Doors, gpr_id: UUID) -> None:
    await doors.caller.ask("PUT", "/api/v1/gpr", {"gprId": str(gpr_id), "earlyRelease": True})


async def _until_active(doors: Doors, gpr_id: UUID) -> None:
    async with asyncio.timeout(STEP_SECONDS_MAX), doors.ledger.reading() as connection:
        while await connection.fetchval(PHASE, gpr_id) != "active":  # noqa: ASYNC110 - a database sends no event
            await asyncio.sleep(LOOK_SECONDS)


async def _until_finished(ledger: Ledger) -> None:
    async with asyncio.timeout(STEP_SECONDS_MAX), ledger.reading() as connection:
        while await connection.fetchval(UNFINISHED, "bench-life-%"):  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    main()
