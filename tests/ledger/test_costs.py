"""What leases cost over a span of time, whose it was, and which part of it nobody used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from domain.costs import CostsBy
from domain.gpr import EndCause
from domain.hardware import Gpu
from domain.prices import Price
from ledger import costs, gprs, leases, lifecycle, prices, sample_upkeep
from tests.builders import a_workspace, some_nodes
from tests.ledger.hardware_kit import CLUSTER, an_active_gpr, did, some_gpus

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from domain.costs import Costs
    from ledger.connection import Ledger

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
HOUR = timedelta(hours=1)
SHAPE = "T4"


async def priced(ledger: Ledger, amount: str | None, since: datetime = NOW - 100 * HOUR) -> None:
    async with ledger.transaction() as connection:
        price = Price(SHAPE, since, None if amount is None else Decimal(amount), "ada", since)
        await prices.set_price(connection, price)


async def report(
    ledger: Ledger,
    by: CostsBy = CostsBy.GPR,
    begin: datetime = NOW - 10 * HOUR,
    end: datetime = NOW,
    *,
    workspace_ids: Collection[UUID] | None = None,
    limit: int = 100,
) -> Costs:
    async with ledger.reading() as connection:
        return await costs.costs(connection, by, begin, end, NOW, workspace_ids=workspace_ids, limit=limit)


async def ended(ledger: Ledger, gpr_id: UUID, at: datetime) -> None:
    async with ledger.transaction() as connection:
        fence = (await gprs.find(connection, gpr_id)).fence or 0
        await lifecycle.begin_release(connection, gpr_id, EndCause.EARLY_RELEASE, at)
        await lifecycle.finish_release(connection, gpr_id, fence, [], at + HOUR)


async def a_run(ledger: Ledger, node: str, ordinal: int, begin: float, end: float | None, **more: Any) -> UUID:
    """A Gpr on one GPU, so many hours ago until so many hours ago."""
    gpr_id = await an_active_gpr(ledger, Gpu(node, ordinal), since=NOW - begin * HOUR, **more)
    if end is not None:
        await ended(ledger, gpr_id, NOW - end * HOUR)
    return gpr_id


async def test_a_lease_costs_what_lies_in_the_span_and_a_late_teardown_is_nobodys(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1, gpus=3)
    await priced(ledger, "2")
    before = await a_run(ledger, node, 0, 12, 7)
    running = await a_run(ledger, node, 1, 4, None)
    await a_run(ledger, node, 2, 20, 11)
    found = await report(ledger)
    assert {(one.key, one.gpu_seconds, one.amount) for one in found.items} == {
        (str(before), 3 * 3600, Decimal(6)),
        (str(running), 4 * 3600, Decimal(8)),
    }
    assert (found.total.gpu_seconds, found.total.amount) == (7 * 3600, Decimal(14))


async def test_each_hour_costs_what_it_cost_then_and_without_a_price_there_are_hours_only(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1)
    await a_run(ledger, node, 0, 4, 0)
    assert [(one.gpu_seconds, one.amount) for one in (await report(ledger)).items] == [(4 * 3600, None)]
    await priced(ledger, "1", NOW - 3 * HOUR)
    await priced(ledger, "5", NOW - 2 * HOUR)
    await priced(ledger, None, NOW - HOUR)
    assert [one.amount for one in (await report(ledger)).items] == [Decimal(6)]


async def test_costs_are_added_up_by_workspace_and_by_department(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1, gpus=3)
    await priced(ledger, "1")
    one, two = await a_workspace(ledger, "one"), await a_workspace(ledger, "two")
    async with ledger.transaction() as connection:
        await connection.execute("update workspace set department = 'research'")
    for ordinal, workspace in enumerate((one, one, two)):
        await a_run(ledger, node, ordinal, 2, 1, workspace=workspace)
    by_workspace = await report(ledger, CostsBy.WORKSPACE)
    assert [(each.key, each.amount) for each in by_workspace.items] == [("one", Decimal(2)), ("two", Decimal(1))]
    by_department = await report(ledger, CostsBy.DEPARTMENT)
    assert [(each.key, each.amount) for each in by_department.items] == [("research", Decimal(3))]
    mine = await report(ledger, CostsBy.WORKSPACE, workspace_ids=[two])
    assert [each.key for each in mine.items] == ["two"]


async def test_the_sum_is_of_all_also_where_only_the_most_expensive_are_shown(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1, gpus=3)
    await priced(ledger, "1")
    for ordinal, hours in enumerate((1, 3, 2)):
        await a_run(ledger, node, ordinal, hours, 0)
    found = await report(ledger, limit=1)
    assert [one.amount for one in found.items] == [Decimal(3)]
    assert found.total.amount == Decimal(6)


async def test_the_idle_part_is_the_share_of_time_that_was_seen_to_be_unused(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1, gpus=2)
    ids = await some_gpus(ledger, node, each=2, at=NOW - 5 * HOUR)
    await priced(ledger, "1")
    gpr_id = await an_active_gpr(ledger, Gpu(node, 0), Gpu(node, 1), since=NOW - 4 * HOUR)
    await did(ledger, ids[node, 0], NOW - 4 * HOUR, NOW - 3 * HOUR, 90)
    await did(ledger, ids[node, 0], NOW - 3 * HOUR, NOW - HOUR, 1)
    await sample_upkeep.roll_up(ledger, NOW)
    (one,) = (await report(ledger)).items
    assert one.key == str(gpr_id)
    assert (one.gpu_seconds, one.seen_gpu_seconds, one.idle_gpu_seconds) == (8 * 3600, 3 * 3600, 2 * 3600)
    assert (one.amount, one.idle_amount) == (Decimal(8), Decimal(2))


async def test_every_lease_of_a_gpr_counts_with_the_time_that_it_ran(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1)
    await priced(ledger, "1")
    gpr_id = await an_active_gpr(ledger, Gpu(node, 0), since=NOW - 9 * HOUR)
    async with ledger.transaction() as connection:
        fence = (await gprs.find(connection, gpr_id)).fence or 0
        await lifecycle.begin_release(connection, gpr_id, EndCause.SUSPENDED, NOW - 7 * HOUR)
        await lifecycle.finish_release(connection, gpr_id, fence, [], NOW - 6 * HOUR)
        again = await leases.grant(connection, gpr_id, CLUSTER, [Gpu(node, 0)], NOW - 2 * HOUR) or 0
        await lifecycle.activate(connection, gpr_id, again, NOW - HOUR)
    (one,) = (await report(ledger)).items
    assert (one.gpu_seconds, one.amount) == (3 * 3600, Decimal(3))


async def test_a_lease_that_never_became_active_costs_nothing(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1)
    gpr_id = await an_active_gpr(ledger, Gpu(node, 0), since=NOW - HOUR)
    async with ledger.transaction() as connection:
        await connection.execute("update lease set ran = null where gpr_id = $1", gpr_id)
    found = await report(ledger)
    assert (found.items, found.total.gpu_seconds, found.total.amount) == ((), 0.0, None)


async def test_a_release_that_began_after_the_end_is_counted_to_the_end(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1)
    gpr_id = await an_active_gpr(ledger, Gpu(node, 0), since=NOW - 5 * HOUR)
    async with ledger.transaction() as connection:
        await connection.execute("update gpr set end_at = $2 where id = $1", gpr_id, NOW - 3 * HOUR)
    assert [one.gpu_seconds for one in (await report(ledger)).items] == [2 * 3600]
    await ended(ledger, gpr_id, NOW - 2 * HOUR)
    assert [one.gpu_seconds for one in (await report(ledger)).items] == [2 * 3600]
