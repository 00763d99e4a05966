"""Disks as GPU Dev's clients see them: theirs by name, in use or not, copied at the end of each box, gone only after a while."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from domain.gpr import EndCause
from domain.identity import Role
from tests.api.gpudev_kit import (
    a_box,
    a_disk,
    activated,
    ask,
    copied,
    detail_of,
    ended,
    entered,
    running_operation,
    settled,
    submitted,
    used,
)

if TYPE_CHECKING:
    from tests.api.api_kit import Someone, TheApi

DOCUMENTED = {
    *("disk_name", "user_id", "size_gb", "created_at", "last_used", "in_use", "reservation_id"),
    *("is_backing_up", "is_deleted", "snapshot_count"),
}
OPERATION = {
    *("operation_id", "disk_name", "status", "error", "is_deleted", "delete_date"),
    *("created_at", "last_updated", "completed"),
}


async def disk(api: TheApi, who: Someone, name: str) -> dict[str, Any]:
    found: dict[str, Any] = await ask(api, who, "GET", f"/disks/{name}")
    return found


async def names(api: TheApi, who: Someone) -> list[str]:
    found = await ask(api, who, "GET", "/disks")
    assert found["total"] == len(found["disks"])
    return [one["disk_name"] for one in found["disks"]]


async def a_used_disk(api: TheApi, who: Someone, name: str, files: str = "./notes.txt\n") -> None:
    """A disk that a box had, and the copy that was made of it."""
    await a_disk(api, who, name)
    job_id = await a_box(api, who, disk_name=name)
    await activated(api, job_id)
    await used(api, job_id, files)
    await ended(api, job_id, EndCause.CANCELLED)
    await copied(api)


async def renamed(api: TheApi, who: Someone, old: str, new: str, **result: Any) -> dict[str, Any]:
    """The answer to a rename whose snapshots were labelled with this outcome."""
    asking = asyncio.create_task(ask(api, who, "POST", f"/disks/{old}/rename", new_name=new))
    await settled(api, await running_operation(api, "rename"), **result)
    told: dict[str, Any] = await asking
    return told


# --- made, seen -------------------------------------------------------------------------------------------------------


async def test_a_disk_is_made_as_the_document_says(api: TheApi) -> None:
    me = await api.someone("ada@example.com")
    told = await ask(api, me, "POST", "/disks", disk_name="my-training-data", size_gb=500)
    assert told.keys() == {"operation_id", "disk_name", "action", "message", "requested_at"}
    assert (told["disk_name"], told["action"]) == ("my-training-data", "create")
    assert told["message"] == "Disk creation request queued successfully"
    found = await disk(api, me, "my-training-data")
    assert found.keys() >= DOCUMENTED
    assert (found["user_id"], found["size_gb"], found["snapshot_count"]) == ("ada@example.com", 500, 0)
    assert (found["in_use"], found["reservation_id"], found["is_deleted"], found["last_used"]) == (
        False,
        None,
        False,
        None,
    )
    assert (await ask(api, me, "GET", "/disks"))["disks"] == [found]


async def test_an_operation_is_followed_to_its_end(api: TheApi) -> None:
    me = await api.someone()
    told = await ask(api, me, "POST", "/disks", disk_name="d", size_gb=10)
    path = f"/disks/d/operations/{told['operation_id']}"
    under_way = await ask(api, me, "GET", path)
    assert under_way.keys() >= OPERATION
    assert (under_way["status"], under_way["completed"], under_way["error"]) == ("running", False, None)
    await settled(api, told["operation_id"])
    done = await ask(api, me, "GET", path)
    assert (done["status"], done["completed"], done["is_deleted"]) == ("completed", True, False)
    resize = await ask(api, me, "POST", "/disks/d/resize", size_gb=20)
    await settled(api, resize["operation_id"], error="the storage cannot grow")
    failed = await ask(api, me, "GET", f"/disks/d/operations/{resize['operation_id']}")
    assert (failed["status"], failed["completed"], failed["error"]) == ("failed", True, "the storage cannot grow")
    listed = await ask(api, me, "GET", "/disks/d/operations")
    assert [one["action"] for one in listed["operations"]] == ["resize", "create"]
    for wrong in (str(uuid4()), "op-123-abc"):
        assert "not found" in await detail_of(api, me, "GET", f"/disks/d/operations/{wrong}", 404)


async def test_a_size_may_be_left_out_and_has_bounds(api: TheApi) -> None:
    me = await api.someone()
    for size_gb in (None, ...):
        name = f"d-{uuid4().hex[:8]}"
        body = {"disk_name": name, **({} if size_gb is ... else {"size_gb": size_gb})}
        assert (await api.call("POST", "/v1/disks", me, json=body)).status_code == 200
        assert (await disk(api, me, name))["size_gb"] == 100
    for size_gb in (9, 10_001, "50", 10.5, -1):
        told = await ask(api, me, "POST", "/disks", 422, disk_name="d", size_gb=size_gb)
        assert told["detail"][0]["loc"] == ["body", "size_gb"]


@pytest.mark.parametrize("name", ["a/../b", "über", "with space", "", "x" * 64, "a.b", "\0"])
async def test_a_name_that_is_none_is_refused_wherever_it_is_said(api: TheApi, name: str) -> None:
    me = await api.someone()
    await a_disk(api, me, "d")
    assert "invalid disk name" in await detail_of(api, me, "POST", "/disks", 400, disk_name=name, size_gb=10)
    assert "invalid disk name" in await detail_of(api, me, "POST", "/disks/d/rename", 400, new_name=name)
    assert "invalid disk name" in await detail_of(api, me, "POST", "/disks/d/clone", 400, new_name=name)


async def test_a_name_is_used_once_by_each(api: TheApi) -> None:
    me, other = await api.someone(), await api.someone()
    await a_disk(api, me, "shared-name")
    await a_disk(api, other, "shared-name", 20)
    assert "already" in await detail_of(api, me, "POST", "/disks", 409, disk_name="shared-name", size_gb=10)
    assert [(await disk(api, who, "shared-name"))["size_gb"] for who in (me, other)] == [10, 20]


async def test_anothers_disk_does_not_exist(api: TheApi) -> None:
    me, other = await api.someone(), await api.someone()
    await a_disk(api, other, "theirs")
    told = await ask(api, other, "POST", "/disks/theirs/resize", size_gb=20)
    for method, path, body in (
        ("GET", "", {}),
        ("DELETE", "", {}),
        ("GET", "/content", {}),
        ("GET", "/operations", {}),
        ("GET", f"/operations/{told['operation_id']}", {}),
        ("POST", "/rename", {"new_name": "mine"}),
        ("POST", "/resize", {"size_gb": 30}),
        ("POST", "/clone", {"new_name": "mine"}),
        ("POST", "/undelete", {}),
    ):
        assert "not found" in await detail_of(api, me, method, f"/disks/theirs{path}", 404, **body), path
    assert await names(api, me) == []


async def test_a_viewers_key_sees_and_changes_nothing(api: TheApi) -> None:
    me = await api.someone()
    await a_disk(api, me, "d")
    viewer = await api.someone(principal=me.principal, role=Role.VIEWER)
    assert await names(api, viewer) == ["d"]
    await detail_of(api, viewer, "DELETE", "/disks/d", 403)
    await detail_of(api, viewer, "POST", "/disks", 403, disk_name="e", size_gb=10)


# --- with boxes -------------------------------------------------------------------------------------------------------


async def test_a_new_name_in_a_submit_makes_the_disk_which_is_in_use_from_then_on(api: TheApi) -> None:
    me = await api.someone()
    job_id = await a_box(api, me, disk_name="thesis", disk_size_gb=20)
    waiting = await disk(api, me, "thesis")
    assert (waiting["size_gb"], waiting["in_use"], waiting["reservation_id"]) == (20, True, job_id)
    assert (await ask(api, me, "GET", f"/jobs/{job_id}"))["disk_name"] == "thesis"
    await activated(api, job_id)
    await used(api, job_id)
    await entered(api, job_id)
    in_use = await disk(api, me, "thesis")
    assert (in_use["in_use"], in_use["reservation_id"], in_use["last_used"] is not None) == (True, job_id, True)
    await ended(api, job_id, EndCause.EXPIRED)
    backing_up = await disk(api, me, "thesis")
    assert (backing_up["in_use"], backing_up["is_backing_up"], backing_up["snapshot_count"]) == (False, True, 0)
    await copied(api)
    free = await disk(api, me, "thesis")
    assert (free["is_backing_up"], free["snapshot_count"]) == (False, 1)


async def test_a_disk_that_a_box_has_or_waits_for_is_left_alone(api: TheApi) -> None:
    me = await api.someone()
    await a_disk(api, me, "busy")
    job_id = await a_box(api, me, disk_name="busy")
    for is_held in (False, True):
        if is_held:
            await activated(api, job_id)
        for method, path, body in (
            ("DELETE", "", {}),
            ("POST", "/rename", {"new_name": "idle"}),
            ("POST", "/resize", {"size_gb": 20}),
        ):
            assert job_id in await detail_of(api, me, method, f"/disks/busy{path}", 409, **body), path
    assert await names(api, me) == ["busy"]


async def test_two_boxes_may_wait_for_one_disk(api: TheApi) -> None:
    me = await api.someone()
    first, second = [await a_box(api, me, disk_name="one") for _ in range(2)]
    assert first != second
    assert (await disk(api, me, "one"))["reservation_id"] == first
    assert await names(api, me) == ["one"]


async def test_the_files_are_listed_as_they_were_at_the_end_of_the_last_box(api: TheApi) -> None:
    me = await api.someone()
    await a_disk(api, me, "fresh")
    nothing = await ask(api, me, "GET", "/disks/fresh/content")
    assert nothing.keys() == {"disk_name", "content", "s3_path", "snapshot_date", "message"}
    assert (nothing["content"], nothing["snapshot_date"], nothing["message"] is None) == (None, None, False)
    await a_used_disk(api, me, "worked-on", "./notes.txt\n./model/weights.bin\n")
    listed = await ask(api, me, "GET", "/disks/worked-on/content")
    assert (listed["content"], listed["message"]) == ("./notes.txt\n./model/weights.bin\n", None)
    assert datetime.fromisoformat(listed["snapshot_date"]) <= api.clock()


# --- renamed, grown, cloned -------------------------------------------------------------------------------------------


async def test_a_disk_is_renamed_and_its_snapshots_with_it(api: TheApi) -> None:
    me = await api.someone()
    await a_disk(api, me, "old")
    bare = await renamed(api, me, "old", "new")
    assert bare == {
        "message": "Disk renamed from 'old' to 'new' (no snapshots found)",
        "old_name": "old",
        "new_name": "new",
        "snapshots_updated": 0,
    }
    assert await names(api, me) == ["new"]
    await a_used_disk(api, me, "data")
    all_updated = await renamed(api, me, "data", "data-2", updated=1)
    assert all_updated["message"] == "Disk renamed from 'data' to 'data-2' (1 snapshots updated)"
    assert (all_updated["snapshots_updated"], "errors" in all_updated) == (1, False)
    some = await renamed(api, me, "data-2", "data-3", updated=0, errors=["snap-1: Access denied"])
    assert some["message"] == "Disk renamed from 'data-2' to 'data-3' (0/1 snapshots updated)"
    assert some["errors"] == ["snap-1: Access denied"]


async def test_a_rename_whose_snapshots_take_long_is_answered_all_the_same(api: TheApi) -> None:
    me = await api.someone()
    await a_used_disk(api, me, "slow")
    told = await ask(api, me, "POST", "/disks/slow/rename", new_name="slow-2")
    assert (told["new_name"], told["snapshots_updated"], len(told["errors"])) == ("slow-2", 0, 1)
    assert await names(api, me) == ["slow-2"]


async def test_a_rename_to_a_name_in_use_is_refused(api: TheApi) -> None:
    me = await api.someone()
    await a_disk(api, me, "one")
    await a_disk(api, me, "two")
    for new in ("two", "one"):
        assert "already" in await detail_of(api, me, "POST", "/disks/one/rename", 409, new_name=new)


async def test_a_disk_only_grows(api: TheApi) -> None:
    me = await api.someone()
    await a_disk(api, me, "d", 100)
    told = await ask(api, me, "POST", "/disks/d/resize", size_gb=200)
    assert (told["action"], told["message"]) == ("resize", "Disk resize to 200 GB queued successfully")
    assert (await disk(api, me, "d"))["size_gb"] == 200
    await settled(api, told["operation_id"])
    for size_gb in (100, 200):
        assert "only grow" in await detail_of(api, me, "POST", "/disks/d/resize", 400, size_gb=size_gb)


async def test_a_clone_is_another_disk_of_the_same_size(api: TheApi) -> None:
    me = await api.someone()
    await a_used_disk(api, me, "source")
    told = await ask(api, me, "POST", "/disks/source/clone", new_name="copy")
    assert (told["action"], told["disk_name"]) == ("clone", "copy")
    assert sorted(await names(api, me)) == ["copy", "source"]
    assert "already" in await detail_of(api, me, "POST", "/disks/source/clone", 409, new_name="copy")


# --- deleted ----------------------------------------------------------------------------------------------------------


async def test_a_deleted_disk_is_hidden_and_says_so_until_it_goes_for_good(api: TheApi) -> None:
    me = await api.someone()
    await a_disk(api, me, "scratch")
    told = await ask(api, me, "DELETE", "/disks/scratch")
    day = (api.clock() + timedelta(days=30)).date().isoformat()
    assert told["message"] == f"Disk deletion request queued successfully. Will be deleted on {day}"
    assert await names(api, me) == []
    found = await disk(api, me, "scratch")
    assert (found["is_deleted"], found["delete_date"]) == (True, day)
    operation = await ask(api, me, "GET", f"/disks/scratch/operations/{told['operation_id']}")
    assert (operation["is_deleted"], operation["delete_date"]) == (True, day)
    for method, path, body in (
        ("GET", "/content", {}),
        ("DELETE", "", {}),
        ("POST", "/rename", {"new_name": "other"}),
        ("POST", "/resize", {"size_gb": 20}),
        ("POST", "/clone", {"new_name": "other"}),
    ):
        assert await detail_of(api, me, method, f"/disks/scratch{path}", 410, **body), path
    answer = await submitted(api, me, disk_name="scratch")
    assert (answer.status_code, answer.json().keys()) == (410, {"detail"})


async def test_a_deleted_disk_comes_back(api: TheApi) -> None:
    me = await api.someone()
    await a_disk(api, me, "scratch")
    await settled(api, (await ask(api, me, "DELETE", "/disks/scratch"))["operation_id"])
    told = await ask(api, me, "POST", "/disks/scratch/undelete")
    assert (told["action"], told["message"]) == ("undelete", "Disk 'scratch' is no longer to be deleted")
    assert (await disk(api, me, "scratch"))["is_deleted"] is False
    assert await names(api, me) == ["scratch"]


async def test_the_name_of_a_deleted_disk_is_free_and_then_it_cannot_come_back(api: TheApi) -> None:
    me = await api.someone()
    await a_disk(api, me, "name", 10)
    await settled(api, (await ask(api, me, "DELETE", "/disks/name"))["operation_id"])
    await a_disk(api, me, "name", 20)
    assert (await disk(api, me, "name"))["size_gb"] == 20
    assert "rename that one first" in await detail_of(api, me, "POST", "/disks/name/undelete", 409)
