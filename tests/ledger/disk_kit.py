"""A disk and its boxes in the ledger, moved on as their workflows would move them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from domain.disk import Disk, DiskAction, DiskOperation, Snapshot, VolumeOrder
from domain.gpr import EndCause
from domain.hardware import Gpu
from ledger import disks, gprs, leases, lifecycle, outbox
from tests.builders import a_box, a_disk, a_workspace, now, some_nodes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from domain.messages import OutboxMessage
    from ledger.connection import Ledger


@dataclass
class DiskScene:
    """One disk in a workspace on one cluster of four nodes."""

    ledger: Ledger
    workspace_id: UUID
    disk_id: UUID
    nodes: list[str]

    @property
    def namespace(self) -> str:
        return "dev-ada-ns"

    async def box(self, **changes: Any) -> UUID:
        """A queued box that needs the disk."""
        return await a_box(self.ledger, self.workspace_id, disk_id=self.disk_id, **changes)

    async def grant(self, box_id: UUID, node: int = 0, cluster: str = "worker-1") -> int | None:
        async with self.ledger.transaction() as connection:
            return await leases.grant(connection, box_id, cluster, [Gpu(self.nodes[node], 0)], now())

    async def volume(self, box_id: UUID, fence: int, cluster: str = "worker-1") -> VolumeOrder:
        async with self.ledger.transaction() as connection:
            return await disks.volume_for(connection, box_id, fence, cluster, self.namespace, now())

    async def seen(self, volume: str) -> None:
        async with self.ledger.transaction() as connection:
            await disks.volume_seen(connection, self.disk_id, volume)

    async def activate(self, box_id: UUID, fence: int) -> None:
        async with self.ledger.transaction() as connection:
            await lifecycle.activate(connection, box_id, fence, now())

    async def up(self, node: int = 0) -> tuple[UUID, int]:
        """A box that is active, with the disk's volume; and its fence."""
        box_id = await self.box()
        fence = await self.grant(box_id, node)
        assert fence is not None
        await self.seen((await self.volume(box_id, fence)).volume)
        await self.activate(box_id, fence)
        return box_id, fence

    async def end(self, box_id: UUID, fence: int, cause: EndCause = EndCause.CANCELLED) -> list[OutboxMessage]:
        """What Temporal is told when its teardown has come to its end."""
        async with self.ledger.transaction() as connection:
            await lifecycle.begin_release(connection, box_id, cause, now())
            _, ids = await lifecycle.finish_release(connection, box_id, fence, [], now())
        return await self.told(ids)

    async def told(self, ids: Sequence[int]) -> list[OutboxMessage]:
        async with self.ledger.transaction() as connection:
            return [stored.message for stored in await outbox.claim(connection, ids)]

    async def ask(self, action: DiskAction, **argument: object) -> UUID:
        """Id of a new operation."""
        operation_id = uuid4()
        async with self.ledger.transaction() as connection:
            await disks.request(connection, self.disk_id, operation_id, action, argument, None, now())
        return operation_id

    async def settle(self, operation_id: UUID, error: str = "") -> list[OutboxMessage]:
        async with self.ledger.transaction() as connection:
            ids = await disks.settle(connection, operation_id, error=error, result={}, now=now())
        return await self.told(ids)

    async def copied(self, operation_id: UUID, *, keeps_volume: bool = False) -> Snapshot:
        """Take the snapshot that this operation asks for, as far as its settlement."""
        async with self.ledger.transaction() as connection:
            snapshot = await disks.snapshot_begun(connection, operation_id, now())
            await disks.snapshot_ready(connection, snapshot.id, 5, now())
            if not keeps_volume:
                disk = await disks.find(connection, self.disk_id)
                await disks.volume_gone(connection, self.disk_id, disk.volume, now())
        await self.settle(operation_id)
        return snapshot

    async def through(self, node: int = 0) -> Snapshot:
        """A box from its grant to the copy of what it wrote."""
        await self.end(*await self.up(node))
        return await self.copied((await self.operations())[0].id)

    async def found(self) -> Disk:
        async with self.ledger.reading() as connection:
            return await disks.find(connection, self.disk_id)

    async def operations(self) -> list[DiskOperation]:
        """Newest first."""
        async with self.ledger.reading() as connection:
            return await disks.operations(connection, self.disk_id, 50)

    async def phase_of(self, box_id: UUID) -> str:
        async with self.ledger.reading() as connection:
            return (await gprs.find(connection, box_id)).phase

    async def make_older(self, snapshot: Snapshot, days: int) -> None:
        statement = "update disk_snapshot set ready_at = ready_at - $2::interval where id = $1"
        async with self.ledger.transaction() as connection:
            await connection.execute(statement, snapshot.id, timedelta(days=days))


async def a_disk_scene(ledger: Ledger, name: str = "thesis") -> DiskScene:
    workspace_id = await a_workspace(ledger, "dev-ada", clusters=("worker-1", "worker-2"))
    nodes = await some_nodes(ledger)
    return DiskScene(ledger, workspace_id, await a_disk(ledger, workspace_id, name), nodes)
