"""A workspace is deleted at the very moment at which one of its Gprs gets its GPUs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from domain.gpr import Phase
from domain.hardware import Gpu
from ledger import gprs, inventory, leases

if TYPE_CHECKING:
    from tests.api.api_kit import TheApi

MEETING_SECONDS = 0.3
"""Long enough for the deletion to come to the row that the grant holds."""


async def test_the_deletion_is_refused_and_nothing_of_it_stays(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    granted, waiting = await api.gpr(me, workspace), await api.gpr(me, workspace)
    async with api.ledger.transaction() as connection:
        gpr_id = await gprs.id_of_external(connection, granted)
        assert gpr_id
        free = (await inventory.nodes(connection, "worker-1"))[0]
        await leases.grant(connection, gpr_id, "worker-1", [Gpu(free.name, 0)], api.clock())
        body = {"workspaceName": workspace}
        deletion = asyncio.create_task(api.call("DELETE", "/api/v1/slice-workspace", me, json=body))
        await asyncio.sleep(MEETING_SECONDS)
        assert not deletion.done()
    assert (await deletion).status_code == 409
    phases = [(await api.call("GET", f"/berth/v1/gprs/{one}", me)).json()["phase"] for one in (granted, waiting)]
    assert phases == [Phase.PROVISIONING, Phase.QUEUED]
