"""What one can do with boxes, whatever dialect asks: repeats, limits, and who may."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from api.operations import boxes as box_wishes
from api.operations import disks as disk_wishes
from api.operations.boxes import PEOPLE_MAX, BoxQuery
from domain.box import BoxStatus
from domain.disk import SIZE_GB_DEFAULT, DiskAction
from domain.failures import (
    AlreadyExists,
    Forbidden,
    Gone,
    IdempotencyMismatch,
    InvalidRequest,
    NotFound,
    WrongPhase,
)
from domain.gpr import Phase
from domain.identity import Role
from tests.api.box_kit import an_owner

if TYPE_CHECKING:
    from tests.api.api_kit import TheApi


# --- the same id again ------------------------------------------------------------------------------------------------


async def test_a_repeat_with_the_same_id_is_answered_as_before(api: TheApi) -> None:
    owner, wish = await an_owner(api), {"box_id": uuid4(), "disk_name": "thesis", "options": {"GPU_TYPE": "t4"}}
    first = await owner.submit(**wish)
    assert await owner.submit(**wish) == first
    assert await owner.submit(**wish, shape="NVIDIA-H100-80GB-HBM3", gpus_per_node=2) == first
    assert (await box_wishes.listing(owner.call(), BoxQuery()))[1] == 1


async def test_the_same_id_at_the_same_moment_makes_one_box(api: TheApi) -> None:
    owner, wish = await an_owner(api), {"box_id": uuid4(), "disk_name": "thesis"}
    answers = await asyncio.gather(*(owner.submit(**wish) for _ in range(8)))
    assert len(set(answers)) == 1
    assert (await box_wishes.listing(owner.call(), BoxQuery()))[1] == 1


async def test_an_id_that_stands_for_something_else_is_refused_without_a_word_about_whose_it_is(api: TheApi) -> None:
    owner, other, box_id = await an_owner(api, "ada"), await an_owner(api), uuid4()
    await owner.submit(box_id=box_id)
    told = set()
    for who, change in ((owner, {"hours": 2}), (other, {}), (other, {"hours": 2})):
        with pytest.raises(AlreadyExists) as refused:
            await who.submit(box_id=box_id, **change)
        told.add(refused.value.message)
    assert len(told) == 1
    assert "ada" not in told.pop()


async def test_an_idempotency_key_finds_the_box_that_it_made(api: TheApi) -> None:
    owner = await an_owner(api)
    wish = box_wishes.BoxSubmission(hours=1, nodes=1, gpus_per_node=1, image="box")
    first, second = [await box_wishes.submit(owner.call("key-1"), wish) for _ in range(2)]
    assert first == second


# --- its disk ---------------------------------------------------------------------------------------------------------


async def test_a_disk_that_is_not_there_is_made_with_its_box(api: TheApi) -> None:
    owner = await an_owner(api)
    box_id = await owner.box(disk_name="new", disk_size_gb=33)
    await owner.submit(disk_name="usual")
    found = {disk.name: disk for disk in await disk_wishes.listing(owner.call())}
    assert {name: disk.size_gb for name, disk in found.items()} == {"new": 33, "usual": SIZE_GB_DEFAULT}
    assert found["new"].wanted_by == box_id


async def test_a_deleted_disk_is_not_made_again_behind_its_owners_back(api: TheApi) -> None:
    owner = await an_owner(api)
    await disk_wishes.create(owner.call(), "thesis")
    await disk_wishes.delete(owner.call(), "thesis")
    with pytest.raises(Gone):
        await owner.submit(disk_name="thesis")


async def test_a_disk_grows_for_its_next_box_only_while_nobody_needs_it(api: TheApi) -> None:
    owner = await an_owner(api)
    disk = (await disk_wishes.create(owner.call(), "thesis", 20)).disk
    await owner.carry_out(disk.id)
    with pytest.raises(InvalidRequest, match="only grow"):
        await owner.submit(disk_name="thesis", disk_size_gb=10)
    await owner.submit(disk_name="thesis", disk_size_gb=40)
    assert (await disk_wishes.operations(owner.call(), "thesis"))[0].operation.action is DiskAction.RESIZE
    with pytest.raises(InvalidRequest, match="while no box needs it"):
        await owner.submit(disk_name="thesis", disk_size_gb=50)
    await owner.submit(disk_name="thesis", disk_size_gb=40)


@pytest.mark.parametrize("wish", [{"disk_name": "a/b"}, {"disk_name": "d", "disk_size_gb": 9}, {"github_user": "-a-"}])
async def test_nonsense_is_refused_and_nothing_of_it_stays(api: TheApi, wish: dict[str, object]) -> None:
    owner = await an_owner(api)
    with pytest.raises(InvalidRequest):
        await owner.submit(**wish)
    assert await disk_wishes.listing(owner.call()) == []


# --- longer, and the end ----------------------------------------------------------------------------------------------


async def test_a_box_lasts_at_most_48_hours_longer_and_says_how_many_are_left(api: TheApi) -> None:
    owner = await an_owner(api)
    box_id = await owner.box(Phase.ACTIVE)
    before = (await box_wishes.find(owner.call(), str(box_id))).expires_at
    told = await box_wishes.extend(owner.call(), str(box_id), 46)
    assert before is not None
    assert told.box.expires_at is not None
    assert (told.box.expires_at - before).total_seconds() == 46 * 3600
    with pytest.raises(InvalidRequest, match="by 48 hours in all, and 2 of them are left"):
        await box_wishes.extend(owner.call(), str(box_id), 3)
    await box_wishes.extend(owner.call(), str(box_id), 2)
    with pytest.raises(InvalidRequest, match="none of them are left"):
        await box_wishes.extend(owner.call(), str(box_id), 1)
    await owner.end(box_id)


async def test_an_extension_that_is_sent_again_under_its_key_is_done_once_and_answered_as_before(api: TheApi) -> None:
    owner = await an_owner(api)
    box_id = str(await owner.box(Phase.ACTIVE))
    told = await asyncio.gather(*(box_wishes.extend(owner.call("once"), box_id, 40) for _ in range(4)))
    assert {one.message_id for one in told} == {told[0].message_id}
    assert (await box_wishes.extend(owner.call("twice"), box_id, 8)).box.extended_hours == 48
    again = await box_wishes.extend(owner.call("once"), box_id[:8], 40)
    assert (again.message_id, again.box.extended_hours) == (told[0].message_id, 48)
    await owner.end(UUID(box_id))
    assert (await box_wishes.extend(owner.call("once"), box_id, 40)).message_id == told[0].message_id


async def test_the_key_of_an_extension_stands_for_its_box_and_its_hours(api: TheApi) -> None:
    owner = await an_owner(api)
    first, second = [str(await owner.box(Phase.ACTIVE)) for _ in range(2)]
    await box_wishes.extend(owner.call("once"), first, 1)
    for box_id, hours in ((first, 2), (second, 1)):
        with pytest.raises(IdempotencyMismatch):
            await box_wishes.extend(owner.call("once"), box_id, hours)
    assert [(await box_wishes.find(owner.call(), one)).extended_hours for one in (first, second)] == [1, 0]
    for one in (first, second):
        await owner.end(UUID(one))


async def test_extensions_at_the_same_moment_never_exceed_the_limit_together(api: TheApi) -> None:
    owner = await an_owner(api)
    box_id = str(await owner.box(Phase.ACTIVE))
    wishes = (box_wishes.extend(owner.call(), box_id, 20) for _ in range(6))
    answers = await asyncio.gather(*wishes, return_exceptions=True)
    assert sum(isinstance(answer, box_wishes.Told) for answer in answers) == 2
    assert (await box_wishes.find(owner.call(), box_id)).extended_hours == 40
    await owner.end(UUID(box_id))


@pytest.mark.parametrize("phase", [Phase.QUEUED, Phase.PROVISIONING, Phase.ACTIVE])
async def test_a_living_box_is_cancelled_in_any_phase_and_repeating_it_changes_nothing(
    api: TheApi, phase: Phase
) -> None:
    owner = await an_owner(api)
    box_id = await owner.box(phase)
    for _ in range(2):
        assert (await box_wishes.cancel(owner.call(), str(box_id))).box.status is BoxStatus.CANCELLED
    await owner.end(box_id)
    assert (await box_wishes.cancel(owner.call(), str(box_id))).box.status is BoxStatus.CANCELLED


async def test_an_ended_box_takes_no_more_wishes(api: TheApi) -> None:
    owner = await an_owner(api)
    box_id = str(await owner.box())
    await box_wishes.cancel(owner.call(), box_id)
    for wish in (
        box_wishes.extend(owner.call(), box_id, 1),
        box_wishes.set_jupyter(owner.call(), box_id, True),
        box_wishes.add_person(owner.call(), box_id, "grace"),
    ):
        with pytest.raises(WrongPhase):
            await wish


# --- who, and how many ------------------------------------------------------------------------------------------------


async def test_every_wish_is_told_with_a_number_that_grows(api: TheApi) -> None:
    owner = await an_owner(api)
    submitted = await owner.submit()
    box_id = str(submitted.id)
    told = [
        submitted.message_id,
        (await box_wishes.set_jupyter(owner.call(), box_id, True)).message_id,
        (await box_wishes.add_person(owner.call(), box_id, "Grace")).message_id,
        (await box_wishes.cancel(owner.call(), box_id)).message_id,
    ]
    assert told == sorted(set(told))


async def test_jupyter_has_a_token_that_nobody_guesses_and_keeps_it(api: TheApi) -> None:
    owner = await an_owner(api)
    box_id = str(await owner.box(jupyter_wanted=True))
    first = await box_wishes.find(owner.call(), box_id)
    assert len(first.jupyter_token) > 40
    await box_wishes.set_jupyter(owner.call(), box_id, False)
    again = (await box_wishes.set_jupyter(owner.call(), box_id, True)).box
    assert (again.jupyter_wanted, again.jupyter_token) == (True, first.jupyter_token)


async def test_a_box_is_for_so_many_people_and_no_more(api: TheApi) -> None:
    owner = await an_owner(api)
    box_id = str(await owner.box(github_user="ada"))
    for number in range(PEOPLE_MAX - 1):
        await box_wishes.add_person(owner.call(), box_id, f"guest-{number}")
    await box_wishes.add_person(owner.call(), box_id, "guest-1")
    with pytest.raises(InvalidRequest, match="at most 32 people"):
        await box_wishes.add_person(owner.call(), box_id, "one-more")
    with pytest.raises(InvalidRequest, match="no GitHub user name"):
        await box_wishes.add_person(owner.call(), box_id, "two words")


async def test_a_box_is_found_by_its_id_or_by_the_beginning_of_it(api: TheApi) -> None:
    owner = await an_owner(api)
    box_id = await owner.box()
    for reference in (str(box_id), str(box_id).upper(), str(box_id)[:8], str(box_id)[:13]):
        assert (await box_wishes.find(owner.call(), reference)).job.gpr.id == box_id


@pytest.mark.parametrize("reference", ["abc", "no-id", "", "\0", "zzzz-1", "f" * 40, str(UUID(int=7))])
async def test_what_is_no_box_is_not_found(api: TheApi, reference: str) -> None:
    owner = await an_owner(api)
    with pytest.raises(NotFound, match="not found"):
        await box_wishes.find(owner.call(), reference)


async def test_somebody_elses_box_does_not_exist(api: TheApi) -> None:
    owner, other = await an_owner(api), await an_owner(api)
    box_id = str(await owner.box())
    for reference in (box_id, box_id[:8]):
        for wish in (box_wishes.find, box_wishes.cancel):
            with pytest.raises(NotFound):
                await wish(other.call(), reference)
    assert await box_wishes.listing(other.call(), BoxQuery()) == ([], 0)


async def test_a_viewers_key_looks_and_does_nothing_else(api: TheApi) -> None:
    owner = await an_owner(api)
    box_id = str(await owner.box())
    viewer = replace(owner, caller=replace(owner.caller, role_limit=Role.VIEWER))
    assert (await box_wishes.find(viewer.call(), box_id)).status is BoxStatus.QUEUED
    for wish in (box_wishes.cancel(viewer.call(), box_id), viewer.submit(), disk_wishes.create(viewer.call(), "d")):
        with pytest.raises(Forbidden):
            await wish


async def test_a_key_for_another_workspace_lists_no_boxes(api: TheApi) -> None:
    owner = await an_owner(api)
    await owner.box()
    confined = replace(owner, caller=replace(owner.caller, workspace_id=uuid4()))
    assert await box_wishes.listing(confined.call(), BoxQuery()) == ([], 0)
