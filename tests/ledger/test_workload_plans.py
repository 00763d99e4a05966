"""The plans of lists of workloads with many rows: an order or a filter never reads all of them, and counts read none."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import pytest_asyncio

from domain.workload import KIND_OF, Condition, Field, FieldKind, Operator
from ledger.connection import Ledger
from ledger.statements import load
from ledger.workload_clauses import COUNTED, GROWING, NOWHERE, OF_A_WORKSPACE, Parameters, order, where

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cli.stack.testing import Postgres

SQL = load("workloads")
ROWS = 20_000
NOW = datetime(2026, 6, 1, tzinfo=UTC)
FILL = """
set session_replication_role = replica;
insert into workload (sequence, gpr_id, workspace_id, is_deleted, name, kind, type, category, cluster, cluster_id,
                      project_id, project, department, department_id, submitter, pool, phase, phase_updated_at, created_at,
                      completed_at, deleted_at,
                      priority, priority_class, allocated_gpus, idle_gpus, pending_key, running_key)
select i, md5('g' || i)::uuid, md5('w' || i % 50)::uuid, i % 5 = 0, 'work-' || substr(md5(i::text), 1, 8), 'gpr',
       'type-' || i % 9,
       'category-' || i % 9, 'c' || i % 9, 'c' || i % 9, md5('w' || i % 50)::uuid::text, 'project-' || i % 50,
       'department-' || i % 9, 'd' || i % 9, 'person-' || i % 50, 'pool-' || i % 9,
       (array['pending', 'running', 'completed', 'failed'])[1 + i % 4],
       timestamptz '2026-01-01' + i * interval '1 minute', timestamptz '2026-01-01' + i * interval '1 minute',
       case when i % 4 > 1 then timestamptz '2026-01-01' + i * interval '2 minutes' end,
       case when i % 5 = 0 then timestamptz '2026-01-01' + i * interval '2 minutes' end,
       i % 200, 'class-' || i % 7, i % 100, i % 100, case when i % 4 = 0 then i - 1780272000 else i end,
       case when i % 4 = 1 then i - 1780272000 else i end
from generate_series(1, 20000) i;
insert into workload_tally (workspace_id, is_deleted, project, department, department_id, cluster, cluster_id, type, category,
                            pool, phase, number, allocated, idle)
