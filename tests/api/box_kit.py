"""Boxes and disks wished for through the operations themselves, and moved on as their lifecycles would move them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from api.backends import Backends
from api.operations import boxes as box_wishes
from api.operations.boxes import BoxSubmission, Submitted
from api.operations.call import Call
from arbitration import arbiter_pass
from domain.disk import DiskAction, OperationStatus
from domain.gpr import EndCause, Phase
from domain.identity import Caller
from domain.workspace import WorkspacePhase
from ledger import disks, gprs, leases, lifecycle, personal

if TYPE_CHECKING:
    from domain.disk import Disk
    from domain.gpr import Gpr
    from ledger.leases import OpenLease
    from tests.api.api_kit import TheApi

LOOKS_FOR_SECONDS = 0.05
"""How long a wish waits for a workflow: there is none here."""
HOME_SECONDS_MAX = 30.0


@dataclass
class BoxOwner:
    """Somebody with boxes and disks of their own."""

    api: TheApi
    caller: Caller

    def call(self, key: str | None = None) -> Call:
        clock = self.api.clock
        backends = Backends(self.api.ledger, self.api.courier, self.api.issuer, clock, LOOKS_FOR_SECONDS)
        return Call(backends, self.caller, clock(), key)

    async def submit(self, **wish: Any) -> Submitted:
        """A T4 for an hour, where nothing is said."""
        fields = {"hours": 1, "nodes": 1, "gpus_per_node": 1, "image": "box", "shape": "Tesla-T4", **wish}
        return await box_wishes.submit(self.call(), BoxSubmission(**fields))

    async def box(self, phase: Phase = Phase.QUEUED, **wish: Any) -> UUID:
        """Id of a new box, moved on to this phase."""
        box_id = (await self.submit(**wish)).id
        if phase in {Phase.PROVISIONING, Phase.ACTIVE}:
            await self.grant()
        if phase is Phase.ACTIVE:
            await self.activate(box_id)
        return box_id

    async def grant(self) -> None:
        await self._home()
        await arbiter_pass.grant(self.api.ledger, self.api.clock())

    async def estimate(self) -> None:
        await arbiter_pass.estimate(self.api.ledger, self.api.clock())

    async def _home(self) -> None:
        """A new workspace is made ready beside the test, as by its workflow; before that nothing in it is planned."""
        async with asyncio.timeout(HOME_SECONDS_MAX):
            while True:
                async with self.api.ledger.reading() as connection:
                    found = await personal.find(connection, self.caller.principal.id)
                if found is None or found.phase is not WorkspacePhase.CREATING:
                    return
                await asyncio.sleep(LOOKS_FOR_SECONDS)

    async def gpr(self, box_id: UUID) -> Gpr:
        async with self.api.ledger.reading() as connection:
            return await gprs.find(connection, box_id)

    async def leases_of(self, disk_id: UUID) -> list[OpenLease]:
        async with self.api.ledger.reading() as connection:
            return [one for one in await leases.open_leases(connection) if one.disk_id == str(disk_id)]

    async def disk(self, disk_id: UUID) -> Disk:
        async with self.api.ledger.reading() as connection:
            return await disks.find(connection, disk_id)

    async def activate(self, box_id: UUID) -> None:
        """As its workflow does it: the volume is there first."""
        gpr = await self.gpr(box_id)
        async with self.api.ledger.transaction() as connection:
            if gpr.request.disk_id is not None:
                place = (gpr.cluster, gpr.request.namespace)
                order = await disks.volume_for(connection, box_id, gpr.fence or 0, *place, self.api.clock())
                await disks.volume_seen(connection, order.disk_id, order.volume)
            await lifecycle.activate(connection, box_id, gpr.fence or 0, self.api.clock())

    async def end(self, box_id: UUID) -> None:
        """Until everything that it held is free."""
        async with self.api.ledger.transaction() as connection:
            await lifecycle.begin_release(connection, box_id, EndCause.CANCELLED, self.api.clock())
            fence = (await gprs.find(connection, box_id)).fence or 0
            await lifecycle.finish_release(connection, box_id, fence, [], self.api.clock())

    async def carry_out(self, disk_id: UUID) -> None:
        """What is to be done with a disk, as its workflows do it, until nothing is left to do."""
        while True:
            async with self.api.ledger.transaction() as connection:
                found = await disks.operations(connection, disk_id, 50)
                running = [one for one in found if one.status is OperationStatus.RUNNING]
                if not running:
                    return
                if running[0].action is DiskAction.SNAPSHOT:
                    snapshot = await disks.snapshot_begun(connection, running[0].id, self.api.clock())
                    await disks.snapshot_ready(connection, snapshot.id, 1, self.api.clock())
                    volume = (await disks.find(connection, disk_id)).volume
                    await disks.volume_gone(connection, disk_id, volume, self.api.clock())
                await disks.settle(connection, running[0].id, error="", result={}, now=self.api.clock())


async def an_owner(api: TheApi, name: str = "") -> BoxOwner:
    someone = await api.someone(name)
    return BoxOwner(api, Caller(someone.principal, someone.key_id))
