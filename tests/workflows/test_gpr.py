"""The life of a Gpr in skipped time, on the real ledger and a real cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.gpr import Phase

if TYPE_CHECKING:
    from tests.workflows.stage import Stage


async def test_a_thirty_day_lease_expires_and_leaves_nothing_behind(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    gpr_id = await stage.a_granted_gpr(workspace, duration_seconds=30 * 86_400)
    lifecycle = await stage.start(gpr_id)
    assert await lifecycle.result() == Phase.EXPIRED
    after = await stage.gpr(gpr_id)
    assert after.finished_at is not None
    assert after.active_at is not None
    assert (after.finished_at - after.active_at).days == 30
    await stage.assert_nothing_left(workspace)
