"""A disk in the ledger: held by one lease, its data in one place, one thing done with it at a time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from domain.disk import RETENTION, DiskAction, DiskPhase, OperationStatus, SnapshotPhase
from domain.failures import AlreadyExists, DataMissing, FenceLost, Gone, InUse, InvalidRequest, WrongPhase
from domain.gpr import EndCause
from domain.messages import WANTED_BACK_SIGNAL, kick_arbiter, start_disk_operation, want_back
from ledger import disks, workspaces
from tests.builders import a_disk, a_workspace, now, some_nodes
from tests.ledger.disk_kit import DiskScene, a_disk_scene

if TYPE_CHECKING:
    from ledger.connection import Ledger


@pytest_asyncio.fixture
async def scene(ledger: Ledger) -> DiskScene:
    return await a_disk_scene(ledger)


# --- who has it -------------------------------------------------------------------------------------------------------


async def test_a_disk_is_granted_to_one_box_at_a_time(scene: DiskScene) -> None:
    first, second = await scene.box(), await scene.box()
    assert await scene.grant(first, 0) is not None
    assert await scene.grant(second, 1) is None
    assert (await scene.found()).held_by == first


async def test_the_database_itself_refuses_two_leases_of_one_disk(scene: DiskScene) -> None:
    await scene.up()
    insert = """insert into lease (gpr_id, workspace_id, cluster, exclusive, disk_id, granted_at)
                select $1, workspace_id, 'worker-1', false, $2, now() from gpr where id = $1"""
    other = await scene.box()
    with pytest.raises(asyncpg.UniqueViolationError, match="one_lease_per_disk"):
        async with scene.ledger.transaction() as connection:
            await connection.execute(insert, other, scene.disk_id)


async def test_a_disk_with_data_is_granted_only_where_the_data_is(scene: DiskScene) -> None:
    await scene.through()
    await some_nodes(scene.ledger, "worker-2")
    assert await scene.grant(await scene.box(), cluster="worker-2") is None


async def test_a_disk_with_which_something_is_done_is_granted_to_nobody(scene: DiskScene) -> None:
    operation_id = await scene.ask(DiskAction.RENAME, name="other")
    box = await scene.box()
    assert await scene.grant(box) is None
    assert kick_arbiter() in await scene.settle(operation_id)
    assert await scene.grant(box) is not None


@pytest.mark.parametrize(
    ("action", "argument"),
    [
        (DiskAction.RENAME, {"name": "other"}),
        (DiskAction.RESIZE, {"size_gb": 40}),
        (DiskAction.DELETE, {}),
        (DiskAction.SNAPSHOT, {}),
    ],
)
async def test_what_a_box_has_or_waits_for_is_left_as_it_is(
    scene: DiskScene, action: DiskAction, argument: dict[str, object]
) -> None:
    box = await scene.box()
    with pytest.raises(InUse, match="waited for by"):
        await scene.ask(action, **argument)
    await scene.grant(box)
    with pytest.raises(InUse, match=f"in use by {box}"):
        await scene.ask(action, **argument)


# --- where its data is ------------------------------------------------------------------------------------------------


async def test_the_first_volume_is_empty_and_a_repeat_names_the_same_one(scene: DiskScene) -> None:
    box = await scene.box()
    fence = await scene.grant(box)
    assert fence is not None
    order = await scene.volume(box, fence)
    assert (order.restore_from, order.is_new) == ("", True)
    assert await scene.volume(box, fence) == order
    await scene.seen(order.volume)
    assert not (await scene.volume(box, fence)).is_new


async def test_the_end_of_a_box_asks_for_a_copy_and_the_next_volume_is_made_from_it(scene: DiskScene) -> None:
    box, fence = await scene.up()
    told = await scene.end(box, fence)
    (operation,) = await scene.operations()
    assert (operation.action, operation.status) == (DiskAction.SNAPSHOT, OperationStatus.RUNNING)
    assert start_disk_operation(str(operation.id)) in told
    assert (await scene.found()).is_backing_up
    snapshot = await scene.copied(operation.id)
    disk = await scene.found()
    assert (disk.restore_from, disk.volume, disk.is_backing_up, disk.snapshots) == (snapshot.id, "", False, 1)
    second = await scene.box()
    fence = await scene.grant(second)
    assert fence is not None
    order = await scene.volume(second, fence)
    assert (order.restore_from, order.is_new) == (snapshot.name, True)
    assert order.volume.endswith("-2")


async def test_a_release_that_is_finished_twice_asks_for_one_copy(scene: DiskScene) -> None:
    box, fence = await scene.up()
    await scene.end(box, fence)
    await scene.end(box, fence)
    assert len(await scene.operations()) == 1


async def test_a_volume_whose_copy_failed_stays_and_the_next_box_gets_it(scene: DiskScene) -> None:
    box, fence = await scene.up()
    volume = (await scene.found()).volume
    await scene.end(box, fence)
    operation = (await scene.operations())[0]
    async with scene.ledger.transaction() as connection:
        snapshot = await disks.snapshot_begun(connection, operation.id, now())
        await disks.snapshot_failed(connection, snapshot.id, "no room", now())
    await scene.settle(operation.id, "no room")
    second = await scene.box()
    fence = await scene.grant(second)
    assert fence is not None
    order = await scene.volume(second, fence)
    assert (order.volume, order.is_new) == (volume, False)


async def test_a_copy_that_was_given_up_is_never_ready_again(scene: DiskScene) -> None:
    box, fence = await scene.up()
    await scene.end(box, fence)
    operation = (await scene.operations())[0]
    async with scene.ledger.transaction() as connection:
        await disks.snapshot_begun(connection, operation.id, now())
        await disks.snapshot_failed(connection, operation.id, "too slow", now())
        await disks.snapshot_ready(connection, operation.id, 5, now())
        (snapshot,) = await disks.all_snapshots(connection, scene.disk_id)
    assert snapshot.phase is SnapshotPhase.FAILED
    assert (await scene.found()).restore_from is None


async def test_a_box_that_never_had_its_volume_leaves_nothing_to_copy(scene: DiskScene) -> None:
    box = await scene.box()
    fence = await scene.grant(box)
    assert fence is not None
    order = await scene.volume(box, fence)
    await scene.end(box, fence, EndCause.PROVISIONING_FAILED)
    assert await scene.operations() == []
    assert await scene.phase_of(box) == "queued"
    again = await scene.grant(box)
    assert again is not None
    assert await scene.volume(box, again) == order


async def test_a_lease_that_is_over_gets_no_volume(scene: DiskScene) -> None:
    box = await scene.box()
    fence = await scene.grant(box)
    assert fence is not None
    await scene.end(box, fence)
    with pytest.raises(FenceLost):
        await scene.volume(box, fence)


async def test_a_disk_that_had_data_and_has_none_is_never_attached(scene: DiskScene) -> None:
    await scene.through()
    forget = "update disk set restore_from = null where id = $1"
    async with scene.ledger.transaction() as connection:
        await connection.execute(forget, scene.disk_id)
    box = await scene.box()
    fence = await scene.grant(box)
    assert fence is not None
    with pytest.raises(DataMissing, match="neither one nor a copy"):
        await scene.volume(box, fence)


async def test_a_volume_that_is_gone_before_its_copy_is_ready_is_never_made_anew_from_an_older_one(
    scene: DiskScene,
) -> None:
    await scene.through()
    box, fence = await scene.up(1)
    await scene.end(box, fence)
    operation = (await scene.operations())[0]
    async with scene.ledger.transaction() as connection:
        snapshot = await disks.snapshot_begun(connection, operation.id, now())
        await disks.snapshot_failed(connection, snapshot.id, "the volume vanished", now())
        await disks.volume_gone(connection, scene.disk_id, (await disks.find(connection, scene.disk_id)).volume, now())
    await scene.settle(operation.id, "the volume vanished")
    third = await scene.box()
    fence = await scene.grant(third) or 0
    with pytest.raises(DataMissing, match="the volume vanished"):
        await scene.volume(third, fence)


# --- one thing at a time ----------------------------------------------------------------------------------------------


async def test_operations_of_one_disk_run_one_after_the_other(scene: DiskScene) -> None:
    first = await scene.ask(DiskAction.RENAME, name="one")
    second = await scene.ask(DiskAction.RENAME, name="two")
    statuses = {one.id: one.status for one in await scene.operations()}
    assert statuses == {first: OperationStatus.RUNNING, second: OperationStatus.QUEUED}
    assert start_disk_operation(str(second)) in await scene.settle(first)
    assert await scene.settle(first) == []
    assert start_disk_operation(str(first)) not in await scene.settle(second)


async def test_what_was_asked_for_while_a_copy_was_taken_follows_it(scene: DiskScene) -> None:
    box, fence = await scene.up()
    await scene.end(box, fence)
    copy = (await scene.operations())[0]
    renaming = await scene.ask(DiskAction.RENAME, name="later")
    assert (await scene.found()).name == "later"
    assert start_disk_operation(str(renaming)) in await scene.settle(copy.id)


async def test_a_failed_operation_says_why_and_lets_the_next_begin(scene: DiskScene) -> None:
    first, second = await scene.ask(DiskAction.RENAME, name="one"), await scene.ask(DiskAction.RENAME, name="two")
    assert start_disk_operation(str(second)) in await scene.settle(first, "the cluster is away")
    told = {one.id: (one.status, one.error) for one in await scene.operations()}
    assert told[first] == (OperationStatus.FAILED, "the cluster is away")


async def test_names_are_unique_among_disks_in_use(scene: DiskScene) -> None:
    await a_disk(scene.ledger, scene.workspace_id, "taken")
    with pytest.raises(AlreadyExists):
        await scene.ask(DiskAction.RENAME, name="taken")
    with pytest.raises(AlreadyExists):
        await a_disk(scene.ledger, scene.workspace_id, "thesis")


@pytest.mark.parametrize("size_gb", [19, 20])
async def test_a_disk_only_grows(scene: DiskScene, size_gb: int) -> None:
    with pytest.raises(InvalidRequest, match="only grow"):
        await scene.ask(DiskAction.RESIZE, size_gb=size_gb)
    await scene.ask(DiskAction.RESIZE, size_gb=21)
    assert (await scene.found()).size_gb == 21


# --- deleted, and had back --------------------------------------------------------------------------------------------


async def test_a_deleted_disk_can_be_had_back_and_its_sleeping_deletion_is_told(scene: DiskScene) -> None:
    deletion = await scene.ask(DiskAction.DELETE)
    await scene.settle(deletion)
    disk = await scene.found()
    assert disk.phase is DiskPhase.DELETED
    assert disk.purge_at is not None
    assert disk.deleted_at is not None
    assert disk.purge_at - disk.deleted_at == RETENTION
    async with scene.ledger.transaction() as connection:
        assert await disks.unfinished_operations(connection) == [start_disk_operation(str(deletion))]
        ids = await disks.request(connection, scene.disk_id, uuid4(), DiskAction.UNDELETE, {}, None, now())
    assert want_back(str(deletion)) in await scene.told(ids)
    assert (await scene.found()).phase is DiskPhase.READY


@pytest.mark.parametrize("action", [DiskAction.RENAME, DiskAction.DELETE, DiskAction.RESIZE, DiskAction.CLONE])
async def test_nothing_else_is_done_with_a_deleted_disk(scene: DiskScene, action: DiskAction) -> None:
    await scene.ask(DiskAction.DELETE)
    with pytest.raises(Gone):
        await scene.ask(action, name="other", size_gb=100)


async def test_a_disk_that_is_not_deleted_cannot_be_had_back(scene: DiskScene) -> None:
    with pytest.raises(WrongPhase):
        await scene.ask(DiskAction.UNDELETE)


async def test_a_deletion_that_has_not_begun_is_taken_back_without_ever_beginning(scene: DiskScene) -> None:
    renaming = await scene.ask(DiskAction.RENAME, name="one")
    deletion = await scene.ask(DiskAction.DELETE)
    undeletion = uuid4()
    async with scene.ledger.transaction() as connection:
        ids = await disks.request(connection, scene.disk_id, undeletion, DiskAction.UNDELETE, {}, None, now())
    assert WANTED_BACK_SIGNAL not in {message.signal for message in await scene.told(ids)}
    told = await scene.settle(renaming)
    assert start_disk_operation(str(undeletion)) in told
    assert start_disk_operation(str(deletion)) not in told


async def test_a_name_that_is_used_again_is_not_taken_from_its_new_owner(scene: DiskScene) -> None:
    await scene.ask(DiskAction.DELETE)
    new = await a_disk(scene.ledger, scene.workspace_id, "thesis")
    with pytest.raises(AlreadyExists, match="again"):
        await scene.ask(DiskAction.UNDELETE)
    async with scene.ledger.reading() as connection:
        assert await disks.id_of(connection, scene.workspace_id, "thesis") == new
        assert await disks.id_of(connection, scene.workspace_id, "thesis", deleted=True) == scene.disk_id


async def test_a_disk_goes_for_good_only_when_its_time_is_up_and_then_nobody_has_it_back(scene: DiskScene) -> None:
    await scene.settle(await scene.ask(DiskAction.DELETE))
    async with scene.ledger.transaction() as connection:
        assert not await disks.begin_purge(connection, scene.disk_id, now() + RETENTION - timedelta(minutes=1))
        assert await disks.begin_purge(connection, scene.disk_id, now() + RETENTION + timedelta(minutes=1))
    with pytest.raises(Gone, match="30 days are over"):
        await scene.ask(DiskAction.UNDELETE)
    async with scene.ledger.transaction() as connection:
        await disks.purged(connection, scene.disk_id, now())
        await disks.purged(connection, scene.disk_id, now())
        assert await disks.unfinished_operations(connection) == []
        assert await disks.listing(connection, [scene.workspace_id], deleted=True) == []


async def test_a_workspace_with_disks_is_not_deleted(scene: DiskScene) -> None:
    await scene.settle(await scene.ask(DiskAction.DELETE))
    with pytest.raises(InUse, match=r"1 disk\(s\): a disk goes for good 30 days after"):
        async with scene.ledger.transaction() as connection:
            await workspaces.begin_delete(connection, scene.workspace_id, now(), "ada")
    async with scene.ledger.transaction() as connection:
        await disks.begin_purge(connection, scene.disk_id, now() + RETENTION + timedelta(minutes=1))
        await disks.purged(connection, scene.disk_id, now())
        assert await workspaces.begin_delete(connection, scene.workspace_id, now(), "ada")


async def test_a_workspace_that_is_being_deleted_gets_no_new_disks(ledger: Ledger) -> None:
    workspace_id = await a_workspace(ledger)
    async with ledger.transaction() as connection:
        await workspaces.begin_delete(connection, workspace_id, now(), "ada")
    with pytest.raises(WrongPhase):
        await a_disk(ledger, workspace_id)


# --- copies -----------------------------------------------------------------------------------------------------------


async def test_three_copies_are_kept_and_older_ones_go_but_never_the_newest(scene: DiskScene) -> None:
    copies = [await scene.through() for _ in range(5)]
    async with scene.ledger.reading() as connection:
        assert [one.id for one in await disks.to_prune(connection, scene.disk_id, now())] == [
            copies[0].id,
            copies[1].id,
        ]
        in_a_month = await disks.to_prune(connection, scene.disk_id, now() + timedelta(days=30))
    assert [one.id for one in in_a_month] == [one.id for one in copies[:4]]


async def test_a_copy_that_data_is_to_be_had_from_cannot_go(scene: DiskScene) -> None:
    copy = await scene.through()
    with pytest.raises(InUse):
        async with scene.ledger.transaction() as connection:
            await disks.snapshot_going(connection, copy.id, now())


async def test_a_copy_that_is_half_gone_is_found_again(scene: DiskScene) -> None:
    copy, _ = [await scene.through() for _ in range(2)]
    async with scene.ledger.transaction() as connection:
        await disks.snapshot_going(connection, copy.id, now())
        assert [one.phase for one in await disks.to_prune(connection, scene.disk_id, now())] == [SnapshotPhase.GOING]
        await disks.snapshot_gone(connection, copy.id, now())
        assert await disks.to_prune(connection, scene.disk_id, now()) == []
        assert len(await disks.all_snapshots(connection, scene.disk_id)) == 1


async def test_copies_that_grow_old_at_rest_are_found_but_not_every_minute(scene: DiskScene) -> None:
    for copy in [await scene.through() for _ in range(2)]:
        await scene.make_older(copy, 8)
    async with scene.ledger.reading() as connection:
        assert await disks.due_prunes(connection, now()) == [scene.disk_id]
    pruning = await scene.ask(DiskAction.PRUNE)
    async with scene.ledger.reading() as connection:
        assert await disks.due_prunes(connection, now()) == []
    await scene.settle(pruning, "the cluster is away")
    async with scene.ledger.reading() as connection:
        assert await disks.due_prunes(connection, now()) == []
        assert await disks.due_prunes(connection, now() + timedelta(hours=2)) == [scene.disk_id]


async def test_a_clone_is_made_from_the_copy_and_keeps_it_when_the_original_goes(scene: DiskScene) -> None:
    older, newest = await scene.through(), await scene.through()
    clone = uuid4()
    async with scene.ledger.transaction() as connection:
        owner = await connection.fetchval("select owner_id from disk where id = $1", scene.disk_id)
        row = (scene.workspace_id, owner, "clone", 20, now())
        await disks.create(connection, clone, *row, restore_from=newest.id)
    await scene.settle(await scene.ask(DiskAction.DELETE))
    async with scene.ledger.transaction() as connection:
        assert await disks.begin_purge(connection, scene.disk_id, now() + RETENTION + timedelta(minutes=1))
        assert [one.id for one in await disks.all_snapshots(connection, scene.disk_id)] == [older.id]
        assert [one.id for one in await disks.all_snapshots(connection, clone)] == [newest.id]
        found = await disks.find(connection, clone)
    assert (found.restore_from, found.cluster, found.snapshots) == (newest.id, "worker-1", 1)
