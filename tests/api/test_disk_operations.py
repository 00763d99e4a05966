"""What one can do with disks, whatever dialect asks."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from api.operations import disks as disk_wishes
from domain.disk import DiskPhase, OperationStatus
from domain.failures import AlreadyExists, Gone, InUse, InvalidRequest, NotFound
from domain.gpr import Phase
from ledger import disks
from tests.api.box_kit import BoxOwner, an_owner

if TYPE_CHECKING:
    from uuid import UUID

    from tests.api.api_kit import TheApi


async def a_disk(owner: BoxOwner, name: str = "thesis", size_gb: int = 20) -> UUID:
    """Id of a disk with which nothing is left to do."""
    disk_id = (await disk_wishes.create(owner.call(), name, size_gb)).disk.id
    await owner.carry_out(disk_id)
    return disk_id


async def used(owner: BoxOwner, disk_id: UUID) -> None:
    """A box wrote on it, and what it wrote is in a copy."""
    box_id = await owner.box(Phase.ACTIVE, disk_name=(await owner.disk(disk_id)).name)
    await owner.end(box_id)
    await owner.carry_out(disk_id)


async def test_a_new_disk_is_there_at_once_and_its_making_can_be_asked_about(api: TheApi) -> None:
    owner = await an_owner(api)
    made = await disk_wishes.create(owner.call(), "thesis", 20)
    asked = await disk_wishes.operation(owner.call(), "thesis", made.operation.id)
    assert (asked.operation.status, asked.disk.size_gb) == (OperationStatus.RUNNING, 20)
    with pytest.raises(AlreadyExists):
        await disk_wishes.create(owner.call(), "thesis", 20)


@pytest.mark.parametrize(("name", "size_gb"), [("a b", 20), ("", 20), ("x" * 64, 20), ("d", 9), ("d", 10_001)])
async def test_nonsense_is_refused(api: TheApi, name: str, size_gb: int) -> None:
    with pytest.raises(InvalidRequest):
        await disk_wishes.create((await an_owner(api)).call(), name, size_gb)


async def test_a_repeat_with_the_same_key_makes_nothing_twice(api: TheApi) -> None:
    owner = await an_owner(api)
    first, second = [await disk_wishes.create(owner.call("key"), "thesis", 20) for _ in range(2)]
    assert first == second


async def test_a_rename_says_how_many_copies_bear_the_new_name(api: TheApi) -> None:
    owner = await an_owner(api)
    disk_id = await a_disk(owner)
    assert await disk_wishes.rename(owner.call(), "thesis", "first") == disk_wishes.Renamed(0, 0, ())
    await owner.carry_out(disk_id)
    await used(owner, disk_id)
    renamed = await disk_wishes.rename(owner.call(), "first", "second")
    assert (renamed.updated, renamed.total, len(renamed.errors)) == (0, 1, 1)  # nobody carries it out here
    (operation, *_) = await disk_wishes.operations(owner.call(), "second")
    async with api.ledger.transaction() as connection:
        result = {"updated": 0, "errors": ["snap: refused"]}
        await disks.settle(connection, operation.operation.id, error="", result=result, now=api.clock())
    for name in ("first", "second"):
        assert (await disk_wishes.operation(owner.call(), name, operation.operation.id)).operation.result == result


async def test_an_operation_of_another_disk_or_of_somebody_elses_is_not_found(api: TheApi) -> None:
    owner, other = await an_owner(api), await an_owner(api)
    made = await disk_wishes.create(owner.call(), "thesis", 20)
    await disk_wishes.create(owner.call(), "other", 20)
    await disk_wishes.create(other.call(), "thesis", 20)
    for who, name, operation_id in (
        (owner, "other", made.operation.id),
        (other, "thesis", made.operation.id),
        (owner, "thesis", uuid4()),
    ):
        with pytest.raises(NotFound, match="not found"):
            await disk_wishes.operation(who.call(), name, operation_id)


async def test_a_deleted_disk_is_hidden_in_lists_and_found_by_its_name_until_it_is_had_back(api: TheApi) -> None:
    owner = await an_owner(api)
    disk_id = await a_disk(owner)
    gone = await disk_wishes.delete(owner.call(), "thesis")
    assert gone.disk.purge_at is not None
    assert await disk_wishes.listing(owner.call()) == []
    assert (await disk_wishes.find(owner.call(), "thesis")).phase is DiskPhase.DELETED
    with pytest.raises(Gone):
        await disk_wishes.content(owner.call(), "thesis")
    with pytest.raises(Gone):
        await disk_wishes.delete(owner.call(), "thesis")
    assert (await disk_wishes.undelete(owner.call(), "thesis")).disk.id == disk_id
    assert [disk.id for disk in await disk_wishes.listing(owner.call())] == [disk_id]


async def test_what_is_on_a_disk_is_told_with_the_age_of_its_copy(api: TheApi) -> None:
    owner = await an_owner(api)
    disk_id = await a_disk(owner)
    before = await disk_wishes.content(owner.call(), "thesis")
    assert (before.text, before.copied_at) == ("", None)
    async with api.ledger.transaction() as connection:
        await disks.keep_content(connection, disk_id, "draft.tex")
    await used(owner, disk_id)
    after = await disk_wishes.content(owner.call(), "thesis")
    assert after.text == "draft.tex"
    assert after.copied_at is not None


async def test_a_clone_begins_with_the_same_data(api: TheApi) -> None:
    owner = await an_owner(api)
    disk_id = await a_disk(owner)
    await used(owner, disk_id)
    made = (await disk_wishes.clone(owner.call(), "thesis", "second")).disk
    original = await owner.disk(disk_id)
    assert (made.restore_from, made.size_gb, made.cluster) == (original.restore_from, 20, original.cluster)
    with pytest.raises(AlreadyExists):
        await disk_wishes.clone(owner.call(), "thesis", "second")


async def test_no_clone_is_made_of_what_is_not_in_a_copy(api: TheApi) -> None:
    owner = await an_owner(api)
    disk_id = await a_disk(owner)
    box_id = await owner.box(Phase.ACTIVE, disk_name="thesis")
    with pytest.raises(InUse, match="in use by"):
        await disk_wishes.clone(owner.call(), "thesis", "second")
    await owner.end(box_id)
    with pytest.raises(InUse, match="finished copy"):
        await disk_wishes.clone(owner.call(), "thesis", "second")
    await owner.carry_out(disk_id)
    await disk_wishes.clone(owner.call(), "thesis", "second")


async def test_what_is_not_ones_own_does_not_exist(api: TheApi) -> None:
    owner, other = await an_owner(api), await an_owner(api)
    await a_disk(owner)
    for wish in (
        disk_wishes.find(other.call(), "thesis"),
        disk_wishes.delete(other.call(), "thesis"),
        disk_wishes.rename(other.call(), "thesis", "mine"),
        disk_wishes.find(owner.call(), "\0"),
    ):
        with pytest.raises(NotFound, match="not found"):
            await wish
