"""The same request many times at the same moment: done once, and everybody who sent it gets a true answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from domain.gpr import Phase
from tests.api.api_kit import a_gpr_body

if TYPE_CHECKING:
    import httpx

    from tests.api.api_kit import Someone, TheApi

TIMES = 12


async def at_once(api: TheApi, who: Someone, method: str, path: str, **more: Any) -> list[httpx.Response]:
    return await asyncio.gather(*(api.call(method, path, who, **more) for _ in range(TIMES)))


async def kinds_of(api: TheApi, who: Someone, gpr: str) -> Counter[str]:
    events = (await api.call("GET", f"/berth/v1/gprs/{gpr}/events?limit=500", who)).json()["items"]
    return Counter(event["kind"] for event in events)


async def test_one_key_for_two_requests_at_once_makes_the_first_and_refuses_the_other(api: TheApi) -> None:
    me, headers = await api.someone(), {"Idempotency-Key": uuid4().hex}
    workspace = await api.workspace(me)
    bodies = [a_gpr_body(workspace, gprName=f"g{number % 2}") for number in range(TIMES)]
    answers = await asyncio.gather(
        *(api.call("POST", "/api/v1/gpr", me, json=body, headers=headers) for body in bodies)
    )
    assert Counter(answer.status_code for answer in answers) == {200: TIMES // 2, 409: TIMES // 2}
    assert len({answer.json()["data"]["gprId"] for answer in answers if answer.status_code == 200}) == 1
    assert len((await api.call("GET", f"/berth/v1/gprs?workspace={workspace}", me)).json()["items"]) == 1


@pytest.mark.parametrize("phase", [Phase.QUEUED, Phase.PROVISIONING])
async def test_one_gpr_deleted_many_times_at_once_ends_once(api: TheApi, phase: Phase) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me), phase)
    answers = await at_once(api, me, "DELETE", "/api/v1/gpr", json={"gprId": gpr})
    assert {answer.status_code for answer in answers} == {200}
    kinds = await kinds_of(api, me, gpr)
    assert kinds["cancelled"] + kinds["releasing"] == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/api/v1/gpr", {"gprId": "{gpr}", "earlyRelease": True}),
        ("POST", "/berth/v1/gprs/{gpr}/release", None),
    ],
)
async def test_one_gpr_released_many_times_at_once_ends_once(
    api: TheApi, method: str, path: str, body: dict[str, Any] | None
) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me), Phase.ACTIVE)
    wish = None if body is None else {**body, "gprId": gpr}
    answers = await at_once(api, me, method, path.format(gpr=gpr), json=wish)
    assert {answer.status_code for answer in answers} == {200}
    assert (await kinds_of(api, me, gpr))["releasing"] == 1


async def test_one_name_taken_many_times_at_once_is_taken_once(api: TheApi) -> None:
    me, name = await api.someone(), f"ws-{uuid4().hex[:8]}"
    body = {"workspaceName": name, "clusters": ["worker-1"], "namespaces": [name]}
    answers = await at_once(api, me, "POST", "/api/v1/slice-workspace", json=body)
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: TIMES - 1}


async def test_one_workspace_made_many_times_at_once_under_one_key_is_made_once(api: TheApi) -> None:
    me, name = await api.someone(), f"ws-{uuid4().hex[:8]}"
    body = {"workspaceName": name, "clusters": ["worker-1"], "namespaces": [name]}
    headers = {"Idempotency-Key": uuid4().hex}
    answers = await at_once(api, me, "POST", "/api/v1/slice-workspace", json=body, headers=headers)
    assert [answer.json()["data"] for answer in answers] == [{"workspaceName": name}] * TIMES


async def test_one_workspace_deleted_many_times_at_once_is_deleted_once(api: TheApi) -> None:
    administrator = await api.someone(administrator=True)
    workspace = await api.workspace(administrator)
    api.courier.delivered.clear()
    answers = await at_once(api, administrator, "DELETE", "/api/v1/slice-workspace", json={"workspaceName": workspace})
    assert {answer.status_code for answer in answers} == {200}
    assert len(api.courier.delivered) == 1


async def test_one_key_revoked_many_times_at_once_is_revoked(api: TheApi) -> None:
    me = await api.someone()
    other = await api.someone(principal=me.principal)
    answers = await at_once(api, me, "DELETE", f"/berth/v1/keys/{other.key_id}")
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["revoked_at"] for answer in answers}) == 1


async def test_every_priority_set_at_once_is_taken_and_the_last_one_holds(api: TheApi) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me))
    answers = await asyncio.gather(
        *(api.call("PUT", "/api/v1/gpr", me, json={"gprId": gpr, "priority": number}) for number in range(TIMES))
    )
    assert {answer.status_code for answer in answers} == {200}
    events = (await api.call("GET", f"/berth/v1/gprs/{gpr}/events", me)).json()["items"]
    set_to = [event["detail"]["priority"] for event in events if event["kind"] == "priority_set"]
    assert sorted(set_to) == list(range(TIMES))
    assert (await api.call("GET", f"/berth/v1/gprs/{gpr}", me)).json()["priority"] == set_to[-1]