select null::uuid, is_deleted, '', department, department_id, cluster, cluster_id, type, category, pool, phase, count(*), 0, 0
from workload group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11;
insert into workload_words (sequence, words, grams) select sequence, name, trigrams(name) from workload;
reset session_replication_role;
analyze workload, workload_words, workload_tally;
"""
RARE: dict[FieldKind, Any] = {
    FieldKind.TEXT: "nobody",
    FieldKind.NUMBER: 10**6,
    FieldKind.INSTANT: NOW.replace(year=2030),
}


@pytest_asyncio.fixture(scope="module")
async def many(postgres: Postgres, migrated_template: str) -> AsyncIterator[Ledger]:
    ledger = Ledger(postgres.create_database(template=migrated_template))
    async with ledger.reading() as connection:
        await connection.execute(FILL, timeout=300)
    yield ledger
    await ledger.close()


async def plan_of(ledger: Ledger, statement: str, parameters: Parameters) -> str:
    async with ledger.transaction() as connection:
        await connection.fetch(SQL["plan_each_anew"])
        plan = await connection.fetch(f"explain (analyze, timing off) {statement}", *parameters.values)
    return "\n".join(row[0] for row in plan)


async def rows_read(ledger: Ledger, statement: str, parameters: Parameters) -> int:
    """How many rows of workloads were looked at, by whichever way."""
    plan = await plan_of(ledger, statement, parameters)
    text = "\n".join(line for line in plan.splitlines() if "never executed" not in line)
    assert not re.search(r"Seq Scan on workload(_words)? ", text), text
    scans = re.findall(r"Scan.* on workload\b.*rows=([\d.]+) loops=(\d+)", text)
    removed = re.findall(r"Rows Removed by Filter: (\d+)", text)
    return sum(int(float(rows) * int(loops)) for rows, loops in scans) + sum(map(int, removed))


def listed(
    sort: Field | None, *conditions: Condition, is_descending: bool = False, limit: int = 50
) -> tuple[str, Parameters]:
    parameters = Parameters([None, False, limit, 0])
    if sort in GROWING:
        parameters.values.append(int(NOW.timestamp()))
        name = "page_by_pending" if sort is Field.PENDING_SECONDS else "page_by_running"
        text = SQL[name].replace("/*by*/", "desc" if is_descending else "")
    else:
        by = order(sort, parameters, NOW, is_descending=is_descending)
        text = SQL["page"].replace("/*by*/ w.sequence", by)
    return text.replace("/*and*/", where(conditions, "", parameters, NOW)), parameters


@pytest.mark.parametrize("sort", [None, *Field])
@pytest.mark.parametrize("is_descending", [False, True])
async def test_an_order_reads_no_more_than_its_first_rows(
    many: Ledger, sort: Field | None, is_descending: bool
) -> None:
    assert await rows_read(many, *listed(sort, is_descending=is_descending)) <= 100


SELECTIVE = [
    (field, operator)
    for field in Field
    if field not in NOWHERE
    for operator in (Operator.IS, Operator.AT_LEAST, Operator.BEGINS)
    if operator is not Operator.BEGINS or KIND_OF[field] is FieldKind.TEXT
]


PARTS = [
    (field, operator) for field in sorted(COUNTED - OF_A_WORKSPACE) for operator in (Operator.CONTAINS, Operator.ENDS)
]
"""Of words that are counted."""


@pytest.mark.parametrize(("field", "operator"), [*SELECTIVE, *PARTS])
async def test_a_filter_that_finds_nothing_reads_hardly_anything(
    many: Ledger, field: Field, operator: Operator
) -> None:
    value = RARE[KIND_OF[field]]
    if KIND_OF[field] is FieldKind.TEXT:
        value = "zzz"
    assert await rows_read(many, *listed(None, Condition(field, operator, value))) <= 100


@pytest.mark.parametrize(
    ("operator", "part", "found"),
    [(Operator.CONTAINS, "egory", 50), (Operator.ENDS, "egory-7", 50), (Operator.ENDS, "egory", 0)],
)
async def test_a_part_of_a_word_that_is_counted_finds_what_has_it(
    many: Ledger, operator: Operator, part: str, found: int
) -> None:
    statement, parameters = listed(None, Condition(Field.CATEGORY, operator, part))
    async with many.reading() as connection:
        assert len(await connection.fetch(statement, *parameters.values)) == found


@pytest.mark.parametrize("operator", [Operator.CONTAINS, Operator.ENDS])
async def test_parts_of_names_are_found_by_their_letters(many: Ledger, operator: Operator) -> None:
    assert await rows_read(many, *listed(Field.CREATED_AT, Condition(Field.NAME, operator, "c4ca4238"))) <= 100


async def test_a_search_for_what_is_rare_is_found_by_its_letters(many: Ledger) -> None:
    parameters = Parameters([None, False, 50, 0])
    text = SQL["page"].replace("/*and*/", where((), "c4ca4238", parameters, NOW)).replace("/*by*/", "")
    assert await rows_read(many, text, parameters) <= 100


async def test_where_few_may_be_seen_only_those_are_read(many: Ledger) -> None:
    few = [UUID(bytes=bytes.fromhex("00" * 16))]
    parameters = Parameters([few, False, 50, 0])
    by = order(Field.NAME, parameters, NOW, is_descending=False)
    assert await rows_read(many, SQL["page_of_few"].replace("/*by*/ w.sequence", by), parameters) == 0


@pytest.mark.parametrize("field", sorted(COUNTED))
async def test_counts_of_what_is_counted_read_no_workload(many: Ledger, field: Field) -> None:
    for name, more in (("tally", []), ("groups", ["type", "phase", []])):
        parameters = Parameters([None, False, False, *more])
        clause = where([Condition(field, Operator.IS_NOT, "nobody")], "", parameters, NOW)
        plan = await plan_of(many, SQL[name].replace("/*and*/", clause), parameters)
        assert not re.search(r" on workload\b", plan)
        assert " on workload_tally" in plan


async def test_waits_read_only_what_waits(many: Ledger) -> None:
    parameters = Parameters([None, False, NOW, "", "", [300.0, 3600.0]])
    waiting = ROWS * 4 // 5 // 4
    assert await rows_read(many, SQL["waits"], parameters) <= waiting
