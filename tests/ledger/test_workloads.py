"""Workloads: the ledger's rule is the domain's, every move is seen at once, and what is counted is what there is."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING

from domain.gpr import EndCause, Phase
from domain.hardware import Gpu
from domain.job import JobState, ObservedJob
from domain.workload import Field, Signs, WorkloadFilter, WorkloadPage, WorkloadPhase, phase_of
from ledger import jobs, leases, lifecycle, suspension, workloads
from ledger.workloads import Grouping
from tests.builders import a_gpr, a_job, a_workspace, now, some_nodes

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from domain.workload import Workload
    from ledger.connection import Ledger

ALL = WorkloadFilter()
FIRST = WorkloadPage(limit=500)
RULE = """
select phase, cause, suspended, resumed, requeued, state, workload_phase(phase, cause, suspended, resumed, requeued, state) as said
from unnest($1::text[]) phase, unnest($2::text[]) cause, unnest($3::text[]) state,
     (values (true), (false)) s (suspended), (values (true), (false)) r (resumed), (values (true), (false)) q (requeued)
"""


async def test_the_ledgers_rule_is_the_domains_in_every_case(ledger: Ledger) -> None:
    states: list[str | None] = [None, "", *JobState]
    async with ledger.reading() as connection:
        rows = await connection.fetch(RULE, list(Phase), ["", *EndCause], states)
    assert len(rows) == len(Phase) * (len(EndCause) + 1) * len(states) * 8
    for row in rows:
        signs = Signs(
            Phase(row["phase"]), row["cause"], row["suspended"], row["resumed"], row["requeued"], row["state"]
        )
        assert row["said"] == phase_of(signs), signs
    assert {row["said"] for row in rows} == set(WorkloadPhase)


async def look(ledger: Ledger, gpr_id: UUID, at: datetime | None = None) -> Workload:
    async with ledger.reading() as connection:
        return await workloads.find(connection, gpr_id, at or now())


async def grant(ledger: Ledger, gpr_id: UUID, node: str, at: datetime) -> int:
    async with ledger.transaction() as connection:
        fence = await leases.grant(connection, gpr_id, "worker-1", [Gpu(node, 0)], at)
    assert fence is not None
    return fence


async def activate(ledger: Ledger, gpr_id: UUID, fence: int, at: datetime) -> None:
    async with ledger.transaction() as connection:
        await lifecycle.activate(connection, gpr_id, fence, at)


async def see(ledger: Ledger, gpr_id: UUID, state: JobState, at: datetime) -> None:
    async with ledger.transaction() as connection:
        await jobs.observe(connection, gpr_id, ObservedJob(state), at)


async def end(ledger: Ledger, gpr_id: UUID, cause: EndCause, at: datetime) -> None:
    async with ledger.transaction() as connection:
        await lifecycle.begin_release(connection, gpr_id, cause, at)


async def finish(ledger: Ledger, gpr_id: UUID, fence: int, at: datetime) -> None:
    async with ledger.transaction() as connection:
        await lifecycle.finish_release(connection, gpr_id, fence, [], at)


async def test_a_job_is_told_at_every_move_with_its_times(ledger: Ledger) -> None:
    node, *_ = await some_nodes(ledger)
    job_id = await a_job(ledger, await a_workspace(ledger), name="train")
    begun = (await look(ledger, job_id)).created_at
    told = []

    async def tell(minutes: int) -> None:
        found = await look(ledger, job_id, begun + timedelta(minutes=minutes))
        told.append((found.phase, found.allocated_gpus, found.pending_seconds, found.running_seconds))

    def at(minutes: int) -> datetime:
        return begun + timedelta(minutes=minutes)

    await tell(5)
    fence = await grant(ledger, job_id, node, at(10))
    await tell(15)
    await activate(ledger, job_id, fence, at(20))
    await tell(25)
    await see(ledger, job_id, JobState.RUNNING, at(30))
    await tell(40)
    await see(ledger, job_id, JobState.SUCCEEDED, at(50))
    await tell(60)
    await finish(ledger, job_id, fence, at(70))
    await tell(99)
    assert told == [
        (WorkloadPhase.PENDING, 0, 300, 0),
        (WorkloadPhase.CREATING, 1, 600, 0),
        (WorkloadPhase.INITIALIZING, 1, 600, 0),
        (WorkloadPhase.RUNNING, 1, 600, 600),
        (WorkloadPhase.TERMINATING, 1, 600, 1200),
        (WorkloadPhase.COMPLETED, 0, 600, 1200),
    ]
    last = await look(ledger, job_id)
    assert (last.type, last.category, last.deleted_at, last.completed_at) == ("Training", "Train", None, at(70))


async def test_what_is_suspended_stops_and_resumes(ledger: Ledger) -> None:
    node, *_ = await some_nodes(ledger)
    gpr_id = await a_gpr(ledger, await a_workspace(ledger))
    begun = (await look(ledger, gpr_id)).created_at
    fence = await grant(ledger, gpr_id, node, begun + timedelta(minutes=1))
    await activate(ledger, gpr_id, fence, begun + timedelta(minutes=2))
    phases = [(await look(ledger, gpr_id)).phase]
    async with ledger.transaction() as connection:
        await suspension.suspend(connection, gpr_id, begun + timedelta(minutes=10), "ann")
    phases.append((await look(ledger, gpr_id)).phase)
    await finish(ledger, gpr_id, fence, begun + timedelta(minutes=11))
    phases.append((await look(ledger, gpr_id)).phase)
    async with ledger.transaction() as connection:
        await suspension.resume(connection, gpr_id, begun + timedelta(minutes=30), "ann")
    waiting = await look(ledger, gpr_id, begun + timedelta(minutes=40))
    phases.append(waiting.phase)
    await grant(ledger, gpr_id, node, begun + timedelta(minutes=50))
    phases.append((await look(ledger, gpr_id)).phase)
    assert phases == [
        WorkloadPhase.RUNNING,
        WorkloadPhase.STOPPING,
        WorkloadPhase.STOPPED,
        WorkloadPhase.PENDING,
        WorkloadPhase.RESUMING,
    ]
    assert (waiting.pending_seconds, waiting.running_seconds) == (60 + 600, 480)


async def test_what_somebody_ended_is_deleted_and_what_ended_by_itself_is_not(ledger: Ledger) -> None:
    nodes = await some_nodes(ledger)
    workspace_id = await a_workspace(ledger)
    deleted = {}
    for cause, node in zip((EndCause.EXPIRED, EndCause.EARLY_RELEASE, EndCause.OPERATOR), nodes, strict=False):
        gpr_id = await a_gpr(ledger, workspace_id, exclusive=False)
        fence = await grant(ledger, gpr_id, node, now())
        await activate(ledger, gpr_id, fence, now())
        await end(ledger, gpr_id, cause, now())
        await finish(ledger, gpr_id, fence, now())
        deleted[cause] = (await look(ledger, gpr_id)).deleted_at is not None
    assert deleted == {EndCause.EXPIRED: False, EndCause.EARLY_RELEASE: True, EndCause.OPERATOR: True}
    async with ledger.transaction() as connection:
        shown = await workloads.page(connection, [workspace_id], ALL, FIRST, now())
        gone = await workloads.page(connection, [workspace_id], WorkloadFilter(is_deleted=True), FIRST, now())
    assert (len(shown), len(gone)) == (1, 2)


async def test_a_new_name_and_priority_are_found_and_the_old_ones_are_not(ledger: Ledger) -> None:
    gpr_id = await a_gpr(ledger, await a_workspace(ledger), name="before")
    async with ledger.transaction() as connection:
        await lifecycle.rename(connection, gpr_id, "afterwards")
        await lifecycle.set_priority(connection, gpr_id, 280, now(), "ann")
    found = await look(ledger, gpr_id)
    assert (found.name, found.priority, found.priority_class) == ("afterwards", 150, "very-high")
    async with ledger.transaction() as connection:
        searched = [
            len(await workloads.page(connection, None, WorkloadFilter(search=word), FIRST, now()))
            for word in ("before", "AFTERW wards")
        ]
    assert searched == [0, 1]


TRUE_COUNTS = """
select workspace_id, is_deleted, phase, count(*) as number, sum(allocated_gpus) as allocated from workload group by 1, 2, 3
"""
KEPT_COUNTS = """
select workspace_id, is_deleted, phase, sum(number)::bigint as number, sum(allocated)::bigint as allocated
from workload_counts where not is_total group by 1, 2, 3 having sum(number) <> 0
"""
KEPT_TOTALS = """
select is_deleted, phase, sum(number)::bigint from workload_counts where is_total group by 1, 2 having sum(number) <> 0
"""
TRUE_TOTALS = "select is_deleted, phase, count(*) from workload group by 1, 2"


async def test_what_is_counted_as_it_comes_is_what_there_is(ledger: Ledger) -> None:
    nodes = itertools.cycle(await some_nodes(ledger, count=4))
    for number in range(3):
        workspace_id = await a_workspace(ledger)
        for turn in range(4):
            gpr_id = await a_gpr(ledger, workspace_id, exclusive=False, name=f"g{turn}")
            if turn == number:
                continue
            fence = await grant(ledger, gpr_id, next(nodes), now())
            await activate(ledger, gpr_id, fence, now())
            await end(ledger, gpr_id, EndCause.EXPIRED, now())
            await finish(ledger, gpr_id, fence, now())
            async with ledger.transaction() as connection:
                if turn % 2:
                    await connection.execute("select workload_fold()")
                kept, true = [sorted(map(tuple, await connection.fetch(one))) for one in (KEPT_COUNTS, TRUE_COUNTS)]
                assert kept == true
                kept, true = [sorted(map(tuple, await connection.fetch(one))) for one in (KEPT_TOTALS, TRUE_TOTALS)]
                assert kept == true


async def test_counts_by_group_are_named_and_agree_with_the_list(ledger: Ledger) -> None:
    one, other = await a_workspace(ledger), await a_workspace(ledger)
    for workspace_id in (one, one, other):
        await a_gpr(ledger, workspace_id, exclusive=False)
    await a_job(ledger, other)
    async with ledger.transaction() as connection:
        found = await workloads.counts(connection, None, ALL, [Grouping.PROJECT, Grouping.TYPE], now())
        mine = await workloads.counts(connection, [one], ALL, [Grouping.PHASE], now())
        number = await workloads.count(connection, [other], ALL, now())
    assert {(each.keys, each.number) for each in found} == {
        ((str(one), "Reservation"), 2),
        ((str(other), "Reservation"), 1),
        ((str(other), "Training"), 1),
    }
    assert [(each.keys, each.number) for each in mine] == [(("pending",), 2)]
    assert number == 2


async def test_every_order_is_the_reverse_of_its_other_direction(ledger: Ledger) -> None:
    workspace_id = await a_workspace(ledger)
    for name in ("b", "a", "b", "c"):
        await a_gpr(ledger, workspace_id, exclusive=False, name=name)
    for field in (None, *Field):
        async with ledger.transaction() as connection:
            up, down = [
                [
                    one.sequence
                    for one in await workloads.page(
                        connection, None, ALL, WorkloadPage(field, is_descending=descending), now()
                    )
                ]
                for descending in (False, True)
            ]
        assert up == down[::-1]
        assert len(up) == 4
