"""Limits over time, as administrators set them and as requests meet them in the plan."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from domain.identity import Role
from tests.api.time_kit import Json, Town, error_of, instant

if TYPE_CHECKING:
    import httpx

    from tests.api.api_kit import TheApi

HOUR = timedelta(hours=1)


async def done(answer: httpx.Response, status: int = 200) -> Json:
    assert answer.status_code == status, answer.text
    found: Json = answer.json()
    return found


async def a_department(town: Town, *workspaces: str, **limits: int) -> str:
    name = f"d-{uuid4().hex[:8]}"
    await done(await town.ask("POST", "departments", json={"name": name, **limits}), 201)
    for workspace in workspaces:
        await done(await town.ask("PUT", f"workspaces/{workspace}/department", json={"department": name}))
    return name


async def limited(town: Town, **limits: int) -> str:
    """Name of a new workspace with this quota."""
    workspace = await town.workspace()
    await done(await town.ask("PUT", f"workspaces/{workspace}/quota", json=limits))
    return workspace


async def an_override(town: Town, scope: str, name: str, begin: float, hours: float, **amounts: int) -> Json:
    """From so many hours from now on, for so many hours."""
    start = town.api.clock() + begin * HOUR
    span = {"begin": start.isoformat(), "end": (start + hours * HOUR).isoformat()}
    return await done(
        await town.ask("POST", "quota-overrides", json={"scope": scope, "name": name, **span, **amounts}), 201
    )


async def why_of(town: Town, gpr_id: str) -> str:
    return str((await town.got(f"gprs/{gpr_id}"))["estimate"]["reason"])


# --- guaranteed and borrowed ------------------------------------------------------------------------------------------


async def test_above_its_quota_a_workspace_gets_gpus_only_preemptibly(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    workspace = await limited(town, gpus=2)
    waiting = await town.waiting(4, workspace=workspace)
    why = await why_of(town, waiting)
    assert why.startswith(f"asks for more than the quota of workspace {workspace}, 2 GPUs")
    assert why.endswith("if it could be preempted, it could start at once")
    await town.ask("POST", f"gprs/{waiting}/release")
    await town.running(4, workspace=workspace, preemptible=True)
    shown = await town.got(f"workspaces/{workspace}/quota")
    assert (shown["limit"]["gpus"], shown["held"]) == (2, {"gpus": 4, "preemptible": 4})


async def test_a_ceiling_counts_what_is_borrowed_too(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    workspace = await limited(town, gpus=2, ceiling=3)
    too_many = await town.waiting(4, workspace=workspace, preemptible=True)
    assert await why_of(town, too_many) == f"asks for more than the ceiling of workspace {workspace}, 3 GPUs"


async def test_workspaces_share_what_their_department_is_guaranteed(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    one, two, other = [await town.workspace() for _ in range(3)]
    department = await a_department(town, one, two, gpus=4)
    first = await town.running(3, workspace=one)
    second = await town.waiting(2, workspace=two)
    await town.running(2, workspace=other)
    assert (await why_of(town, second)).startswith(
        f"waits for the quota of department {department}, 4 GPUs: train holds it"
    )
    shown = await town.got(f"departments/{department}")
    assert (shown["held"], shown["workspaces"]) == ({"gpus": 3, "preemptible": 0}, sorted([one, two]))
    await town.end(first)
    await town.run()
    assert (await town.gpr(second)).phase == "active"


async def test_a_department_lends_to_another_up_to_its_own_ceiling(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    workspace = await town.workspace()
    department = await a_department(town, workspace, gpus=2, ceiling=5)
    await town.running(5, workspace=workspace, preemptible=True)
    another = await town.workspace()
    await done(await town.ask("PUT", f"workspaces/{another}/department", json={"department": department}))
    waiting = await town.waiting(1, workspace=another)
    assert f"the ceiling of department {department}, 5 GPUs" in await why_of(town, waiting)


async def test_lowering_ends_nothing_and_what_waits_gets_a_time(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    workspace = await limited(town, gpus=8)
    running = await town.running(4, workspace=workspace)
    await done(await town.ask("PUT", f"workspaces/{workspace}/quota", json={"gpus": 2}))
    later = await town.submit(2, workspace=workspace)
    await town.run()
    assert (await town.gpr(running)).phase == "active"
    assert await town.start_of(later) >= (await town.gpr(running)).end_at  # type: ignore[operator]


# --- for a while ------------------------------------------------------------------------------------------------------


async def test_a_request_starts_when_an_override_begins_as_its_estimate_said(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    workspace = await limited(town, gpus=2)
    override = await an_override(town, "workspace", workspace, 2, 6, gpus=6)
    waiting = await town.waiting(4, workspace=workspace)
    assert await town.start_of(waiting) == instant(override["begin"])
    assert ": 2 until " in await why_of(town, waiting)
    assert ", 6 from then on" in await why_of(town, waiting)
    town.later(hours=2, seconds=1)
    await town.run()
    assert (await town.gpr(waiting)).phase == "active"


async def test_what_would_outlast_an_override_waits_with_a_reason(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    workspace = await limited(town, gpus=2)
    await an_override(town, "workspace", workspace, 0, 2, gpus=6)
    await town.running(4, workspace=workspace, duration="1h")
    too_long = await town.waiting(4, workspace=workspace, duration="3h")
    why = await why_of(town, too_long)
    assert f"asks for more than the quota of workspace {workspace}, 6 GPUs, or for longer: it is 6 until" in why


@pytest.mark.parametrize("scope", ["namespace", "department"])
async def test_namespaces_and_departments_have_overrides_too(api: TheApi, scope: str) -> None:
    town = await Town.founded(api, 8)
    workspace = await town.workspace()
    name = f"{workspace}-ns" if scope == "namespace" else await a_department(town, workspace)
    override = await an_override(town, scope, name, 0, 5, gpus=1)
    waiting = await town.waiting(2, workspace=workspace)
    assert await town.start_of(waiting) == instant(override["end"])
    assert f"waits for the quota of {scope} {name}, 1 GPU: 1 until" in await why_of(town, waiting)
    assert ", no limit from then on" in await why_of(town, waiting)


async def test_the_quota_of_a_namespace_shows_what_counts_now(api: TheApi) -> None:
    town = await Town.founded(api, 1)
    namespace = await api.quota(f"{await town.workspace()}-ns", gpus=4)
    assert (await town.got(f"quotas/{namespace}"))["gpus_now"] == 4
    await an_override(town, "namespace", namespace, 0, 1, gpus=9)
    shown = await town.got(f"quotas/{namespace}")
    assert (shown["limit"]["gpus"], shown["gpus_now"]) == (4, 9)


async def test_an_override_is_listed_until_it_is_over_and_is_kept_as_history(api: TheApi) -> None:
    town = await Town.founded(api, 1)
    workspace = await limited(town, gpus=2)
    override = await an_override(town, "workspace", workspace, 0, 2, gpus=6, ceiling=7)
    shown = await town.got(f"workspaces/{workspace}/quota")
    assert (shown["limit"], shown["now"]) == ({"gpus": 2, "ceiling": None}, {"gpus": 6, "ceiling": 7})
    assert [one["id"] for one in shown["overrides"]] == [override["id"]]
    town.later(hours=3)
    assert (await town.got(f"workspaces/{workspace}/quota"))["overrides"] == []
    now, ever = [await town.got(f"quota-overrides{query}") for query in ("", "?past=true")]
    assert override["id"] not in {one["id"] for one in now["items"]}
    assert override["id"] in {one["id"] for one in ever["items"]}
    gone = await town.ask("DELETE", f"quota-overrides/{override['id']}")
    assert error_of(gone) == (409, "wrong_phase")


async def test_an_override_that_is_withdrawn_counts_no_more(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    workspace = await limited(town, gpus=2)
    override = await an_override(town, "workspace", workspace, 0, 5, gpus=6)
    for _ in range(2):
        await done(await town.ask("DELETE", f"quota-overrides/{override['id']}"))
    waiting = await town.waiting(4, workspace=workspace)
    assert (await town.got(f"gprs/{waiting}"))["estimate"]["starts_at"] is None


async def test_a_repeat_under_one_key_sets_one_override(api: TheApi) -> None:
    town = await Town.founded(api, 1)
    workspace = await town.workspace()
    end, elsewhere = api.clock() + HOUR, timezone(timedelta(hours=2))
    body = {"scope": "workspace", "name": workspace, "gpus": 1}
    key = {"Idempotency-Key": uuid4().hex}
    spelled = (end.isoformat(), end.astimezone(elsewhere).isoformat())
    asked = [await town.ask("POST", "quota-overrides", json={**body, "end": one}, headers=key) for one in spelled]
    made = [await done(one, 201) for one in asked]
    assert made[0] == made[1]
    assert len((await town.got(f"workspaces/{workspace}/quota"))["overrides"]) == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"gpus": None}, 422),
        ({"end": "2020-01-01T00:00:00Z"}, 422),
        ({"begin": "2190-01-01T00:00:00Z"}, 422),
        ({"scope": "planet"}, 422),
        ({"scope": "department", "name": "nobodys"}, 404),
        ({"scope": "namespace", "name": "nobodys"}, 404),
        ({"name": "nobodys"}, 404),
        ({"scope": "namespace", "ceiling": 3}, 422),
        ({"ceiling": 0}, 422),
    ],
)
async def test_what_is_no_override_is_refused(api: TheApi, change: Json, status: int) -> None:
    town = await Town.founded(api, 1)
    workspace = await town.workspace()
    body = {"scope": "workspace", "name": workspace, "gpus": 1, "end": (api.clock() + HOUR).isoformat(), **change}
    answer = await town.ask("POST", "quota-overrides", json=body)
    assert answer.status_code == status, answer.text


# --- people -----------------------------------------------------------------------------------------------------------


async def test_a_person_holds_no_more_than_their_ceiling_in_all_workspaces_together(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    ann, ben = await api.someone(), await api.someone()
    spaces = {who.key: [await town.workspace(who) for _ in range(3)] for who in (ann, ben)}
    user = ann.principal.name
    found = await done(await town.ask("PUT", f"user-ceilings/{user}", json={"gpus": 3}))
    assert {one["user"]: one["gpus"] for one in found["items"]}[user] == 3
    await town.running(2, workspace=spaces[ann.key][0], who=ann)
    waiting = await town.waiting(2, workspace=spaces[ann.key][1], who=ann)
    assert (await why_of(town, waiting)).startswith(
        f"waits for the ceiling of user {user}, 3 GPUs: train holds it until"
    )
    await town.running(2, workspace=spaces[ben.key][0], who=ben)
    asked = {"requests": [{"workspace": spaces[ann.key][2], "gpus_per_node": 2, "shape": town.shape, "duration": "1h"}]}
    said = await done(await town.ask("POST", "what-if", ann, json=asked))
    assert "the ceiling of user" in said["items"][0]["estimate"]["reason"]
    await done(await town.ask("PUT", f"user-ceilings/{user}", json={"gpus": None}))
    await town.run()
    assert (await town.gpr(waiting)).phase == "active"
    await done(await town.ask("DELETE", f"user-ceilings/{user}"))


async def test_what_counts_for_everybody_is_seen_by_everybody(api: TheApi) -> None:
    town, ann = await Town.founded(api, 4), await api.someone()
    workspace = await town.workspace(ann)
    try:
        await done(await town.ask("PUT", "user-ceilings", json={"gpus": 1}))
        waiting = await town.waiting(2, workspace=workspace, who=ann)
        assert f"more than the ceiling of user {ann.principal.name}, 1 GPU" in await why_of(town, waiting)
        (seen,) = (await town.got("user-ceilings", ann))["items"]
        assert (seen["user"], seen["gpus"]) == ("", 1)
    finally:
        await done(await town.ask("PUT", "user-ceilings", json={"gpus": None}))


# --- who sees and decides ---------------------------------------------------------------------------------------------


async def test_others_see_neither_department_nor_quota_nor_override(api: TheApi) -> None:
    town, stranger = await Town.founded(api, 1), await api.someone()
    workspace = await limited(town, gpus=2)
    department = await a_department(town, workspace)
    override = await an_override(town, "department", department, 0, 1, gpus=6)
    assert (await town.ask("GET", f"departments/{department}", stranger)).status_code == 404
    assert (await town.ask("GET", f"workspaces/{workspace}/quota", stranger)).status_code == 404
    for path in ("departments", "workspace-quotas", "quota-overrides"):
        assert (await town.got(path, stranger))["items"] == []
    member = await api.member(workspace, Role.VIEWER)
    assert [one["name"] for one in (await town.got("departments", member))["items"]] == [department]
    assert [one["id"] for one in (await town.got("quota-overrides", member))["items"]] == [override["id"]]
    assert [one["workspace"] for one in (await town.got("workspace-quotas", member))["items"]] == [workspace]


async def test_a_member_sees_of_a_department_only_the_workspaces_that_it_may_see(api: TheApi) -> None:
    town = await Town.founded(api, 1)
    mine, others = await town.workspace(), await town.workspace()
    department = await a_department(town, mine, others)
    member = await api.member(mine, Role.VIEWER)
    assert (await town.got(f"departments/{department}", member))["workspaces"] == [mine]


async def test_owners_of_a_workspace_decide_nothing_of_this(api: TheApi) -> None:
    town, owner = await Town.founded(api, 1), await api.someone()
    workspace = await town.workspace(owner)
    end = (api.clock() + HOUR).isoformat()
    calls: list[tuple[str, str, Json]] = [
        ("PUT", f"workspaces/{workspace}/quota", {"gpus": 9}),
        ("PUT", f"workspaces/{workspace}/department", {"department": "default"}),
        ("POST", "quota-overrides", {"scope": "workspace", "name": workspace, "gpus": 9, "end": end}),
        ("PUT", f"user-ceilings/{owner.principal.name}", {"gpus": 9}),
        ("PUT", "user-ceilings", {"gpus": 9}),
        ("POST", "departments", {"name": "mine"}),
        ("PUT", "departments/default", {"gpus": 1}),
    ]
    for method, path, body in calls:
        assert (await town.ask(method, path, owner, json=body)).status_code == 403, path


async def test_a_department_is_deleted_when_nobody_is_in_it(api: TheApi) -> None:
    town = await Town.founded(api, 1)
    workspace = await town.workspace()
    department = await a_department(town, workspace)
    assert error_of(await town.ask("DELETE", f"departments/{department}")) == (409, "in_use")
    await done(await town.ask("PUT", f"workspaces/{workspace}/department", json={"department": "default"}))
    await done(await town.ask("DELETE", f"departments/{department}"))
    assert (await town.ask("GET", f"departments/{department}")).status_code == 404
    assert error_of(await town.ask("DELETE", "departments/default")) == (409, "in_use")
    refused = await town.ask("POST", "departments", json={"name": "default"})
    assert error_of(refused) == (409, "already_exists")


async def test_a_department_is_changed_and_shows_what_counts_now(api: TheApi) -> None:
    town = await Town.founded(api, 1)
    department = await a_department(town, gpus=3)
    await an_override(town, "department", department, 0, 1, ceiling=9)
    changed = await done(
        await town.ask("PUT", f"departments/{department}", json={"gpus": 5, "ceiling": 6, "description": "people"})
    )
    assert changed["description"] == "people"
    assert (changed["limit"], changed["now"]) == ({"gpus": 5, "ceiling": 6}, {"gpus": 5, "ceiling": 9})


async def test_a_ceiling_below_what_is_guaranteed_is_refused(api: TheApi) -> None:
    town = await Town.founded(api, 1)
    workspace, department = await town.workspace(), await a_department(town)
    limits = {"gpus": 5, "ceiling": 4}
    for method, path, body in (
        ("POST", "departments", {"name": f"d-{uuid4().hex[:8]}", **limits}),
        ("PUT", f"departments/{department}", limits),
        ("PUT", f"workspaces/{workspace}/quota", limits),
    ):
        answer = await town.ask(method, path, json=body)
        assert error_of(answer) == (422, "invalid_request")
        assert "is less than the 5 that are guaranteed" in answer.text
