"""A Gpr that becomes active is held against every start that was shown of it, once, however often the step runs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY

from activities.bookkeeping import LedgerBookkeeping
from delivery.courier import Courier
from delivery.temporal import TemporalAddress, TemporalDoor
from domain.gpr import Estimate, PlannedStart
from domain.hardware import Gpu
from domain.honesty import horizon_of
from ledger import arbitration, leases
from tests.builders import a_gpr, a_workspace, now, some_nodes
from workflows.signatures.leases import FencedGprAt

if TYPE_CHECKING:
    from uuid import UUID

    from ledger.connection import Ledger

AHEAD = timedelta(minutes=30)
HORIZON = horizon_of(AHEAD.total_seconds())
SAMPLES = (
    ("berth_estimates_judged_total", {"horizon": HORIZON, "inside": "true"}),
    ("berth_estimates_judged_total", {"horizon": HORIZON, "inside": "false"}),
    ("berth_estimate_error_seconds_sum", {"horizon": HORIZON}),
)


def measured() -> list[float]:
    return [REGISTRY.get_sample_value(name, labels) or 0.0 for name, labels in SAMPLES]


async def shown_and_granted(ledger: Ledger, error: timedelta) -> tuple[UUID, int]:
    """A Gpr that was shown a start of half an hour later, and the fence of its lease."""
    (node, *_) = await some_nodes(ledger)
    gpr_id = await a_gpr(ledger, await a_workspace(ledger))
    async with ledger.transaction() as connection:
        starts = now() - error
        estimate = Estimate(starts, 1, "waiting_for_gpus", "", starts, starts + timedelta(minutes=1))
        shown = {str(gpr_id): PlannedStart(estimate, "worker-1", (node,))}
        await arbitration.write_estimates(connection, shown, starts - AHEAD)
        fence = await leases.grant(connection, gpr_id, "worker-1", [Gpu(node, 0)], now())
    assert fence is not None
    return gpr_id, fence


async def activated(ledger: Ledger, error: timedelta) -> list[float]:
    """By how much each of the measures grew when it was activated, twice."""
    steps = LedgerBookkeeping(ledger, Courier(ledger, TemporalDoor(TemporalAddress("127.0.0.1:1"))))
    gpr_id, fence = await shown_and_granted(ledger, error)
    before = measured()
    for _ in range(2):
        await steps.activate_gpr(FencedGprAt(str(gpr_id), fence, now()))
    return [after - was for after, was in zip(measured(), before, strict=True)]


async def test_a_start_inside_its_interval_is_counted_once_with_its_error(ledger: Ledger) -> None:
    inside, outside, error = await activated(ledger, timedelta(seconds=20))
    assert (inside, outside) == (1.0, 0.0)
    assert 20 <= error < 60


async def test_a_start_that_came_late_is_outside(ledger: Ledger) -> None:
    inside, outside, error = await activated(ledger, timedelta(minutes=5))
    assert (inside, outside) == (0.0, 1.0)
    assert 300 <= error < 340


async def test_a_step_of_an_earlier_lease_settles_nothing(ledger: Ledger) -> None:
    steps = LedgerBookkeeping(ledger, Courier(ledger, TemporalDoor(TemporalAddress("127.0.0.1:1"))))
    gpr_id, fence = await shown_and_granted(ledger, timedelta(seconds=20))
    before = measured()
    await steps.activate_gpr(FencedGprAt(str(gpr_id), fence - 1, now()))
    assert measured() == before
