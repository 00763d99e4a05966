"""Single GPUs, idle rules and costs over the native API."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain.devices import FaultKind, GpuFault, GpuIdentity, GpuSample
from domain.gpr import Phase
from domain.identity import Role
from ledger import health, telemetry

if TYPE_CHECKING:
    from uuid import UUID

    from tests.api.api_kit import Someone, TheApi

T4 = "Tesla-T4"
GPUS, RULES, COSTS = "/berth/v1/gpus", "/berth/v1/idle-rules", "/berth/v1/costs"


async def the_gpu(api: TheApi, gpu_id: int, who: Someone) -> dict[str, Any]:
    items = (await api.call("GET", GPUS, who)).json()["items"]
    (found,) = [one for one in items if one["id"] == gpu_id]
    answer: dict[str, Any] = found
    return answer


async def report_xid(api: TheApi, gpu_id: int, code: int) -> None:
    async with api.ledger.transaction() as connection:
        row = await connection.fetchrow("select node, uuid, ordinal from gpu where id = $1", gpu_id)
        assert row is not None
        fault = GpuFault(row["ordinal"], api.clock(), FaultKind.XID, row["uuid"], code)
        await telemetry.write_faults(connection, "worker-1", row["node"], [fault])
        await health.judge_faults(connection, api.clock(), clean_seconds=600)


# --- GPUs ---------------------------------------------------------------------------------------------------------------


async def test_a_gpu_is_shown_with_its_newest_reading(api: TheApi) -> None:
    me, gpu_id = await api.someone(), await api.gpu()
    assert (await the_gpu(api, gpu_id, me))["reading"] is None
    async with api.ledger.transaction() as connection:
        old, new = api.clock() - timedelta(seconds=20), api.clock() - timedelta(seconds=10)
        samples = [GpuSample(old, gpu_id, 1, 1, 30, 400, 30.0, 0), GpuSample(new, gpu_id, 88, 60, 71, 9000, 65.5, 2)]
        await telemetry.write_samples(connection, samples)
    reading = (await the_gpu(api, gpu_id, me))["reading"]
    assert (reading["utilisation_percent"], reading["memory_used_mib"], reading["power_watts"]) == (88, 9000, 65.5)
    elsewhere = (await api.call("GET", GPUS, me, params={"cluster": "worker-2"})).json()
    assert elsewhere == {"items": []}


async def test_the_holder_of_a_gpu_is_named_for_those_who_may_know(api: TheApi) -> None:
    owner, stranger = await api.someone(), await api.someone()
    workspace = await api.workspace(owner)
    gpr = await api.gpr(owner, workspace, Phase.ACTIVE)
    native = (await api.call("GET", f"/berth/v1/gprs/{gpr}", owner)).json()
    (part,) = native["lease"]["nodes"]
    async with api.ledger.transaction() as connection:
        ids = await telemetry.write_gpus(
            connection, "worker-1", part["node"], [GpuIdentity(f"GPU-{gpr}", part["gpus"][0], T4, 15360)], api.clock()
        )
    gpu_id = ids[f"GPU-{gpr}"]
    assert (await the_gpu(api, gpu_id, owner))["holder"] == {"gpr": "gpr1", "workspace": workspace}
    assert (await the_gpu(api, gpu_id, stranger))["holder"] is None


async def test_faults_and_what_followed_are_told_to_everybody(api: TheApi) -> None:
    me, gpu_id = await api.someone(), await api.gpu("worker-1-t4-20")
    for code in (31, 95):
        await report_xid(api, gpu_id, code)
    told = (await api.call("GET", f"{GPUS}/{gpu_id}/faults", me)).json()
    assert [(one["code"], one["verdict"], one["remedy"]) for one in told["items"]] == [
        (95, "quarantined", "reset_gpu"),
        (31, "noted", "none"),
    ]
    (aside,) = told["quarantines"]
    assert (aside["whole_node"], aside["lifted_at"]) == (False, None)
    page = (await api.call("GET", f"{GPUS}/{gpu_id}/faults", me, params={"limit": 1})).json()
    rest = (await api.call("GET", f"{GPUS}/{gpu_id}/faults", me, params={"limit": 1, "after": page["next"]})).json()
    assert [one["code"] for one in page["items"] + rest["items"]] == [95, 31]
    last = (await api.call("GET", f"{GPUS}/{gpu_id}/faults", me, params={"after": rest["next"]})).json()
    assert (last["items"], last["next"]) == ([], None)
    assert (
        await api.call("POST", f"{GPUS}/{gpu_id}/release", await api.someone(administrator=True))
    ).status_code == 200


async def test_an_administrator_sets_a_gpu_aside_and_releases_it(api: TheApi) -> None:
    boss, gpu_id = await api.someone(administrator=True), await api.gpu("worker-1-t4-21")
    answer = await api.call("POST", f"{GPUS}/{gpu_id}/quarantine", boss, json={"reason": "noisy fan"})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["set_aside"]["reason"], answer.json()["set_aside"]["by"]) == (
        "noisy fan",
        boss.principal.name,
    )
    again = await api.call("POST", f"{GPUS}/{gpu_id}/quarantine", boss)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "already_exists")
    for _ in range(2):
        released = await api.call("POST", f"{GPUS}/{gpu_id}/release", boss)
        assert (released.status_code, released.json()["set_aside"]) == (200, None)


async def test_a_node_that_is_set_aside_is_unhealthy_in_every_dialect_and_has_nothing_free(api: TheApi) -> None:
    boss, node = await api.someone(administrator=True), "worker-1-t4-22"
    gpu_id = await api.gpu(node)
    order = {"reason": "burning", "whole_node": True}
    assert (await api.call("POST", f"{GPUS}/{gpu_id}/quarantine", boss, json=order)).status_code == 200
    (seen,) = [one for one in (await api.call("GET", "/berth/v1/nodes", boss)).json()["items"] if one["name"] == node]
    assert (seen["state"], seen["condition"], seen["free_gpus"]) == ("quarantined", "burning", 0)
    inventory = (await api.call("GET", "/api/v1/inventory/list", boss)).json()["data"]["items"]
    (shown,) = [one for one in inventory if one["gpuNodeName"] == node]
    assert (shown["nodeHealth"], shown["availableGPUs"]) == ("Unhealthy", 0)
    await api.call("POST", f"{GPUS}/{gpu_id}/release", boss)


@pytest.mark.parametrize(("gpu", "status"), [("999999999", 404), ("0", 422), ("99999999999", 422), ("x", 422)])
async def test_a_gpu_that_nobody_knows_is_not_found_or_no_number(api: TheApi, gpu: str, status: int) -> None:
    boss = await api.someone(administrator=True)
    for method, path in (("GET", "faults"), ("POST", "quarantine"), ("POST", "release")):
        assert (await api.call(method, f"{GPUS}/{gpu}/{path}", boss)).status_code == status


# --- idle rules ---------------------------------------------------------------------------------------------------------


async def test_rules_are_set_replaced_listed_for_their_people_and_deleted(api: TheApi) -> None:
    boss, owner, stranger = await api.someone(administrator=True), await api.someone(), await api.someone()
    workspace = await api.workspace(owner)
    for window in ("45m", "20m"):
        body = {"workspace": workspace, "window": window, "threshold_percent": 5, "warning": "2m", "enforced": False}
        answer = await api.call("PUT", RULES, boss, json=body)
        assert answer.status_code == 200, answer.text
    assert (await api.call("PUT", RULES, boss, json={"window": "1h"})).json()["workspace"] is None

    async def seen(who: Someone) -> list[tuple[str | None, int, int, bool]]:
        items = (await api.call("GET", RULES, who)).json()["items"]
        return [
            (one["workspace"], one["window_seconds"], one["warning_seconds"], one["enforced"])
            for one in items
            if one["workspace"] in {None, workspace}
        ]

    assert await seen(owner) == [(None, 3600, 300, True), (workspace, 1200, 120, False)]
    assert await seen(stranger) == [(None, 3600, 300, True)]
    assert (await api.call("DELETE", RULES, owner, params={"workspace": workspace})).status_code == 403
    gone = await api.call("DELETE", RULES, boss, params={"workspace": workspace})
    assert (gone.status_code, gone.json()["window"]) == (200, "0h20m0s")
    assert (await api.call("DELETE", RULES, boss, params={"workspace": workspace})).status_code == 404
    assert (await api.call("DELETE", RULES, boss)).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"window": "10s"}, 422),
        ({"window": "30d"}, 422),
        ({"window": "soon"}, 422),
        ({"window": "30m", "threshold_percent": 101}, 422),
        ({"window": "30m", "threshold_percent": 2.5}, 422),
        ({"window": "30m", "workspace": "not-there"}, 404),
        ({}, 422),
    ],
)
async def test_a_rule_that_makes_no_sense_is_refused(api: TheApi, body: dict[str, Any], status: int) -> None:
    boss = await api.someone(administrator=True)
    assert (await api.call("PUT", RULES, boss, json=body)).status_code == status


async def wish_of(api: TheApi, external_id: str) -> tuple[int, bool] | None:
    query = "select i.* from idle_wish i join gpr g on g.id = i.gpr_id where g.external_id = $1"
    async with api.ledger.reading() as connection:
        row = await connection.fetchrow(query, external_id)
    return None if row is None else (row["window_seconds"], row["enforced"])


@pytest.mark.parametrize(
    ("fields", "wish"),
    [
        ({"idleTimeOutDuration": "0d0h30m", "enforceIdleTimeOut": True}, (1800, True)),
        ({"idleTimeOutDuration": "2h"}, (7200, False)),
        ({"idleTimeOutDuration": "0d0h0m", "enforceIdleTimeOut": True}, None),
        ({}, None),
    ],
)
async def test_what_egs_clients_say_about_idle_gpus_is_a_wish_that_counts(
    api: TheApi, fields: dict[str, Any], wish: tuple[int, bool] | None
) -> None:
    owner = await api.someone()
    assert await wish_of(api, await api.gpr(owner, await api.workspace(owner), **fields)) == wish


async def test_a_native_request_says_when_it_counts_as_idle(api: TheApi) -> None:
    owner = await api.someone()
    body = {"workspace": await api.workspace(owner), "name": "mine", "duration": "1h"}
    wished = {**body, "idle_timeout": "20m", "release_when_idle": True}
    made = (await api.call("POST", "/berth/v1/gprs", owner, json=wished)).json()
    assert await wish_of(api, made["external_id"]) == (1200, True)
    refused = await api.call("POST", "/berth/v1/gprs", owner, json={**body, "release_when_idle": True})
    assert (refused.status_code, refused.json()["error"]["message"]) == (
        422,
        '"release_when_idle" needs "idle_timeout"',
    )


# --- costs --------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def priced(api: TheApi) -> None:
    boss = await api.someone(administrator=True)
    since = (api.clock() - timedelta(days=9)).isoformat()
    body = {"shape": T4, "per_gpu_hour": "2", "starts_at": since}
    assert (await api.call("PUT", "/berth/v1/prices", boss, json=body)).status_code == 200


async def lease_of(api: TheApi, owner: Someone, workspace: str, hours: float) -> UUID:
    """A lease that has run for so long."""
    await api.gpr(owner, workspace, Phase.ACTIVE, exitDuration="20h")
    workspace_id = await api.workspace_id(workspace)
    async with api.ledger.transaction() as connection:
        begun = api.clock() - timedelta(hours=hours)
        await connection.execute(
            "update lease set ran = tstzrange($2, null) where workspace_id = $1", workspace_id, begun
        )
    return workspace_id


async def test_costs_are_of_ones_own_workspaces_and_of_all_for_administrators(api: TheApi, priced: None) -> None:
    owner, other, boss = await api.someone(), await api.someone(), await api.someone(administrator=True)
    mine, theirs = await api.workspace(owner), await api.workspace(other)
    await lease_of(api, owner, mine, 3)
    await lease_of(api, other, theirs, 1)
    answer = (await api.call("GET", COSTS, owner)).json()
    (one,) = answer["items"]
    assert (one["key"], round(one["gpu_hours"], 2), round(float(one["cost"]), 2)) == (mine, 3.0, 6.0)
    assert (one["idle_gpu_hours"], one["seen_gpu_hours"]) == (0.0, 0.0)
    assert answer["total"]["cost"] == one["cost"]
    everything = {each["key"] for each in (await api.call("GET", COSTS, boss)).json()["items"]}
    assert {mine, theirs} <= everything
    narrowed = (await api.call("GET", COSTS, boss, params={"workspace": theirs, "by": "gpr"})).json()["items"]
    assert [(each["name"], each["workspace"]) for each in narrowed] == [("gpr1", theirs)]
    assert (await api.call("GET", COSTS, owner, params={"workspace": theirs})).status_code == 404


async def test_costs_are_of_the_time_that_is_asked_for(api: TheApi, priced: None) -> None:
    owner = await api.someone()
    workspace = await api.workspace(owner)
    await lease_of(api, owner, workspace, 5)
    span = {
        "from": (api.clock() - timedelta(hours=4)).isoformat(),
        "to": (api.clock() - timedelta(hours=2)).isoformat(),
    }
    (one,) = (await api.call("GET", COSTS, owner, params={**span, "by": "department"})).json()["items"]
    assert (one["key"], round(one["gpu_hours"], 3), round(float(one["cost"]), 2)) == ("default", 2.0, 4.0)


@pytest.mark.parametrize(
    "span",
    [
        {"from": "2026-02-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"},
        {"from": "2026-02-02T00:00:00Z", "to": "2026-02-01T00:00:00Z"},
        {"from": "2024-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"},
        {"from": "2026-02-01T00:00:00"},
        {"by": "colour"},
        {"limit": "501"},
    ],
)
async def test_a_span_that_makes_no_sense_is_refused(api: TheApi, span: dict[str, str]) -> None:
    assert (await api.call("GET", COSTS, await api.someone(), params=span)).status_code == 422


async def test_who_has_no_workspace_has_no_costs(api: TheApi) -> None:
    answer = (await api.call("GET", COSTS, await api.someone(role=Role.VIEWER))).json()
    assert (answer["items"], answer["total"]["cost"]) == ([], None)
