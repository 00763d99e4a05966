"""A create under an idempotency key is done once, however often and however fast it is sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.api.api_kit import a_gpr_body

if TYPE_CHECKING:
    from tests.api.api_kit import Someone, TheApi


def keyed(key: str = "") -> dict[str, str]:
    return {"Idempotency-Key": key or uuid4().hex}


async def gprs_of(api: TheApi, who: Someone) -> list[str]:
    return [item["name"] for item in (await api.call("GET", "/berth/v1/gprs", who)).json()["items"]]


async def test_the_same_request_again_gets_the_same_answer_and_makes_nothing(api: TheApi) -> None:
    me = await api.someone()
    body, headers = a_gpr_body(await api.workspace(me)), keyed()
    first, second = [await api.call("POST", "/api/v1/gpr", me, json=body, headers=headers) for _ in range(2)]
    assert first.json() == second.json()
    assert await gprs_of(api, me) == ["gpr1"]


async def test_the_same_meaning_in_another_spelling_is_the_same_request(api: TheApi) -> None:
    me = await api.someone()
    workspace, headers = await api.workspace(me), keyed()
    one = a_gpr_body(workspace)
    other = {
        **a_gpr_body(workspace, sliceName=..., exitDuration="5m", memoryPerGPU=...),
        "workspaceName": workspace,
        "memoryPerGpu": 15.0,
    }
    answers = [await api.call("POST", "/api/v1/gpr", me, json=body, headers=headers) for body in (one, other)]
    assert answers[0].json() == answers[1].json()


async def test_ten_at_once_make_one(api: TheApi) -> None:
    me = await api.someone()
    body, headers = a_gpr_body(await api.workspace(me)), keyed()
    answers = await asyncio.gather(
        *(api.call("POST", "/api/v1/gpr", me, json=body, headers=headers) for _ in range(10))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["data"]["gprId"] for answer in answers}) == 1
    assert await gprs_of(api, me) == ["gpr1"]


async def test_the_same_key_for_another_request_is_a_conflict(api: TheApi) -> None:
    me = await api.someone()
    workspace, headers = await api.workspace(me), keyed()
    await api.call("POST", "/api/v1/gpr", me, json=a_gpr_body(workspace), headers=headers)
    answer = await api.call("POST", "/api/v1/gpr", me, json=a_gpr_body(workspace, priority=7), headers=headers)
    assert (answer.status_code, answer.json()["statusCode"], answer.json()["message"]) == (409, 409, "Conflict")


async def test_somebody_elses_key_and_another_operation_are_apart(api: TheApi) -> None:
    one, other, headers = await api.someone(), await api.someone(), keyed()
    for who in (one, other):
        body = a_gpr_body(await api.workspace(who))
        assert (await api.call("POST", "/api/v1/gpr", who, json=body, headers=headers)).status_code == 200
        assert (await api.call("POST", "/berth/v1/keys", who, json={"name": "k"}, headers=headers)).status_code == 201


async def test_a_request_that_failed_leaves_its_key_free(api: TheApi) -> None:
    me = await api.someone()
    workspace, headers = await api.workspace(me), keyed()
    bad = a_gpr_body(workspace, clusterName="worker-2")
    assert (await api.call("POST", "/api/v1/gpr", me, json=bad, headers=headers)).status_code == 422
    assert (await api.call("POST", "/api/v1/gpr", me, json=a_gpr_body(workspace), headers=headers)).status_code == 200


async def test_without_a_key_every_request_counts(api: TheApi) -> None:
    me = await api.someone()
    body = a_gpr_body(await api.workspace(me))
    for _ in range(2):
        await api.call("POST", "/api/v1/gpr", me, json=body)
    assert await gprs_of(api, me) == ["gpr1", "gpr1"]


async def test_a_workspace_is_made_once(api: TheApi) -> None:
    me, name, headers = await api.someone(), f"ws-{uuid4().hex[:8]}", keyed()
    body = {"workspaceName": name, "clusters": ["worker-1"], "namespaces": [f"{name}-ns"]}
    answers = [await api.call("POST", "/api/v1/slice-workspace", me, json=body, headers=headers) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert (await api.call("POST", "/api/v1/slice-workspace", me, json=body)).status_code == 409


async def test_a_keys_text_is_shown_once(api: TheApi) -> None:
    me, headers = await api.someone(), keyed()
    first, second = [
        (await api.call("POST", "/berth/v1/keys", me, json={"name": "k"}, headers=headers)).json() for _ in range(2)
    ]
    assert first["key"].startswith(first["prefix"])
    assert second == {**first, "key": None}


@pytest.mark.parametrize("key", ["", "x" * 256, "\u00e9".encode("latin-1"), b"a\tb"])
async def test_a_key_that_is_not_printable_or_too_long_is_refused(api: TheApi, key: Any) -> None:
    me = await api.someone()
    answer = await api.call(
        "POST", "/api/v1/gpr", me, json=a_gpr_body(await api.workspace(me)), headers={"Idempotency-Key": key}
    )
    assert answer.status_code == 422
