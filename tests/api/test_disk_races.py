"""A disk is held by one box at a time, whoever wants it at the same moment; and what is wished of it then has one outcome."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from api.operations import disks as disk_wishes
from domain.disk import DiskAction, OperationStatus
from domain.failures import BerthFailure, Gone, InUse, NotFound
from domain.gpr import Phase
from ledger import disks
from tests.api.box_kit import an_owner

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from uuid import UUID

    from tests.api.api_kit import TheApi
    from tests.api.box_kit import BoxOwner

BOXES = 50
ROUNDS = 25
APART_SECONDS_MAX = 0.012
PASS_SECONDS_MAX = 0.15
"""About as long as a pass of the arbiter takes."""
OVERLAPS = """select count(*) from lease a join lease b on a.disk_id = b.disk_id and a.fence < b.fence
              where a.disk_id = $1 and (a.released_at is null or a.released_at > b.granted_at)"""


@pytest.mark.timeout(240)
async def test_fifty_boxes_for_one_disk_have_it_one_after_the_other_and_the_others_know_why(api: TheApi) -> None:
    owner = await an_owner(api)
    boxes = {(one.id) for one in await asyncio.gather(*(owner.submit(disk_name="shared") for _ in range(BOXES)))}
    (disk,) = await disk_wishes.listing(owner.call())
    had: list[UUID] = []
    while boxes:
        await asyncio.gather(owner.grant(), owner.grant(), owner.estimate())
        (lease,) = await owner.leases_of(disk.id)
        await owner.estimate()
        has = next(one for one in boxes if str(one) == lease.gpr_id)
        boxes.remove(has)
        had.append(has)
        if len(had) % 10 == 1:
            await assert_the_others_know_why(owner, boxes)
        await owner.activate(has)
        await asyncio.gather(owner.end(has), owner.grant(), owner.grant())
        assert await owner.leases_of(disk.id) == []  # what was written on it is not in a copy yet
        await owner.carry_out(disk.id)
    async with api.ledger.reading() as connection:
        assert await connection.fetchval(OVERLAPS, disk.id) == 0
    assert len(set(had)) == BOXES


async def assert_the_others_know_why(owner: BoxOwner, boxes: set[UUID]) -> None:
    for box_id in boxes:
        gpr = await owner.gpr(box_id)
        assert gpr.phase is Phase.QUEUED
        assert "waits for disk 'shared'" in gpr.estimate.reason
        assert gpr.estimate.starts_at is not None


async def test_a_name_a_deletion_and_a_box_at_the_same_moment_have_one_outcome(api: TheApi) -> None:
    seen: Counter[str] = Counter()
    for number in range(ROUNDS):
        owner, chance = await an_owner(api), random.Random(number)
        disk = (await disk_wishes.create(owner.call(), "thesis", 10)).disk
        await owner.carry_out(disk.id)
        wishes = {
            "rename": disk_wishes.rename(owner.call(), "thesis", "other"),
            "delete": disk_wishes.delete(owner.call(), "thesis"),
            "box": owner.submit(disk_name="thesis"),
        }
        first = list(wishes)[number % len(wishes)]
        waits = [apart(chance, wish, 0.0 if name == first else APART_SECONDS_MAX) for name, wish in wishes.items()]
        answers = dict(zip(wishes, await asyncio.gather(*waits), strict=True))
        await asyncio.gather(owner.grant(), owner.grant())
        done = {name for name, answer in answers.items() if not isinstance(answer, BerthFailure)}
        if "box" in done and (await owner.gpr(answers["box"].id)).request.disk_id != disk.id:
            done.remove("box")  # the name was free again: it got a disk of its own
        assert len(done) == 1, answers
        assert {type(answers[name]) for name in answers.keys() - done - {"box"}} <= {InUse, Gone, NotFound}
        assert bool(await owner.leases_of(disk.id)) <= ("box" in done)
        seen.update(done)
    assert seen.keys() == {"rename", "delete", "box"}, seen


async def test_an_operation_and_a_grant_at_the_same_moment_never_both_have_the_disk(api: TheApi) -> None:
    seen: Counter[str] = Counter()
    for number in range(ROUNDS):
        owner, chance = await an_owner(api), random.Random(number)
        box_id = await owner.box(disk_name="thesis")
        disk_id = (await owner.gpr(box_id)).request.disk_id
        assert disk_id is not None
        if number == 0:
            await pruned(api, disk_id)  # both outcomes are seen, however busy the machine
            await owner.grant()
        else:
            await asyncio.gather(owner.grant(), apart(chance, pruned(api, disk_id), PASS_SECONDS_MAX))
        held = bool(await owner.leases_of(disk_id))
        async with api.ledger.reading() as connection:
            (operation,) = await disks.operations(connection, disk_id, 10)
        assert operation.status is (OperationStatus.QUEUED if held else OperationStatus.RUNNING)
        seen["grant" if held else "operation"] += 1
        await owner.end(box_id)
    assert seen.keys() == {"grant", "operation"}, seen


async def pruned(api: TheApi, disk_id: UUID) -> None:
    async with api.ledger.transaction() as connection:
        await disks.request(connection, disk_id, uuid4(), DiskAction.PRUNE, {}, None, api.clock())


async def apart(chance: random.Random, wish: Awaitable[Any], seconds_max: float = APART_SECONDS_MAX) -> Any:
    await asyncio.sleep(chance.uniform(0, seconds_max))
    try:
        return await wish
    except BerthFailure as failure:
        return failure
