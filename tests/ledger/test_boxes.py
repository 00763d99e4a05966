"""A box in the ledger: who may enter it, what it is told, and how long it lasts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from domain.box import GRACE_SECONDS, BoxStatus, status_of
from domain.failures import AlreadyExists, NotFound, WrongPhase
from domain.gpr import MOVES, EndCause, Phase
from domain.hardware import Gpu
from domain.job import JobState, ObservedJob
from domain.messages import BOX_WORKFLOW, CHANGED_SIGNAL, EXTENDED_SIGNAL, OutboxMessage
from ledger import boxes, gprs, jobs, leases, lifecycle, outbox, reading
from tests.builders import a_box, a_disk, a_gpr, a_job, a_principal, a_workspace, now, some_nodes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from domain.box import Box
    from domain.history import Notice
    from domain.messages import Standing
    from ledger.connection import Ledger

KEY, OTHER_KEY = "ssh-ed25519 AAAA ada", "ssh-ed25519 BBBB grace"


@pytest_asyncio.fixture
async def workspace_id(ledger: Ledger) -> UUID:
    await some_nodes(ledger)
    return await a_workspace(ledger, "dev-ada")


async def found(ledger: Ledger, box_id: UUID) -> Box:
    async with ledger.reading() as connection:
        return await boxes.find(connection, box_id)


async def granted(ledger: Ledger, box_id: UUID) -> int:
    async with ledger.transaction() as connection:
        fence = await leases.grant(connection, box_id, "worker-1", [Gpu("worker-1-n0", 0)], now())
    assert fence is not None
    return fence


async def active(ledger: Ledger, box_id: UUID, at: datetime | None = None) -> Standing:
    fence = await granted(ledger, box_id)
    async with ledger.transaction() as connection:
        return await lifecycle.activate(connection, box_id, fence, at or now())


async def told(ledger: Ledger, ids: Sequence[int]) -> list[OutboxMessage]:
    async with ledger.transaction() as connection:
        return [stored.message for stored in await outbox.claim(connection, ids)]


# --- submitted and found ----------------------------------------------------------------------------------------------


async def test_a_box_is_found_with_its_owner_its_disk_and_its_grace(ledger: Ledger, workspace_id: UUID) -> None:
    disk_id = await a_disk(ledger, workspace_id, "thesis")
    box = await found(ledger, await a_box(ledger, workspace_id, disk_id=disk_id, github_user="Ada", keys=(KEY,)))
    assert (box.disk_name, box.grace_seconds, box.github_user) == ("thesis", GRACE_SECONDS, "Ada")
    assert [(one.name, one.is_owner, one.keys) for one in box.people] == [("", True, (KEY,)), ("ada", True, ())]
    assert box.status is BoxStatus.QUEUED
    assert box.secondary_users == ()


async def test_an_id_in_use_is_taken_whatever_uses_it(ledger: Ledger, workspace_id: UUID) -> None:
    for taken in (await a_gpr(ledger, workspace_id), await a_box(ledger, workspace_id)):
        with pytest.raises(AlreadyExists, match="in use"):
            await a_box(ledger, workspace_id, box_id=taken)


async def test_an_id_that_begins_like_that_of_a_living_box_is_taken(ledger: Ledger, workspace_id: UUID) -> None:
    first = await a_box(ledger, workspace_id)
    with pytest.raises(AlreadyExists):
        await a_box(ledger, workspace_id, box_id=UUID(f"{first.hex[:8]}{uuid4().hex[8:]}"))


async def test_a_job_is_no_box(ledger: Ledger, workspace_id: UUID) -> None:
    with pytest.raises(NotFound):
        await found(ledger, await a_job(ledger, workspace_id))


async def test_its_lifecycle_is_a_boxs_and_is_begun_again_as_one(ledger: Ledger, workspace_id: UUID) -> None:
    box_id = await a_box(ledger, workspace_id)
    await a_job(ledger, workspace_id)
    async with ledger.reading() as connection:
        starts = await gprs.unfinished(connection)
    assert {start.workflow_id: start.workflow_type for start in starts}[f"job/{box_id}"] == BOX_WORKFLOW
    assert sorted(start.workflow_type for start in starts) == ["Box", "Job"]


async def test_a_standing_says_that_it_is_a_box_and_which_disk_its_lease_holds(
    ledger: Ledger, workspace_id: UUID
) -> None:
    disk_id = await a_disk(ledger, workspace_id)
    box_id = await a_box(ledger, workspace_id, disk_id=disk_id)
    async with ledger.reading() as connection:
        waiting = await lifecycle.standing(connection, box_id)
    assert (waiting.is_job, waiting.is_box, waiting.disk_id) == (True, True, "")
    assert (await active(ledger, box_id)).disk_id == str(disk_id)


# --- listed -----------------------------------------------------------------------------------------------------------


async def test_boxes_are_listed_newest_first_by_status_and_only_ones_own(ledger: Ledger, workspace_id: UUID) -> None:
    ada = await a_principal(ledger, "ada")
    mine = [await a_box(ledger, workspace_id, owner=ada) for _ in range(3)]
    await a_box(ledger, workspace_id)
    await granted(ledger, mine[1])
    async with ledger.reading() as connection:
        page, total = await boxes.page(connection, ada, None, 2, 0)
        waiting, of_them = await boxes.page(connection, ada, [BoxStatus.QUEUED], 1, 1)
        beyond = await boxes.page(connection, ada, None, 2, 9)
        elsewhere = await boxes.page(connection, ada, None, 2, 0, workspace_id=uuid4())
    assert ([one.job.gpr.id for one in page], total) == ([mine[2], mine[1]], 3)
    assert ([one.job.gpr.id for one in waiting], of_them) == ([mine[0]], 2)
    assert beyond == ([], 3)
    assert elsewhere == ([], 0)


async def test_the_ledger_filters_by_the_rule_of_the_domain(ledger: Ledger, workspace_id: UUID) -> None:
    ada = await a_principal(ledger, "ada")
    box_id = await a_box(ledger, workspace_id, owner=ada)
    change = "update gpr set phase = $2, end_cause = $3 where id = $1"
    for phase in MOVES:
        for cause in EndCause:
            for state in (None, JobState.PENDING, JobState.RUNNING):
                async with ledger.transaction() as connection:
                    await connection.execute(change, box_id, phase, cause)
                    await connection.execute("update job set state = $2 where gpr_id = $1", box_id, state or "")
                    wanted = status_of(phase, cause, state)
                    _, total = await boxes.page(connection, ada, [wanted], 1, 0)
                    assert total == 1, (phase, cause, state)
                    _, others = await boxes.page(connection, ada, [one for one in BoxStatus if one is not wanted], 1, 0)
                    assert others == 0, (phase, cause, state)


async def test_a_box_is_found_by_the_beginning_of_its_id_if_no_other_begins_so(
    ledger: Ledger, workspace_id: UUID
) -> None:
    ada = await a_principal(ledger, "ada")
    first = UUID("aaaa1111-0000-4000-8000-00000000000a")
    await a_box(ledger, workspace_id, owner=ada, box_id=first)
    await a_box(ledger, workspace_id, owner=ada, box_id=UUID("aaaa2222-0000-4000-8000-00000000000b"))
    async with ledger.reading() as connection:
        assert await boxes.id_by_prefix(connection, ada, "aaaa1111") == first
        assert await boxes.id_by_prefix(connection, ada, "aaaa1111-00") == first
        assert await boxes.id_by_prefix(connection, ada, "aaaa") is None
        assert await boxes.id_by_prefix(connection, await a_principal(ledger), "aaaa1111") is None


# --- who may enter ----------------------------------------------------------------------------------------------------


async def test_keys_are_a_new_version_and_whoever_came_after_it_is_not_in_yet(
    ledger: Ledger, workspace_id: UUID
) -> None:
    box_id = await a_box(ledger, workspace_id)
    async with ledger.transaction() as connection:
        assert await boxes.people_without_keys(connection, box_id) == ["ada"]
        await boxes.write_keys(connection, box_id, "ada", [KEY], "", now())
        version = (await lifecycle.standing(connection, box_id)).version
        await boxes.add_person(connection, box_id, "Grace", now())
        await boxes.write_keys(connection, box_id, "grace", [OTHER_KEY], "", now())
        await boxes.told(connection, box_id, version, now())
    assert {one.name: one.told_at is not None for one in (await found(ledger, box_id)).people} == {
        "ada": True,
        "grace": False,
    }
    async with ledger.transaction() as connection:
        assert await boxes.orders(connection, box_id, now()) == boxes.BoxOrders((KEY, OTHER_KEY), "", ())
        await boxes.told(connection, box_id, (await lifecycle.standing(connection, box_id)).version, now())
    assert (await found(ledger, box_id)).secondary_users == ("grace",)


async def test_the_same_keys_or_the_same_failure_are_no_news(ledger: Ledger, workspace_id: UUID) -> None:
    box_id = await a_box(ledger, workspace_id)
    async with ledger.transaction() as connection:
        await boxes.write_keys(connection, box_id, "ada", [], "nobody of that name", now())
        before = (await lifecycle.standing(connection, box_id)).version
        await boxes.write_keys(connection, box_id, "ada", [], "nobody of that name", now())
        assert (await lifecycle.standing(connection, box_id)).version == before
        assert await boxes.people_without_keys(connection, box_id) == ["ada"]


async def test_keys_that_were_fetched_for_another_box_are_used_while_they_are_fresh(
    ledger: Ledger, workspace_id: UUID
) -> None:
    box_id = await a_box(ledger, workspace_id)
    async with ledger.transaction() as connection:
        assert await boxes.cached_keys(connection, "Ada", now() - timedelta(hours=1)) is None
        await boxes.write_keys(connection, box_id, "ada", [KEY], "", now())
        assert await boxes.cached_keys(connection, "Ada", now() - timedelta(hours=1)) == (KEY,)
        assert await boxes.cached_keys(connection, "Ada", now() + timedelta(hours=1)) is None


async def test_a_change_is_told_to_the_lifecycle_with_the_version_that_it_made(
    ledger: Ledger, workspace_id: UUID
) -> None:
    box_id = await a_box(ledger, workspace_id)
    async with ledger.transaction() as connection:
        ids = await boxes.want_jupyter(connection, box_id, True, "secret", now())
        version = (await lifecycle.standing(connection, box_id)).version
    (message,) = await told(ledger, ids)
    assert (message.signal, message.workflow_type) == (CHANGED_SIGNAL, BOX_WORKFLOW)
    assert message.standing is not None
    assert message.standing.version == version


async def test_jupyter_keeps_its_token_and_is_told_only_while_it_is_wanted(ledger: Ledger, workspace_id: UUID) -> None:
    box_id = await a_box(ledger, workspace_id)
    async with ledger.transaction() as connection:
        await boxes.want_jupyter(connection, box_id, True, "first", now())
        await boxes.want_jupyter(connection, box_id, True, "second", now())
        assert (await boxes.orders(connection, box_id, now())).jupyter_token == "first"
        await boxes.want_jupyter(connection, box_id, False, "", now())
        assert not (await boxes.orders(connection, box_id, now())).jupyter_token


async def test_a_box_that_comes_up_elsewhere_has_been_told_nothing(ledger: Ledger, workspace_id: UUID) -> None:
    box_id = await a_box(ledger, workspace_id, keys=(KEY,))
    fence = await granted(ledger, box_id)
    async with ledger.transaction() as connection:
        await boxes.told(connection, box_id, 99, now())
        await lifecycle.provisioning_failed(connection, box_id, fence, "no room", [], now())
        await lifecycle.finish_release(connection, box_id, fence, [], now())
        assert await connection.fetchval("select told_version from box where gpr_id = $1", box_id) == 0
    box = await found(ledger, box_id)
    assert box.status is BoxStatus.QUEUED
    assert [(one.name, one.keys, one.told_at) for one in box.people] == [("", (KEY,), None), ("ada", (), None)]


# --- how long ---------------------------------------------------------------------------------------------------------


async def notices(ledger: Ledger, box_id: UUID) -> list[Notice]:
    async with ledger.reading() as connection:
        return [one for one in await reading.notices_of_gpr(connection, box_id) if one.withdrawn_at is None]


async def test_people_are_told_of_the_end_that_they_are_shown_and_when_it_has_come(
    ledger: Ledger, workspace_id: UUID
) -> None:
    box_id, start = await a_box(ledger, workspace_id, hours=1), now()
    standing = await active(ledger, box_id, start)
    assert standing.end_at == start + timedelta(seconds=3600 + GRACE_SECONDS)
    assert (await found(ledger, box_id)).expires_at == start + timedelta(hours=1)
    due = [((one.due_at - start).total_seconds() / 60, one.kind) for one in await notices(ledger, box_id)]
    kinds = ["ends_in_30_minutes", "ends_in_15_minutes", "ends_in_5_minutes", "time_is_up"]
    assert due == list(zip([30, 45, 55, 60], kinds, strict=True))
    assert "ends in 120 seconds" in (await notices(ledger, box_id))[-1].message


async def test_what_was_delivered_is_among_its_orders(ledger: Ledger, workspace_id: UUID) -> None:
    box_id, start = await a_box(ledger, workspace_id), now()
    await active(ledger, box_id, start)
    late = start + timedelta(minutes=50)
    async with ledger.transaction() as connection:
        await lifecycle.deliver_notices(connection, box_id, late)
        said = (await boxes.orders(connection, box_id, late)).notices
    assert [text.partition(", at")[0] for text in said] == [
        "the lease ends in 30 minutes",
        "the lease ends in 15 minutes",
    ]


async def test_an_extension_moves_the_end_of_an_active_box_and_its_notices(ledger: Ledger, workspace_id: UUID) -> None:
    box_id, start = await a_box(ledger, workspace_id), now()
    await active(ledger, box_id, start)
    async with ledger.transaction() as connection:
        ids = await boxes.extend(connection, await boxes.find(connection, box_id), 2, now(), "ada")
    box = await found(ledger, box_id)
    assert (box.expires_at, box.extended_hours) == (start + timedelta(hours=3), 2)
    assert EXTENDED_SIGNAL in {message.signal for message in await told(ledger, ids)}
    assert [one.due_at for one in await notices(ledger, box_id)][-1] == start + timedelta(hours=3)


async def test_an_extension_of_a_box_that_is_being_provisioned_lengthens_it(ledger: Ledger, workspace_id: UUID) -> None:
    box_id = await a_box(ledger, workspace_id)
    fence = await granted(ledger, box_id)
    start = now()
    async with ledger.transaction() as connection:
        await boxes.extend(connection, await boxes.find(connection, box_id), 2, now(), "ada")
        await lifecycle.activate(connection, box_id, fence, start)
    assert (await found(ledger, box_id)).expires_at == start + timedelta(hours=3)


async def test_a_box_that_waits_has_nothing_to_extend(ledger: Ledger, workspace_id: UUID) -> None:
    box_id = await a_box(ledger, workspace_id)
    with pytest.raises(WrongPhase):
        async with ledger.transaction() as connection:
            await boxes.extend(connection, await boxes.find(connection, box_id), 2, now(), "ada")


async def test_a_box_is_seen_like_a_job_and_ends_when_a_pod_has_ended_that_nobody_makes_anew(
    ledger: Ledger, workspace_id: UUID
) -> None:
    box_id = await a_box(ledger, workspace_id)
    await active(ledger, box_id)
    async with ledger.transaction() as connection:
        assert await jobs.observe(connection, box_id, ObservedJob(JobState.RUNNING), now()) == []
        assert str(box_id) in await jobs.running(connection, "worker-1")
        assert await jobs.observe(connection, box_id, ObservedJob(JobState.FAILED, "Evicted", "no room"), now())
        ended = await gprs.find(connection, box_id)
    assert (ended.phase, ended.end_cause, ended.failure) == (Phase.RELEASING, EndCause.JOB_FAILED, "Evicted: no room")
